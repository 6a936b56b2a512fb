/* The meter: many clients of a stream in one thread, which note when each price update arrived.
 *
 *   cc -O2 -o meter meter.c -DWITH_ZLIB -lz        (without the last two: compressed updates are counted, not read)
 *   meter [-c CORE] [-m FIRST-MESSAGE] [-z] [-e PATH] [-a N] [-r FILE] HOST PORT
 *
 * Its clients are WebSocket clients of /, or with -e clients of Server-Sent Events at that path. -c is a core that it has
 * to itself; -m is sent as soon as a connection is open; -z offers permessage-deflate; -a is the first loopback address to
 * connect from, 127.0.0.N, so that several meters do not share one; -r writes the updates that the first client receives
 * to a file, one a line.
 *
 * It is told what to do on standard input, a command a line, and answers each with one JSON line:
 *
 *   open N IN-FLIGHT   open N more clients, at most so many at once on their way; answers when each has its first update
 *   stall N            open N that say their first message and then never read, with small receive buffers
 *   wake               let those read
 *   storm IN-FLIGHT    close every reading client at once and open as many again; answers like `open`
 *   mark               forget what was counted and logged
 *   report [FILE]      what was counted since `mark`; the log of updates goes to the file as `struct arrival`s
 *
 * It ends when standard input does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_ZLIB
#include <zlib.h>
#endif

enum {
    BUFFER = 1 << 20,       /* bytes: more than the largest message and the largest read together */
    LARGEST = 1 << 18,      /* bytes of a message; no server here sends one like it */
    /* Connections from one loopback address, which has about 28,000 ports. Linux gives out every second one first, and
     * then searches all of those in vain for each further connection: the last fifteen thousand would take minutes. */
    PER_ADDRESS = 14000,
    MOST_METERS = 32,       /* so many have addresses of their own */
    GIVE_UP = 60,           /* seconds in which no connection comes to anything */
    AWAKE_NS = 1000000,     /* for so long after an event, sleep is not worth its price: see main */
    SMALL_BUFFER = 4096,    /* bytes that a stalled client's kernel takes in */
};

enum state { CLOSED, CONNECTING, HANDSHAKE, WAITING, LIVE };  /* WAITING: open, without a first update */

struct client {
    uint32_t number;
    int fd;
    enum state state;
    int stalls;
    int deflate, fresh;     /* what was negotiated: compression, and a fresh window for each message */
    int chunked;            /* whether events come in chunks, as HTTP/1.1 has them */
    uint64_t chunk, line;   /* bytes that are left of this chunk; the size of the next one, as far as it was read */
    uint32_t kept_size;
    unsigned char *kept;    /* the beginning of a frame whose end has not arrived */
#ifdef WITH_ZLIB
    z_stream *window;       /* of a server that refers to earlier messages */
#endif
};

struct arrival {            /* bench/meter.py reads these */
    uint64_t at;            /* CLOCK_MONOTONIC, ns */
    uint64_t seq;
    uint32_t client;
    uint32_t first;         /* whether it was the client's first since it connected */
};

static struct {
    const char *first_message, *record_to, *events;
    int deflate, port, alone, address;
    struct in_addr host;
} options;

static int poller;
static struct client **clients;
static uint32_t client_count;
static unsigned char buffer[BUFFER];
static char request[4096];
static size_t request_size;
static unsigned char hello[4096];
static size_t hello_size;
static FILE *record;

/* What was asked for and has not been answered: `open`, `stall` or `storm`. */
static struct {
    int active, stalls;
    uint32_t next, end, in_flight, limit, done, failed;
    uint64_t began, progress;
} batch;

static struct {
    uint64_t updates, messages, bytes, compressed, closed, failed;
    uint64_t codes[5000];
    struct arrival *log;
    size_t size, capacity;
} counted;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "meter: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    exit(1);
}

static void *reallocated(void *old, size_t size) {
    void *memory = realloc(old, size);
    if (!memory) die("no memory");
    return memory;
}

/* --- one client --------------------------------------------------------------------------------------------------- */

static uint32_t serial;  /* connections made so far, of all clients */

static void watch(struct client *c, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, how, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static int begin(struct client *c, int stalls) {
    int one = 1, small = SMALL_BUFFER;
    *c = (struct client){.number = c->number, .stalls = stalls};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (stalls) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if ((ntohl(options.host.s_addr) >> 24) == 127) {
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(0x7f000001 + (options.address + serial++ / PER_ADDRESS * MOST_METERS) % 250);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (void *)&from, sizeof from)) die("bind: %s", strerror(errno));
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(options.port), .sin_addr = options.host};
    if (connect(c->fd, (void *)&to, sizeof to) && errno != EINPROGRESS) {
        close(c->fd);
        return 0;
    }
    c->state = CONNECTING;
    watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
    return 1;
}

/* The connection of a client that waited for its first update has come to something, or to nothing. */
static void settle(int well) {
    if (!batch.active || !batch.in_flight) return;
    batch.in_flight--;
    batch.done += well;
    batch.failed += !well;
    batch.progress = now_ns();
}

static void end(struct client *c) {
    if (c->state == CLOSED) return;
    close(c->fd);
    free(c->kept);
#ifdef WITH_ZLIB
    if (c->window) inflateEnd(c->window);
    free(c->window);
#endif
    int unsettled = c->state != LIVE;
    *c = (struct client){.number = c->number, .state = CLOSED, .stalls = c->stalls};
    if (unsettled) {
        counted.failed++;
        settle(0);
    }
}

static void say(struct client *c, const void *bytes, size_t size) {
    if (write(c->fd, bytes, size) < 0 && errno != EAGAIN && errno != EPIPE && errno != ECONNRESET)
        die("write: %s", strerror(errno));
}

/* --- what arrives ------------------------------------------------------------------------------------------------- */

#ifdef WITH_ZLIB
static z_stream *new_window(void) {
    z_stream *window = reallocated(0, sizeof *window);
    memset(window, 0, sizeof *window);
    if (inflateInit2(window, -15) != Z_OK) die("inflateInit2 failed");
    return window;
}

/* The text of a compressed message, or its size alone where it cannot be read. */
static const char *inflated(struct client *c, unsigned char *bytes, size_t *size) {
    static char text[LARGEST];
    static unsigned char tail[] = {0, 0, 0xff, 0xff};
    static z_stream *shared;
    if (!shared) shared = new_window();
    if (!c->fresh && !c->window) c->window = new_window();
    z_stream *window = c->fresh ? shared : c->window;
    if (c->fresh) inflateReset(window);
    window->next_out = (void *)text;
    window->avail_out = sizeof text;
    struct { unsigned char *bytes; size_t size; } parts[] = {{bytes, *size}, {tail, sizeof tail}};
    for (int i = 0; i < 2; i++) {
        window->next_in = parts[i].bytes;
        window->avail_in = parts[i].size;
        int result = inflate(window, Z_SYNC_FLUSH);
        if (result != Z_OK && result != Z_BUF_ERROR) die("a message cannot be inflated: %d", result);
    }
    *size = sizeof text - window->avail_out;
    return text;
}
#else
static const char *inflated(struct client *c, unsigned char *bytes, size_t *size) {
    (void)c, (void)bytes, *size = 0;
    return "";
}
#endif

static void log_arrival(uint32_t client, uint64_t at, uint64_t seq, int first) {
    if (counted.size == counted.capacity) {
        counted.capacity = counted.capacity ? 2 * counted.capacity : 1 << 16;
        counted.log = reallocated(counted.log, counted.capacity * sizeof *counted.log);
    }
    counted.log[counted.size++] = (struct arrival){.at = at, .seq = seq, .client = client, .first = first};
}

static void on_message(struct client *c, unsigned char *bytes, size_t size, int compressed, uint64_t at) {
    counted.messages++;
    const char *text = (const char *)bytes;
    size_t length = size;
    if (compressed) {
        counted.compressed++;
        text = inflated(c, bytes, &length);
    }
    int unread = compressed && !length;
    if (!unread && !memmem(text, length < 40 ? length : 40, "\"priceUpdate\"", 13)) return;
    counted.updates++;
    const char *seq = memmem(text, length, "\"seq\":", 6);
    if (seq) log_arrival(c->number, at, strtoull(seq + 6, 0, 10), c->state == WAITING);
    if (record && c->number == 0) {
        fwrite(text, 1, length, record);
        fputc('\n', record);
        fflush(record);
    }
    if (c->state == WAITING) {
        c->state = LIVE;
        settle(1);
    }
}

/* Read the answer to the handshake; its size, 0 while it is not whole, or -1 where it is a refusal. */
static int on_handshake(struct client *c, unsigned char *bytes, size_t size) {
    unsigned char *blank = memmem(bytes, size, "\r\n\r\n", 4);
    if (!blank) return 0;
    size_t head = blank + 4 - bytes;
    const char *status = options.events ? "200" : "101";
    const char *proof = options.events ? "text/event-stream" : "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    static int told;
    if (size < 12 || memcmp(bytes + 9, status, 3) || !memmem(bytes, head, proof, strlen(proof))) {
        if (!told++) fprintf(stderr, "meter: a handshake was refused: %.*s\n", (int)strcspn((char *)bytes, "\r"), bytes);
        return -1;
    }
    c->deflate = !!memmem(bytes, head, "permessage-deflate", 18);
    c->fresh = !!memmem(bytes, head, "server_no_context_takeover", 26);
    c->chunked = !!memmem(bytes, head, "chunked", 7);
    c->state = WAITING;
    if (hello_size) say(c, hello, hello_size);
    if (c->stalls) {
        watch(c, 0, EPOLL_CTL_MOD);
        c->state = LIVE;
        settle(1);
    }
    return head;
}

/* Take whole frames; how many bytes they were. Ends the client at a close frame. */
static size_t on_frames(struct client *c, unsigned char *bytes, size_t size, uint64_t at) {
    size_t taken = 0;
    while (c->state != CLOSED && size - taken >= 2) {
        unsigned char *b = bytes + taken;
        size_t rest = size - taken, head = 2;
        uint64_t length = b[1] & 127;
        if (length == 126) {
            if (rest < 4) break;
            length = b[2] << 8 | b[3];
            head = 4;
        } else if (length == 127) {
            if (rest < 10) break;
            length = 0;
            for (int i = 2; i < 10; i++) length = length << 8 | b[i];
            head = 10;
        }
        if (length > LARGEST) die("a message of %lu bytes", (unsigned long)length);
        if (rest < head + length) break;
        int opcode = b[0] & 15;
        if (opcode == 1 || opcode == 2) {
            if (!(b[0] & 0x80)) die("a fragmented message");
            on_message(c, b + head, length, b[0] & 0x40, at);
        } else if (opcode == 9) {
            unsigned char pong[131] = {0x8a, 0x80 | length};  /* the mask is 0, so the bytes stay as they are */
            memcpy(pong + 6, b + head, length);
            say(c, pong, 6 + length);
        } else if (opcode == 8) {
            int code = length >= 2 ? b[head] << 8 | b[head + 1] : 1005;
            counted.codes[code < 5000 ? code : 0]++;
            counted.closed++;
            end(c);
        }
        taken += head + length;
    }
    return taken;
}

/* Take the sizes of chunks out of a body, in place; the size of what is left. */
static size_t unchunked(struct client *c, unsigned char *bytes, size_t size) {
    size_t text = 0;
    for (size_t i = 0; i < size;) {
        if (c->chunk) {
            size_t part = c->chunk < size - i ? c->chunk : size - i;
            memmove(bytes + text, bytes + i, part);
            text += part;
            i += part;
            c->chunk -= part;
            continue;
        }
        int byte = bytes[i++];  /* of a line with a size, or of the end of the line that ends a chunk */
        if (isxdigit(byte)) {
            c->line = c->line << 4 | (byte <= '9' ? byte - '0' : (byte | 32) - 'a' + 10);
        } else if (byte == '\n') {
            c->chunk = c->line;
            c->line = 0;
        } else if (byte != '\r') {
            die("a chunk whose size is followed by %c", byte);
        }
    }
    return text;
}

/* Take whole events, whose data is one line; how many bytes they were. */
static size_t on_events(struct client *c, unsigned char *bytes, size_t size, uint64_t at) {
    size_t taken = 0;
    for (unsigned char *blank; (blank = memmem(bytes + taken, size - taken, "\n\n", 2)); taken = blank + 2 - bytes) {
        unsigned char *data = memmem(bytes + taken, blank - bytes - taken, "data: ", 6);
        if (data) on_message(c, data + 6, blank - data - 6, 0, at);
    }
    return taken;
}

/* Keep what is not whole yet. */
static void keep(struct client *c, unsigned char *bytes, size_t size) {
    c->kept_size = size;
    if (size) {
        c->kept = reallocated(c->kept, size);
        memcpy(c->kept, bytes, size);
    } else {
        free(c->kept);
        c->kept = 0;
    }
}

static void on_readable(struct client *c) {
    unsigned char *start = buffer, *received = buffer + c->kept_size;
    if (c->kept_size) memcpy(buffer, c->kept, c->kept_size);
    ssize_t size = read(c->fd, received, LARGEST);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
        counted.closed++;
        end(c);
        return;
    }
    uint64_t at = now_ns();
    counted.bytes += size;
    unsigned char *finish = received + size;
    if (c->state == HANDSHAKE) {
        int head = on_handshake(c, buffer, finish - buffer);
        if (head < 0) {
            end(c);
            return;
        }
        start += head;
        received = start;
    }
    if (c->chunked) finish = received + unchunked(c, received, finish - received);
    if (c->state >= WAITING) start += (options.events ? on_events : on_frames)(c, start, finish - start, at);
    if (c->state != CLOSED) keep(c, start, finish - start);
}

static void on_event(struct client *c) {
    if (c->state == CLOSED) return;
    if (c->state != CONNECTING) {
        on_readable(c);
        return;
    }
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error || write(c->fd, request, request_size) != (ssize_t)request_size) {
        end(c);
        return;
    }
    c->state = HANDSHAKE;
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

/* --- what is asked for -------------------------------------------------------------------------------------------- */

static void answer_batch(void) {
    double seconds = (now_ns() - batch.began) / 1e9;
    uint32_t lost = batch.end - batch.next + batch.in_flight;
    printf("{\"opened\":%u,\"failed\":%u,\"unfinished\":%u,\"seconds\":%.4f}\n", batch.done, batch.failed, lost, seconds);
    fflush(stdout);
    batch.active = 0;
}

static void begin_batch(uint32_t from, uint32_t count, uint32_t limit, int stalls) {
    uint64_t now = now_ns();
    memset(&batch, 0, sizeof batch);
    batch.active = 1;
    batch.stalls = stalls;
    batch.next = from;
    batch.end = from + count;
    batch.limit = limit ? limit : 1;
    batch.began = batch.progress = now;
}

static void advance_batch(void) {
    while (batch.next < batch.end && batch.in_flight < batch.limit) {
        struct client *c = clients[batch.next++];
        batch.in_flight++;
        if (!begin(c, batch.stalls)) {
            counted.failed++;
            settle(0);
        }
    }
    if ((batch.next == batch.end && !batch.in_flight) || now_ns() - batch.progress > GIVE_UP * 1000000000ull)
        answer_batch();
}

/* Room for more clients; the number of the first. */
static uint32_t grow(uint32_t count) {
    uint32_t from = client_count;
    client_count += count;
    clients = reallocated(clients, client_count * sizeof *clients);
    for (uint32_t i = from; i < client_count; i++) {
        clients[i] = reallocated(0, sizeof **clients);
        *clients[i] = (struct client){.number = i};
    }
    return from;
}

static void storm(uint32_t limit) {
    uint32_t readers = 0;
    while (readers < client_count && !clients[readers]->stalls) end(clients[readers++]);
    begin_batch(0, readers, limit, 0);
}

static void wake(void) {
    for (uint32_t i = 0; i < client_count; i++) {
        struct client *c = clients[i];
        if (!c->stalls || c->state != LIVE) continue;
        c->state = WAITING;
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
    }
    printf("{}\n");
    fflush(stdout);
}

static void mark(void) {
    struct arrival *log = counted.log;
    size_t capacity = counted.capacity;
    memset(&counted, 0, sizeof counted);
    counted.log = log;
    counted.capacity = capacity;
    printf("{}\n");
    fflush(stdout);
}

static void report(const char *file) {
    if (*file) {
        FILE *out = fopen(file, "wb");
        if (!out || fwrite(counted.log, sizeof *counted.log, counted.size, out) != counted.size || fclose(out))
            die("%s: %s", file, strerror(errno));
    }
    uint32_t open = 0;
    for (uint32_t i = 0; i < client_count; i++) open += clients[i]->state == LIVE;
    printf("{\"open\":%u,\"updates\":%lu,\"messages\":%lu,\"compressed\":%lu,\"bytes\":%lu,\"closed\":%lu,\"failed\":%lu,"
           "\"codes\":{",
           open, counted.updates, counted.messages, counted.compressed, counted.bytes, counted.closed, counted.failed);
    const char *comma = "";
    for (int code = 0; code < 5000; code++) {
        if (!counted.codes[code]) continue;
        printf("%s\"%d\":%lu", comma, code, counted.codes[code]);
        comma = ",";
    }
    printf("}}\n");
    fflush(stdout);
}

static void obey(char *line) {
    char *word = strsep(&line, " "), *first = line ? strsep(&line, " ") : "", *second = line ? line : "";
    if (!strcmp(word, "open")) {
        uint32_t count = atoi(first);
        begin_batch(grow(count), count, atoi(second), 0);
    } else if (!strcmp(word, "stall")) {
        uint32_t count = atoi(first);
        begin_batch(grow(count), count, 40, 1);
    } else if (!strcmp(word, "storm")) {
        storm(atoi(first));
    } else if (!strcmp(word, "wake")) {
        wake();
    } else if (!strcmp(word, "mark")) {
        mark();
    } else if (!strcmp(word, "report")) {
        report(first);
    } else {
        die("no such command: %s", word);
    }
}

/* Obey the whole lines that have arrived. */
static void on_command(void) {
    static char text[4096];
    static size_t size;
    ssize_t received = read(0, text + size, sizeof text - size - 1);
    if (received <= 0) exit(0);
    size += received;
    text[size] = 0;
    for (char *newline; (newline = strchr(text, '\n'));) {
        *newline = 0;
        obey(text);
        size -= newline + 1 - text;
        memmove(text, newline + 1, size + 1);
    }
}

/* --- all together ------------------------------------------------------------------------------------------------- */

static void stay_on(int core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (sched_setaffinity(0, sizeof cores, &cores)) die("core %d: %s", core, strerror(errno));
}

static void prepare_request(const char *host) {
    if (options.events) {
        request_size = snprintf(request, sizeof request,
                                "GET %s HTTP/1.1\r\nHost: %s:%d\r\nAccept: text/event-stream\r\n\r\n",
                                options.events, host, options.port);
        return;
    }
    request_size = snprintf(
        request, sizeof request,
        "GET / HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
        host, options.port,
        /* as Chromium offers it; the seed's Node configuration accepts no offer without the parameter */
        options.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
    size_t length = options.first_message ? strlen(options.first_message) : 0;
    if (length > sizeof hello - 8) die("the first message is too long");
    if (!length) return;
    hello[hello_size++] = 0x81;
    if (length < 126) {
        hello[hello_size++] = 0x80 | length;
    } else {
        hello[hello_size++] = 0x80 | 126;
        hello[hello_size++] = length >> 8;
        hello[hello_size++] = length & 255;
    }
    hello_size += 4;  /* a mask of zeros */
    memcpy(hello + hello_size, options.first_message, length);
    hello_size += length;
}

static void read_options(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "c:m:ze:a:r:")) != -1) switch (option) {
        case 'c': stay_on(atoi(optarg)); options.alone = 1; break;
        case 'm': options.first_message = optarg; break;
        case 'z': options.deflate = 1; break;
        case 'e': options.events = optarg; break;
        case 'a': options.address = atoi(optarg) - 1; break;
        case 'r': options.record_to = optarg; break;
        default: exit(2);
    }
    if (argc - optind != 2) die("usage: meter [-c CORE] [-m FIRST-MESSAGE] [-z] [-e PATH] [-a N] [-r FILE] HOST PORT");
    options.port = atoi(argv[optind + 1]);
    if (inet_pton(AF_INET, argv[optind], &options.host) != 1) die("%s is not an IPv4 address", argv[optind]);
    prepare_request(argv[optind]);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    if (options.record_to && !(record = fopen(options.record_to, "w"))) die("%s: %s", options.record_to, strerror(errno));
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event commands = {.events = EPOLLIN}, events[1024];
    uint64_t heard = 0;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, 0, &commands)) die("standard input must be a pipe");
    while (1) {
        int commanded = 0;
        /* The kernel charges a sleeper's wake-up to whoever writes to it: 2 µs, as often as the meter happens to be quicker
           than the server that it measures. A client elsewhere would cost a server nothing of the kind. Without a core to
           itself the meter sleeps all the same: else it would take the server's time. */
        int ready = epoll_wait(poller, events, 1024, 0);
        if (ready > 0)
            heard = now_ns();
        else if (!options.alone || now_ns() - heard > AWAKE_NS)
            ready = epoll_wait(poller, events, 1024, batch.active ? 50 : -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr) on_event(events[i].data.ptr);
            else commanded = 1;
        }
        /* After the events: a command may close clients that these are about. */
        if (commanded) on_command();
        if (batch.active) advance_batch();
    }
}
