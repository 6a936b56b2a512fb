"""Price locks: what it costs to lock a price and to redeem it, beside a save of staff's by REST, on PostgreSQL."""

from collections.abc import Iterator

from bench import servers
from bench.bench import Bench
from bench.history import database
from bench.lock_work import CLIENTS
from bench.report import Line, figure, ratio, verdict


def locks(bench: Bench) -> Iterator[Line]:
    times, times_at_once = bench.of(200, 20), bench.of(40, 5)
    rounds = []
    with database("fsync=on", "full_page_writes=on") as address:
        servers.prepare_database(bench.around, DATABASE_URL=address)
        for _ in bench.rounds:
            with bench.swarna(DATABASE_URL=address, API_USER_RATE_LIMIT="0") as server:
                rounds.append(server.locking(times, times_at_once))
            bench.say(", ".join(f"{name} {value:.4g}" for name, value in rounds[-1].items()))
    of = {name: [each[name] for each in rounds] for name in rounds[0]}
    for text, name in (("POST locks/", "lock"), ("POST locks/<id>/redeem/", "redeem")):
        said, value = ratio(of[name], of["save"])
        yield Line(
            f"p50 of {text} with a key, one client, PostgreSQL; a token's PATCH fallback-prices/gold/ "
            f"{figure(of['save'], 'ms')}",
            [figure(of[name], "ms")],
            said,
            "≤ 1.5 ×",
            verdict(value <= 1.5),
        )
    yield Line(
        f"locks granted and redeemed a second by {CLIENTS} clients at once; p99 of a grant "
        f"{figure(of['lock p99'], 'ms')}, of a redemption {figure(of['redeem p99'], 'ms')}",
        [figure(of["rate"], "")],
    )
    lost = sum(of["failed"]), sum(of["twice"])
    yield Line(
        "of them failed; granted or redeemed twice", [f"{lost[0]:g}; {lost[1]:g}"], "", "0; 0", verdict(not any(lost))
    )
