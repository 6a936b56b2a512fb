/* The floor: a stream that does only what no server can leave out. One thread, epoll, one `send` a client and publication.
 *
 *   cc -O2 -o floor floor.c
 *   floor PORT PAYLOADS
 *
 * PAYLOADS has recorded price updates, one a line. Like bench/node/server.js, it takes `publish INTERVAL-MS COUNT` on
 * standard input, and prints each publication's seq and the CLOCK_MONOTONIC nanosecond before it was built, then `done`.
 *
 * It is no WebSocket server: it answers any request as the meter's key demands (bench/meter.c), and reads no message.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 1 << 20, LARGEST = 1 << 16, MOST = 4096 };

static const char ACCEPTED[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static int poller, listener;
static char *recorded[MOST];         /* updates, without the number of their seq */
static size_t recorded_count;
static size_t cut[MOST];             /* where that number belongs */
static unsigned char frame[LARGEST]; /* the newest publication, as it is sent */
static size_t frame_size;
static char clients[FILES];          /* by descriptor; 1: connected, 2: has its snapshot, and is sent each publication */
static int highest;

static struct { uint64_t seq, first, count, began, interval, *stamps; } publishing;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

static void read_payloads(const char *path) {
    static char line[LARGEST];
    FILE *file = fopen(path, "r");
    if (!file) die(path);
    while (recorded_count < MOST && fgets(line, sizeof line, file)) {
        char *seq = strstr(line, "\"seq\":");
        if (!seq) continue;
        cut[recorded_count] = seq + 6 - line;
        size_t digits = strspn(seq + 6, "0123456789");
        memmove(seq + 6, seq + 6 + digits, strlen(seq + 6 + digits) + 1);
        line[strcspn(line, "\n")] = 0;
        recorded[recorded_count++] = strdup(line);
    }
    fclose(file);
    if (!recorded_count) die("no updates in it");
}

/* Make the newest publication into one frame. */
static void build(uint64_t seq) {
    size_t number = seq % recorded_count;
    const char *text = recorded[number];
    size_t size = snprintf((char *)frame + 4, sizeof frame - 4, "%.*s%lu%s", (int)cut[number], text, seq,
                           text + cut[number]);
    frame[0] = 0x81;
    frame[1] = 126;
    frame[2] = size >> 8;
    frame[3] = size & 255;
    frame_size = size + 4;
}

static void publish(void) {
    publishing.stamps[publishing.seq - publishing.first] = now_ns();
    build(++publishing.seq);
    for (int fd = 0; fd <= highest; fd++)
        if (clients[fd] == 2) send(fd, frame, frame_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (publishing.seq - publishing.first < publishing.count) return;
    for (uint64_t i = 0; i < publishing.count; i++) printf("%lu %lu\n", publishing.first + i + 1, publishing.stamps[i]);
    printf("done\n");
    fflush(stdout);
    publishing.count = 0;
}

static void on_command(void) {
    char line[256];
    if (!fgets(line, sizeof line, stdin)) exit(0);
    uint64_t milliseconds, count;
    if (sscanf(line, "publish %lu %lu", &milliseconds, &count) != 2) die("no such command");
    publishing.first = publishing.seq;
    publishing.count = count;
    publishing.began = now_ns();
    publishing.interval = milliseconds * 1000000;
    publishing.stamps = realloc(publishing.stamps, count * sizeof *publishing.stamps);
}

static void on_client(int fd) {
    static char bytes[LARGEST];
    ssize_t size = read(fd, bytes, sizeof bytes);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        clients[fd] = 0;
        close(fd);
    } else if (clients[fd] == 1) {
        memcpy(bytes, ACCEPTED, sizeof ACCEPTED - 1);
        memcpy(bytes + sizeof ACCEPTED - 1, frame, frame_size);
        send(fd, bytes, sizeof ACCEPTED - 1 + frame_size, MSG_NOSIGNAL);
        clients[fd] = 2;
    }
}

static void accept_clients(void) {
    int fd, one = 1;
    while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        clients[fd] = 1;
        if (fd > highest) highest = fd;
        watch(fd);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: floor PORT PAYLOADS\n"), 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < FILES ? files.rlim_max : FILES;
    setrlimit(RLIMIT_NOFILE, &files);
    read_payloads(argv[2]);
    build(0);
    setvbuf(stdin, 0, _IONBF, 0);  /* a command that was read ahead would not show in epoll */
    poller = epoll_create1(EPOLL_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (void *)&here, sizeof here) || listen(listener, 65535)) die("listen");
    watch(0);
    watch(listener);
    struct epoll_event events[1024];
    while (1) {
        int wait = -1;
        if (publishing.count) {
            uint64_t due = publishing.began + (publishing.seq - publishing.first) * publishing.interval, now = now_ns();
            wait = due > now ? (due - now + 999999) / 1000000 : 0;
        }
        int ready = epoll_wait(poller, events, 1024, wait);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == 0) on_command();
            else if (events[i].data.fd == listener) accept_clients();
            else on_client(events[i].data.fd);
        }
        if (publishing.count && now_ns() >= publishing.began + (publishing.seq - publishing.first) * publishing.interval)
            publish();
    }
}
