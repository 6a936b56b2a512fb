"""The rows of the bench: each starts its servers one after the other, and yields lines of the table."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from bench import machine, servers
from bench.bench import Bench
from bench.face import face, pages
from bench.history import database, history, rest
from bench.locks import locks
from bench.meter import Ages, Meter, Opened, ages
from bench.report import Line, figure, ratio, verdict
from bench.servers import Bare, Floor, Node, Server, SwarnaOnAllCores, Textbook, UWebSockets

T = TypeVar("T")
KB = 1024
# Bytes from which updates are compressed, by ours and by Node alike. Four metals are a little more or less than the
# default of both, 1024: a row must not depend on how many digits a price has today.
DEFLATE_FROM: Final = 512
# Clients that connect at once: fewer than fit into stock Daphne's listening queue of 50. Beyond it, a client's kernel
# waits for a second before it tries again.
IN_FLIGHT: Final = 40


@dataclass(frozen=True, slots=True)
class Spell:
    """The cost of some publications for a server, and their ages when clients had them."""

    cpu_us: float  # of user and system time, for each update that arrived
    bytes: float  # on the wire, for each update
    ages: Ages


def _open(meter: Meter, clients: int, *, in_flight: int = IN_FLIGHT) -> Opened:
    """Open clients. Raises RuntimeError unless all get in."""
    opened = meter.open(clients, in_flight=in_flight)
    if opened.opened != clients:
        raise RuntimeError(f"{clients} clients were to open, and of them: {opened}; {meter.report()}")
    return opened


def _spell(bench: Bench, server: Server, meter: Meter, clients: int, interval_ms: int, publications: int) -> Spell:
    meter.mark()
    before = server.cpu_seconds()
    stamps = server.publishing(interval_ms, publications).stamps()
    counted = meter.settled()
    used = server.cpu_seconds() - before
    spell = Spell(
        cpu_us=used * 1e6 / counted["updates"],
        bytes=counted["bytes"] / counted["updates"],
        ages=ages(meter.arrivals(), stamps, clients),
    )
    bench.say(
        f"{type(server).__name__}: {spell.cpu_us:.1f} µs of CPU an update of {spell.bytes:.0f} bytes; "
        f"p50 {spell.ages.p50:.1f}, p99 {spell.ages.p99:.1f}, at worst {spell.ages.worst:.1f} ms; "
        f"{spell.ages.missing} of {spell.ages.pairs + spell.ages.missing} missing"
    )
    return spell


def _one_spell(
    bench: Bench,
    server: Server,
    clients: int,
    interval_ms: int,
    publications: int,
    *,
    deflate: bool = False,
    sse: bool = False,
) -> Spell:
    with server, bench.clients_of(server, deflate=deflate, sse=sse) as meter:
        _open(meter, clients)
        return _spell(bench, server, meter, clients, interval_ms, publications)


def _in_turns(bench: Bench, *measures: Callable[[], T]) -> list[list[T]]:
    """Measure each of these in each round, one after the other; a list of results for each of them."""
    rounds = [[measure() for measure in measures] for _ in bench.rounds]
    return [list(results) for results in zip(*rounds, strict=True)]


def _cells(unit: str, *columns: Sequence[float]) -> list[str]:
    """The figures by column, as far as they are given; an empty list for one that was not measured."""
    return [figure(values, unit) for values in columns]


def _cpu(spells: Sequence[Spell]) -> list[float]:
    return [spell.cpu_us for spell in spells]


_SHARES: Final[Mapping[str, Callable[[Ages], float]]] = {
    "p50": lambda found: found.p50,
    "p99": lambda found: found.p99,
    "worst": lambda found: found.worst,
}


def plain(bench: Bench) -> Iterator[Line]:
    clients, publications = bench.of(1000, 100), bench.of(120, 10)

    def spell(server: Server) -> Spell:
        return _one_spell(bench, server, clients, 100, publications)

    ours, node, uws, floor, textbook = found = _in_turns(
        bench,
        lambda: spell(bench.swarna()),
        lambda: spell(Node(bench.around)),
        lambda: spell(UWebSockets(bench.around)),
        lambda: spell(Floor(bench.around)),
        # It cannot carry ten publications a second; the cost of an update does not depend on the rate.
        lambda: _one_spell(bench, Textbook(bench.around), clients, 1000, bench.of(10, 3)),
    )
    name = f"CPU for each update delivered, {clients:,} clients"
    text, value = ratio(_cpu(ours), _cpu(node))
    figures = _cells("µs", _cpu(ours), _cpu(node), _cpu(uws), _cpu(floor))
    yield Line(name, figures, text, "≤ 0.75 × Node", verdict(value <= 0.75))
    _, value = ratio(_cpu(ours), _cpu(textbook))
    figures = _cells("µs", _cpu(ours), [], [], [], _cpu(textbook))
    yield Line(name, figures, f"1/{1 / value:.0f}", "≤ 1/20 of Channels", verdict(value <= 1 / 20))
    for share, of in _SHARES.items():
        columns = ([of(spell.ages) for spell in spells] for spells in found)
        yield Line(f"{share} from publication to client, 10 publications/s (Channels: 1)", _cells("ms", *columns))


def compressed(bench: Bench) -> Iterator[Line]:
    clients, publications = bench.of(1000, 100), bench.of(50, 5)
    settings = {"WS_COMPRESSION_THRESHOLD": str(DEFLATE_FROM)}
    compressing = Node(bench.around, deflate=DEFLATE_FROM)
    ours, uncompressed, node = _in_turns(
        bench,
        lambda: _one_spell(bench, bench.swarna(**settings), clients, 200, publications, deflate=True),
        lambda: _one_spell(bench, bench.swarna(), clients, 200, publications),
        # It cannot compress five publications a second for a thousand clients: it gets one.
        lambda: _one_spell(bench, compressing, clients, 1000, bench.of(10, 3), deflate=True),
    )
    name = f"CPU for each update delivered compressed, {clients:,} clients"
    cpu, plain_cpu, node_cpu = map(_cpu, (ours, uncompressed, node))
    text, value = ratio(cpu, plain_cpu)
    beside = f"{name}; uncompressed {figure(plain_cpu, 'µs')}"
    yield Line(beside, _cells("µs", cpu), text, "≤ 1.1 × uncompressed", verdict(value <= 1.1))
    text, value = ratio(cpu, node_cpu)
    yield Line(name, _cells("µs", cpu, node_cpu), text, "≤ 1/5 of Node", verdict(value <= 0.2))
    size = uncompressed[0].bytes
    yield Line(
        f"bytes of an update compressed; uncompressed {size:.0f}",
        _cells("", *([spell.bytes for spell in spells] for spells in (ours, node))),
    )
    if bench.reads_compressed:
        yield Line(
            "p99 from publication to client, compressed, 5 publications/s (Node: 1)",
            _cells("ms", *([spell.ages.p99 for spell in spells] for spells in (ours, node))),
        )


def ten_thousand(bench: Bench) -> Iterator[Line]:
    clients, publications = bench.of(10_000, 500), bench.of(20, 5)

    def spell(server: Server) -> Spell:
        return _one_spell(bench, server, clients, 1000, publications)

    found = _in_turns(
        bench,
        lambda: spell(bench.swarna()),
        lambda: spell(Node(bench.around)),
        lambda: spell(UWebSockets(bench.around)),
        lambda: spell(Floor(bench.around)),
    )
    for share, of in _SHARES.items():
        figures = [[of(spell.ages) for spell in spells] for spells in found]
        text, value = ratio(figures[0], figures[1])
        name = f"{share} from publication to client, {clients:,} clients, a publication a second"
        target, reached = ("≤ 0.8 × Node", verdict(value <= 0.8)) if share == "p99" else ("", "")
        yield Line(name, _cells("ms", *figures), text, target, reached)
    figures = [_cpu(spells) for spells in found]
    text, value = ratio(figures[0], figures[1])
    name = f"CPU for each update delivered, {clients:,} clients"
    yield Line(name, _cells("µs", *figures), text, "≤ 0.8 × Node", verdict(value <= 0.8))


def _kilobytes(bench: Bench, server: Server, clients: int, *, deflate: bool = False, sse: bool = False) -> float:
    """Resident memory for each of these clients, once they have subscribed and seen a few publications."""
    with server, bench.clients_of(server, deflate=deflate, sse=sse) as meter:
        _open(meter, 20)
        server.publishing(100, 5).stamps()
        meter.settled()
        before = server.resident_bytes()
        _open(meter, clients)
        server.publishing(1000, 3).stamps()
        meter.settled()
        time.sleep(bench.of(5, 1))
        found = (server.resident_bytes() - before) / clients / KB
    kind = "compressing" if deflate else "Server-Sent Events" if sse else "plain"
    bench.say(f"{type(server).__name__}, {kind}: {found:.1f} KB for each of {clients} clients")
    return found


def memory(bench: Bench) -> Iterator[Line]:
    clients = bench.of(10_000, 500)
    # Slow and large servers get fewer: the memory of one client does not depend on their number.
    fewer = bench.of(2000, 200)
    ours = _kilobytes(bench, bench.swarna(), clients)
    settings = {"WS_COMPRESSION_THRESHOLD": str(DEFLATE_FROM)}
    ours_deflate = _kilobytes(bench, bench.swarna(**settings), clients, deflate=True)
    node = _kilobytes(bench, Node(bench.around), clients)
    node_deflate = _kilobytes(bench, Node(bench.around, deflate=DEFLATE_FROM), fewer, deflate=True)
    uws = _kilobytes(bench, UWebSockets(bench.around), clients)
    floor = _kilobytes(bench, Floor(bench.around), clients)
    textbook = _kilobytes(bench, Textbook(bench.around), fewer)
    yield Line(
        f"memory of a subscribed client, after {clients:,} (Channels: {fewer:,})",
        _cells("KB", [ours], [node], [uws], [floor], [textbook]),
        ratio([ours], [node])[0],
        "≤ 1 × Node",
        verdict(ours <= node),
    )
    more = ours_deflate - ours
    yield Line(
        f"what compression adds to it (Node: {fewer:,} clients)",
        _cells("KB", [more], [node_deflate - node]),
        target="≤ 2 KB",
        reached=verdict(more <= 2),
    )


def events(bench: Bench) -> Iterator[Line]:
    clients, publications = bench.of(1000, 100), bench.of(120, 10)
    cpu, websocket = map(
        _cpu,
        _in_turns(
            bench,
            lambda: _one_spell(bench, bench.swarna(), clients, 100, publications, sse=True),
            lambda: _one_spell(bench, bench.swarna(), clients, 100, publications),
        ),
    )
    text, value = ratio(cpu, websocket)
    yield Line(
        f"CPU for each update delivered by Server-Sent Events, {clients:,} clients; by WebSocket "
        f"{figure(websocket, 'µs')}",
        _cells("µs", cpu),
        text,
        "≤ 1.2 × WebSocket",
        verdict(value <= 1.2),
    )
    many = bench.of(10_000, 500)
    by_events = _kilobytes(bench, bench.swarna(), many, sse=True)
    by_websocket = _kilobytes(bench, bench.swarna(), many)
    text, value = ratio([by_events], [by_websocket])
    yield Line(
        f"memory of a client of Server-Sent Events, after {many:,}; of WebSocket {by_websocket:.1f} KB",
        _cells("KB", [by_events]),
        text,
        "≤ 1.5 × WebSocket",
        verdict(value <= 1.5),
    )


@dataclass(frozen=True, slots=True)
class _Connecting:
    """The result of connecting many clients, 40 at a time."""

    per_second: float
    cpu_us: float  # of the server's user and system time, for each


def _connecting(bench: Bench, server: Server, clients: int) -> _Connecting:
    with server, bench.clients_of(server) as meter:
        _open(meter, 20)
        before = server.cpu_seconds()
        opened = _open(meter, clients)
        found = _Connecting(opened.per_second, (server.cpu_seconds() - before) * 1e6 / clients)
    bench.say(
        f"{type(server).__name__}: {found.per_second:.0f} connects a second, {found.cpu_us:.0f} µs of CPU for each"
    )
    return found


def connects(bench: Bench) -> Iterator[Line]:
    clients = bench.of(3000, 200)
    found = _in_turns(
        bench,
        lambda: _connecting(bench, bench.swarna(), clients),
        lambda: _connecting(bench, Node(bench.around), clients),
        lambda: _connecting(bench, UWebSockets(bench.around), clients),
        lambda: _connecting(bench, Floor(bench.around), clients),
        lambda: _connecting(bench, Textbook(bench.around), bench.of(1000, 100)),
        lambda: _connecting(bench, Bare(bench.around), bench.of(2000, 200)),
    )
    ours, node, _, _, textbook, bare = rates = [[each.per_second for each in results] for results in found]
    name = "connects a second, each with its snapshot, 40 at a time"
    text, value = ratio(ours, node)
    yield Line(name, _cells("", *rates[:4]), text, "≥ 1.1 × Node", verdict(value >= 1.1))
    text, value = ratio(ours, textbook)
    yield Line(name, _cells("", ours, [], [], [], textbook), text, "≥ 5 × Channels", verdict(value >= 5))
    text, value = ratio(ours, bare)
    figures = _cells("", ours, [], [], [], bare)
    yield Line(f"{name}; Channels without a layer", figures, text, "≥ 1.6 ×", verdict(value >= 1.6))
    cpu = [[each.cpu_us for each in results] for results in found[:5]]
    text, value = ratio(cpu[0], cpu[1])
    yield Line("CPU for each connect", _cells("µs", *cpu), text, "≤ 0.9 × Node", verdict(value <= 0.9))


def publishes(bench: Bench) -> Iterator[Line]:
    publications = bench.of(20, 5)
    sent = {}
    for clients in (1, bench.of(1000, 100)):
        with bench.swarna() as server, bench.clients_of(server) as meter:
            _open(meter, clients)
            with servers.group_messages(bench.around.redis_url) as count:
                server.publishing(100, publications).stamps()
                sent[clients] = count() / publications
    text = ", ".join(f"{value:g} for {clients:,}" for clients, value in sent.items())
    bench.say(f"Redis messages for each publication: {text} clients")
    holds = verdict(set(sent.values()) == {1.0})
    yield Line("Redis messages for each publication, by clients", [text], target="1 for any number", reached=holds)


def _after_the_gap(seqs: Sequence[int]) -> int:
    """The number of a woken client's updates after the longest run of publications that it was not sent."""
    gaps = [later - seq for seq, later in itertools.pairwise(seqs)]
    return len(gaps) - gaps.index(max(gaps)) if gaps else len(seqs)


def stalled(bench: Bench) -> Iterator[Line]:
    clients, seconds = bench.of(1000, 100), bench.of(60, 6)
    # Ours would drop them after WS_TIMEOUT, which is half of the time.
    settings = {"WS_TIMEOUT": "600000"}
    found: dict[bool, Ages] = {}
    with bench.swarna(**settings) as server, bench.clients_of(server) as meter:
        _open(meter, clients)
        found[False] = _spell(bench, server, meter, clients, 100, seconds * 10).ages
    growth = []
    with bench.swarna(**settings) as server, bench.clients_of(server) as meter:
        _open(meter, clients)
        server.publishing(100, 10).stamps()
        meter.settled()
        meter.stall(clients)
        before = server.resident_bytes()
        meter.mark()
        publishing = server.publishing(100, seconds * 10)
        began = time.monotonic()
        for part in (0.5, 1.0):
            time.sleep(max(0.0, began + part * seconds - time.monotonic()))
            growth.append((server.resident_bytes() - before) / clients / KB)
        stamps = publishing.stamps()
        meter.settled()
        lost = meter.report()["closed"]
        found[True] = ages(meter.arrivals(), stamps, clients)
        meter.mark()
        meter.wake()
        meter.settled()
        woken: dict[int, list[int]] = {}
        for _, seq, client, _ in meter.arrivals():
            woken.setdefault(client, []).append(seq)
    newest = sum(seqs[-1] == max(stamps) for seqs in woken.values())
    # What the kernels held from before their buffers were full comes first; then a gap, and what the server sends.
    fresh = [_after_the_gap(seqs) for seqs in woken.values()] or [0]
    held = [len(seqs) - behind for seqs, behind in zip(woken.values(), fresh, strict=False)] or [0]
    bench.say(
        f"p99 {found[False].p99:.1f} ms without, {found[True].p99:.1f} ms with {clients} stalled, {lost} of them lost; "
        f"{growth[0]:.1f} KB each at half time, {growth[1]:.1f} at the end; woken: at most {max(fresh)} "
        f"updates after {max(held)} that the kernels held, {newest} of {clients} with the newest last"
    )
    value = found[True].p99 / found[False].p99
    yield Line(
        f"p99 of {clients:,} live clients at 10 publications/s for {seconds} s beside {clients:,} that never read; "
        f"without them {found[False].p99:.1f} ms",
        [f"{found[True].p99:.1f} ms"],
        ratio=f"{value:.2f} ×",
        target="≤ 1.2 ×",
        reached=verdict(value <= 1.2),
    )
    yield Line(
        f"memory for each that never reads, after {seconds // 2} s and {seconds} s",
        [f"{growth[0]:.1f} KB, {growth[1]:.1f} KB"],
        target="< 64 KB, not growing",
        reached=verdict(max(growth) < 64 and growth[1] <= growth[0] + 2),
    )
    yield Line(
        f"of {clients:,} woken, those whose last update is the newest; updates for each, beside at most {max(held)} "
        "old ones that the kernels held",
        [f"{newest:,}; {max(fresh)}"],
        target="all; 1",
        reached=verdict(newest == clients and max(fresh) == 1),
    )


@dataclass(frozen=True, slots=True)
class _Storm:
    """The course of a storm: all clients gone at once, and back."""

    back: Opened
    usual: Ages
    during: Ages


def _storm(bench: Bench, server: Server, clients: int) -> _Storm:
    with server, bench.clients_of(server) as meter:
        _open(meter, clients)
        usual = _spell(bench, server, meter, clients, 1000, bench.of(15, 3)).ages
        meter.mark()
        publishing = server.publishing(1000, bench.of(30, 5))
        time.sleep(3)  # a publication or two before the cut
        back = meter.storm(in_flight=clients)
        stamps = publishing.stamps()
        meter.settled()
        during = ages(meter.arrivals(), stamps, clients)
    bench.say(
        f"{type(server).__name__}: {back.opened} back in {back.seconds:.1f} s, {back.failed + back.unfinished} "
        f"not; usual p99 {usual.p99:.0f} ms, meanwhile p99 {during.p99:.0f} and at worst {during.worst:.0f} ms"
    )
    return _Storm(back, usual, during)


def storm(bench: Bench) -> Iterator[Line]:
    clients = bench.of(10_000, 300)
    ours = _storm(bench, bench.swarna(), clients)
    node = _storm(bench, Node(bench.around), clients)
    uws = _storm(bench, UWebSockets(bench.around), clients)
    with Textbook(bench.around) as server, bench.clients_of(server) as meter:
        accepted = meter.open(clients, in_flight=IN_FLIGHT)
    bench.say(f"Textbook: {accepted.opened} accepted in {accepted.seconds:.1f} s")
    back = [ours.back, node.back, uws.back]
    value = ours.back.seconds / node.back.seconds
    yield Line(
        f"{clients:,} clients cut off at once, until all are back with a snapshot (Channels: until it took so many, 40 "
        "at a time)",
        [*(f"{opened.seconds:.1f} s" for opened in back), "", f"{accepted.seconds:.1f} s"],
        f"{value:.2f} ×",
        "≤ 0.8 × Node",
        verdict(value <= 0.8),
    )
    lost = [opened.failed + opened.unfinished for opened in back]
    yield Line("refused or lost meanwhile", [str(number) for number in lost], "", "0", verdict(lost[0] == 0))
    value = ours.during.worst / ours.usual.p99
    yield Line(
        f"latest publication to any client that was back; usual p99 {ours.usual.p99:.0f} ms "
        f"(Node: {node.usual.p99:.0f} ms, uWebSockets: {uws.usual.p99:.0f} ms)",
        [f"{found.during.worst:.0f} ms" for found in (ours, node, uws)],
        ratio=f"{value:.2f} × usual p99",
        target="≤ 2 ×",
        reached=verdict(value <= 2),
    )


def hundred_thousand(bench: Bench) -> Iterator[Line]:
    clients, interval, publications = bench.of(100_000, 1000), bench.of(5000, 500), bench.of(60, 5)
    processes = max(2, math.ceil(clients / machine.connections_of_a_process()))
    with (
        SwarnaOnAllCores(bench.around, {"WEB_PROCESSES": str(processes)}) as server,
        bench.clients_of(server, processes=processes) as meter,
    ):
        _open(meter, 20 * processes)
        server.publishing(100, 5).stamps()
        meter.settled()
        before = server.resident_bytes()
        opened = meter.open(clients, in_flight=IN_FLIGHT * processes)
        spread = sorted(machine.open_files(server.process.pid).values())[-processes:]
        bench.say(
            f"{opened.opened} of {clients} connected in {opened.seconds:.1f} s; open files of processes: {spread}"
        )
        found = _spell(bench, server, meter, opened.opened + 20 * processes, interval, publications).ages
        kilobytes = (server.resident_bytes() - before) / opened.opened / KB
        lost = opened.failed + opened.unfinished + meter.report()["closed"]
    name = f"{clients:,} clients of {processes} web processes; they and {processes} meters share two cores"
    yield Line(
        f"{name}: until all are connected", [f"{opened.seconds:.0f} s"], "", "≤ 120 s", verdict(opened.seconds <= 120)
    )
    yield Line("refused or lost of them", [f"{lost:,}"], "", "0", verdict(not lost))
    yield Line(
        f"p99 from publication to client, of {publications} publications in {publications * interval / 1000:.0f} s; "
        f"p50 {found.p50 / 1000:.2f} s, at worst {found.worst / 1000:.2f} s",
        [f"{found.p99 / 1000:.2f} s"],
        target="≤ 2 s",
        reached=verdict(found.p99 <= 2000),
    )
    yield Line("publications missed by a client", [f"{found.missing:,}"], "", "0", verdict(not found.missing))
    yield Line("memory of each", [f"{kilobytes:.1f} KB"], "", "≤ 8.5 KB", verdict(kilobytes <= 8.5))


def start(bench: Bench) -> Iterator[Line]:
    seconds = []
    for _ in range(bench.of(5, 2)):
        with bench.swarna() as server:
            seconds.append(server.start_seconds)
    bench.say(f"ready after {figure(seconds, 's')}")
    yield Line("from exec of `manage.py serve` until it is ready", [figure(seconds, "s")])


def source(bench: Bench) -> Iterator[Line]:
    yield from _source(bench, "SQLite")
    with database("fsync=on", "full_page_writes=on") as address:
        servers.prepare_database(bench.around, DATABASE_URL=address)
        yield from _source(bench, "PostgreSQL", DATABASE_URL=address)


def _source(bench: Bench, name: str, **settings: str) -> Iterator[Line]:
    clients, publications = 100, bench.of(200, 10)
    with bench.swarna(**settings) as server, bench.clients_of(server) as meter:
        _open(meter, clients)
        meter.mark()
        refreshing = server.refreshing(100, publications)
        stamps = refreshing.stamps()
        meter.settled()
        took = ages(meter.arrivals(), stamps, clients)
        commit, commit_p99, publish, publish_p99 = map(float, refreshing.last_words().split())
    bench.say(
        f"{name}, from the answer to a client: p50 {took.p50:.1f}, p99 {took.p99:.1f}, at worst {took.worst:.1f} ms; "
        f"commit p50 {commit:.2f}, p99 {commit_p99:.2f} ms; publish p50 {publish:.2f}, p99 {publish_p99:.2f} ms"
    )
    value = took.p99 / (commit_p99 + publish_p99)
    yield Line(
        f"p99 from a source's last answer to the client's update, {clients} clients, {name}; its rows committed "
        f"{commit_p99:.2f} ms, a publication {publish_p99:.2f} ms (p99, by hand)",
        [f"{took.p99:.1f} ms"],
        f"{value:.1f} × both",
    )
    floor = commit + publish
    yield Line(f"p50 of the same (by hand: {floor:.2f} ms)", [f"{took.p50:.1f} ms"], f"{took.p50 / floor:.1f} × both")


def saves(bench: Bench) -> Iterator[Line]:
    clients, count = bench.of(1000, 100), bench.of(100, 5)
    # As deployed: the saves come at any moment of the interval in which updates are merged. No source answers.
    settings = {"WS_BATCH_INTERVAL": "1s", "FALLBACK_AFTER": "1s"}
    with bench.swarna(**settings) as server, bench.clients_of(server) as meter:
        _open(meter, clients)
        time.sleep(1)  # FALLBACK_AFTER
        meter.mark()
        stamps = server.saving(730, count).stamps()
        meter.settled()
        took = ages(meter.arrivals(), stamps, clients)
    bench.say(
        f"from Save to a client: p50 {took.p50:.1f}, p99 {took.p99:.1f}, at worst {took.worst:.1f} ms; "
        f"{took.missing} of {took.pairs + took.missing} missing"
    )
    yield Line(
        f"from staff's Save of a fallback to the last of {clients:,} clients, the slowest of {count} saves",
        [f"{took.worst:.1f} ms"],
        target="≤ 2 s",
        reached=verdict(took.worst <= 2000 and not took.missing),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: its function, the most connections of a process, and whether it measures servers on Node."""

    measure: Callable[[Bench], Iterator[Line]]
    connections: int
    node: bool = True


ROWS: Final[Mapping[str, Row]] = {
    "plain": Row(plain, 1000),
    "compressed": Row(compressed, 1000),
    "10k": Row(ten_thousand, 10_000),
    "memory": Row(memory, 10_020),
    "connects": Row(connects, 3020),
    "events": Row(events, 10_020, node=False),
    "publishes": Row(publishes, 1000, node=False),
    "stalled": Row(stalled, 2000, node=False),
    "source": Row(source, 100, node=False),
    "saves": Row(saves, 1000, node=False),
    "storm": Row(storm, 10_000),
    "100k": Row(hundred_thousand, 10_000, node=False),
    "start": Row(start, 0, node=False),
    "history": Row(history, 0, node=False),
    "rest": Row(rest, 20, node=False),
    "locks": Row(locks, 20, node=False),
    "pages": Row(pages, 20, node=False),
    "face": Row(face, 20, node=False),
}
