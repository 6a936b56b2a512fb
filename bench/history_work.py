"""`python -m bench.history_work candles|ticks|receipts|queries|ingest|retention|…`: parts of the row `history`.

They work in Django, in the migrated database that DATABASE_URL names, and print what they measured as one line of JSON.
"""

import contextlib
import datetime as dt
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final
from unittest import mock

import django

from prices.domain.quotes import Metal
from prices.domain.source_quotes import RawUnit, SourceQuote

METALS: Final = tuple(metal.value for metal in Metal)
# A year that ends with the month before this one's begin, so that it fits into whole months.
END: Final = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
BEGIN: Final = END - dt.timedelta(days=365)
COUNT: Final = 1000
_AN_HOUR: Final = "at >= '2026-09-15' AND at < '2026-09-15 01:00'"
_PRICE: Final = "9000 + 500 * sin(n / 5000.0)"
_CANDLES: Final = (
    "metal, currency, lane, interval, start, open, high, low, close, ticks, first_at, last_at, seq, source"
)


@contextlib.contextmanager
def cursor() -> Iterator[Any]:
    from django.db import connection

    with connection.cursor() as opened:
        yield opened


# --- filling ---------------------------------------------------------------------------------------------------------


def fill_candles(days: int) -> None:
    """Candles of four metals, in the order in which time brings them, and the minutes once more by number."""
    with cursor() as database:
        database.execute(
            f"""INSERT INTO prices_candle ({_CANDLES})
            SELECT metal, 'INR', 'live', '1m', at, {_PRICE}, {_PRICE} + 5, {_PRICE} - 5, {_PRICE} + 1, 4,
                at, at + interval '59 s', n, ''
            FROM generate_series(0, %s) n, unnest(%s::text[]) metal,
                LATERAL (SELECT %s::timestamptz + n * interval '1 minute' AS at) t
            ORDER BY n, metal""",
            [days * 1440 - 1, list(METALS), END - dt.timedelta(days=days)],
        )
        for name, length in (("5m", "5 min"), ("15m", "15 min"), ("1h", "1 hour"), ("1d", "1 day")):
            database.execute(
                f"""INSERT INTO prices_candle ({_CANDLES})
                SELECT metal, 'INR', 'live', %s, bin, (array_agg(open ORDER BY start))[1], max(high), min(low),
                    (array_agg(close ORDER BY start DESC))[1], sum(ticks), min(first_at), max(last_at), max(seq), ''
                FROM prices_candle, LATERAL (SELECT date_bin(%s::interval, start, '2000-01-01 18:30+00') AS bin) b
                WHERE interval = '1m' GROUP BY metal, bin ORDER BY bin, metal""",
                [name, length],
            )
        database.execute("CREATE TABLE bench_plain (LIKE prices_candle, id bigserial PRIMARY KEY)")
        database.execute(
            f"INSERT INTO bench_plain ({_CANDLES}) SELECT {_CANDLES} FROM prices_candle"
            " WHERE interval = '1m' ORDER BY start, metal"
        )
        database.execute("VACUUM ANALYZE prices_candle, bench_plain")


def fill_ticks(first: int, count: int, every: int) -> None:
    """Of `count` ticks over the year, every `every`-th where `first`, and else all others."""
    from prices.history import partitions

    month = BEGIN
    while month <= END + dt.timedelta(days=62):
        partitions.ensure([month])
        month += dt.timedelta(days=27)
    # All indexes but the primary key, which rows are filled in without.
    with cursor() as database:
        database.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'prices_price' AND indexname !~ 'pkey'"
        )
        indexes = database.fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        database.execute(
            f"""INSERT INTO prices_price
                (currency, price, bid, ask, open, high, low, source, quoted_at, at, seq, published_at, metal_id)
            SELECT 'INR', {_PRICE}, {_PRICE} - 1, {_PRICE} + 1, 9000, 9500, 8500, 'gold_api_com', at, at, n / 4, at,
                metal
            FROM (SELECT n, %s::timestamptz + n / 4 * %s::interval AS at, (%s::text[])[n %% 4 + 1] AS metal
                FROM generate_series(0, %s) n WHERE (n / 4) %% %s {"=" if first else "<>"} 0) t""",
            [BEGIN, (END - BEGIN) / (count / 4), list(METALS), count - 1, every],
        )
        for _, definition in indexes:
            database.execute(definition.replace(" ON ONLY ", " ON "))
        database.execute("VACUUM ANALYZE prices_price")


def fill_receipts(first: int, count: int, every: int) -> dict[str, float]:
    """The receipts of such ticks, all with the text of one that a source gave first; returns the bytes of a row."""
    from prices.domain import receipts
    from prices.domain.quotes import Metal
    from prices.history import partitions

    amounts: dict[str, Any] = dict.fromkeys(
        ("price", "spot", "bid", "ask", "open", "high", "low", "previous_close"), Decimal("13221.3900")
    )
    given = SourceQuote(
        source="gold_api_com",
        spot=amounts["spot"],
        quoted_ms=1790236800120,
        fetched_ms=1790236800731,
        raw_price=Decimal("411231.201172"),
        raw_currency="INR",
        raw_unit=RawUnit.TROY_OUNCE,
    )
    receipt = receipts.Receipt(
        metal=Metal.GOLD,
        currency="INR",
        epoch="q7Vb2xWk",
        seq=2_500_000,
        published_ms=1790236801004,
        source="gold_api_com",
        quoted_ms=1790236800120,
        method=receipts.Method.FIRST,
        premium=Decimal("1.060000"),
        is_premium_included=False,
        age_ms=884,
        limit_ms=300000,
        sources=(given,),
        **amounts,
    )
    month = BEGIN
    while month <= END + dt.timedelta(days=62):
        partitions.ensure([month], partitions.RECEIPTS)
        month += dt.timedelta(days=27)
    with cursor() as database:
        database.execute("DROP INDEX receipt_at")
        database.execute(
            f"""INSERT INTO prices_receipt (seq, metal, published_at, currency, lane, text)
            SELECT n / 4, (%s::text[])[n %% 4 + 1], %s::timestamptz + n / 4 * %s::interval, 'INR', 'live', %s
            FROM generate_series(0, %s) n WHERE (n / 4) %% %s {"=" if first else "<>"} 0""",
            [list(METALS), BEGIN, (END - BEGIN) / (count / 4), receipts.encode(receipt), count - 1, every],
        )
        database.execute("CREATE INDEX receipt_at ON prices_receipt (metal, published_at DESC, seq DESC)")
        database.execute("DELETE FROM prices_receiptmonth")
        database.execute(
            """INSERT INTO prices_receiptmonth (month, first_seq)
            SELECT date_trunc('month', published_at AT TIME ZONE 'UTC'), min(seq) FROM prices_receipt GROUP BY 1"""
        )
        database.execute("DROP TABLE IF EXISTS bench_receipts")
        database.execute(
            f"CREATE TABLE bench_receipts AS SELECT row_number() OVER (ORDER BY seq, metal) AS id, *"
            f" FROM {partitions.name_of(dt.date(2026, 9, 1), partitions.RECEIPTS)}"
        )
        database.execute("ALTER TABLE bench_receipts ADD PRIMARY KEY (id)")
        database.execute("VACUUM ANALYZE prices_receipt, bench_receipts")
        database.execute("SELECT avg(pg_column_size(r)), count(*) FROM bench_receipts r")
        size, rows = database.fetchone()
    return {"bytes a row": float(size), "rows": float(rows)}


# --- queries ---------------------------------------------------------------------------------------------------------


def median_ms(queries: Mapping[str, Callable[[], tuple[str, Sequence[Any]]]], times: int) -> dict[str, float]:
    """The median time of each query, in ms, until its rows are here; in turns, on one connection.

    Rows stay bytes: converting a row to Python takes longer than reading it, and the same time in every query.
    """
    import psycopg
    from django.db import connection

    connection.ensure_connection()
    text = psycopg.ClientCursor(connection.connection)
    taken: dict[str, list[float]] = {name: [] for name in queries}
    for number in range(times + 3):
        for name, make in queries.items():
            query = text.mogrify(*make()).encode()
            began = time.perf_counter()
            answer = connection.connection.pgconn.exec_(query)
            if number >= 3:
                taken[name].append((time.perf_counter() - began) * 1000)
            if answer.error_message:
                raise RuntimeError(answer.error_message.decode())
    return {name: statistics.median(each) for name, each in taken.items()}


def _candles(interval: str, days: int) -> tuple[str, Sequence[Any]]:
    from prices.domain.candles import Interval
    from prices.domain.quotes import PriceKind
    from prices.history.candle_store import Series

    length = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "1d": 1440}[interval] * dt.timedelta(minutes=1)
    year = dt.timedelta(days=days)
    span = min(COUNT * length, year)
    start = END - year + random.random() * (year - span)
    kept = Series(random.choice(METALS), "INR", PriceKind.LIVE).kept(Interval(interval), start, start + span)
    return kept[:COUNT].query.sql_with_params()


def _by_key(rows: int, days: int) -> tuple[str, Sequence[Any]]:
    begin = random.randrange(1, len(METALS) * days * 1440 - COUNT)
    return f"SELECT {_CANDLES} FROM bench_plain WHERE id BETWEEN %s AND %s ORDER BY id", [begin, begin + rows - 1]


def _grouped(interval: str) -> tuple[str, Sequence[Any]]:
    """The query of a request without stored candles."""
    length = {"1m": "1 min", "1h": "1 hour", "1d": "1 day"}[interval]
    minutes = {"1m": 1, "1h": 60, "1d": 1440}[interval]
    span = min(COUNT * minutes * dt.timedelta(minutes=1), END - BEGIN)
    start = BEGIN + random.random() * (END - BEGIN - span)
    return (
        """SELECT date_bin(%s::interval, at, '2000-01-01 18:30+00') AS start, (array_agg(price ORDER BY at))[1],
            max(price), min(price), (array_agg(price ORDER BY at DESC))[1], count(*)
        FROM prices_price WHERE metal_id = %s AND currency = 'INR' AND at >= %s AND at < %s GROUP BY 1 ORDER BY 1""",
        [length, random.choice(METALS), start, start + span],
    )


def _page(at: dt.datetime | None) -> Callable[[], tuple[str, Sequence[Any]]]:
    """A page of a metal's history, as the API queries it, from a cursor on."""
    from django.db.models import Q

    from prices.models import Price

    def make() -> tuple[str, Sequence[Any]]:
        rows = Price.shown().filter(metal=random.choice(METALS)).order_by("-at", "-id")
        if at is not None:
            rows = rows.filter(Q(at__lte=at), Q(at__lt=at) | Q(id__lt=10**9))
        return rows[:101].query.sql_with_params()

    return make


def _receipts_by_key(rows: int, among: int) -> tuple[str, Sequence[Any]]:
    begin = random.randrange(1, among - rows)
    columns = "seq, metal, published_at, currency, lane, text"
    return f"SELECT {columns} FROM bench_receipts WHERE id BETWEEN %s AND %s ORDER BY id", [begin, begin + rows - 1]


def _receipts_of(seqs: Sequence[int]) -> tuple[str, Sequence[Any]]:
    """The first query of `GET publications/<seq>/`."""
    from prices.publishing import receipts

    return next(receipts.where_it_may_be(random.choice(seqs))).query.sql_with_params()


def _price_at() -> tuple[str, Sequence[Any]]:
    """The first query of `GET prices/<metal>/?at=`."""
    from prices.domain.quotes import Metal
    from prices.publishing import receipts

    until = BEGIN + dt.timedelta(hours=1) + random.random() * (END - BEGIN - dt.timedelta(hours=1))
    return next(receipts.published_before(random.choice(list(Metal)), until))[:1].query.sql_with_params()


def receipt_queries(times: int, among: int, publications: int, every: int) -> dict[str, float]:
    """Measure the reading of receipts, beside so many rows like theirs by a primary key."""
    seqs = [random.randrange(0, publications, every) or every for _ in range(1000)]
    return median_ms(
        {
            "publication": partial(_receipts_of, seqs),
            "at": _price_at,
            "by key 4": partial(_receipts_by_key, 4, among),
            "by key 1": partial(_receipts_by_key, 1, among),
        },
        times,
    )


def queries(days: int, times: int) -> dict[str, float]:
    """Measure all queries, in turns."""
    intervals = ("1m", "5m", "15m", "1h", "1d")
    rows = {interval: min(days, COUNT) if interval == "1d" else COUNT for interval in intervals}
    found = median_ms(
        {
            **{f"candles {interval}": partial(_candles, interval, days) for interval in intervals},
            **{f"by key {rows[interval]}": partial(_by_key, rows[interval], days) for interval in intervals},
            "first page": _page(None),
            "deepest page": _page(BEGIN + dt.timedelta(hours=1)),
        },
        times,
    )
    few = max(3, times // 40)
    return found | median_ms({f"grouped {name}": partial(_grouped, name) for name in ("1m", "1h", "1d")}, few)


def index_kinds(times: int) -> dict[str, float]:
    """One month in a table of its own with the btree, and in one with a BRIN on `at`: pages, ranges, and size."""
    found: dict[str, float] = {}
    kinds = {"btree": "btree (metal_id, currency, at DESC, id DESC)", "brin": "brin (at)"}
    with cursor() as database:
        for kind, definition in kinds.items():
            database.execute(f"CREATE TABLE bench_{kind} AS SELECT * FROM prices_price_2026_09 ORDER BY at, id")
            database.execute(f"CREATE INDEX bench_{kind}_index ON bench_{kind} USING {definition}")
            database.execute(f"VACUUM ANALYZE bench_{kind}")
            database.execute(f"SELECT pg_relation_size('bench_{kind}_index')")
            found[f"{kind} bytes"] = float(database.fetchone()[0])
    wanted = {"page": "ORDER BY at DESC, id DESC LIMIT 101", "hour": f"AND {_AN_HOUR} ORDER BY at"}
    pages = {
        f"{kind} {name}": partial(_of_gold, f"bench_{kind}", text) for kind in kinds for name, text in wanted.items()
    }
    return found | median_ms(pages, max(5, times // 5))


def _of_gold(table: str, text: str) -> tuple[str, Sequence[Any]]:
    return f"SELECT * FROM {table} WHERE metal_id = 'gold' AND currency = 'INR' {text}", []


# --- ingest ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def nobody_listens() -> Iterator[None]:
    """Leave out publishing, which is not the database's work."""
    with mock.patch("streaming.publish.publication"):
        yield


class Ingesting:
    """Publications of four metals, a second apart, each with another price than the last."""

    def __init__(self) -> None:
        from prices.models import LatestPrice

        self._number = 0
        # After the last that is there: an older one would be no news, and cost nothing.
        newest = LatestPrice.objects.order_by("-quoted_at").values_list("quoted_at", flat=True).first()
        self._now = max(dt.datetime.now(dt.UTC), newest or BEGIN)

    def publication(self) -> float:
        """Write the next one; returns the time that took, in ms."""
        from prices.domain.quotes import Metal, Quote
        from prices.publishing import ingest

        self._number += 1
        at = self._now + dt.timedelta(seconds=self._number)
        price = Decimal(9000) + self._number % 100
        quotes = [
            Quote(metal=Metal(name), price=price, currency="INR", source="gold_api_com", quoted_at=at)
            for name in METALS
        ]
        began = time.perf_counter()
        published = ingest.record(quotes, now=at)
        took = (time.perf_counter() - began) * 1000
        if published is None or len(published.quotes) != len(METALS):
            raise RuntimeError("a publication was no news")
        return took

    def bare(self) -> float:
        """The rows of a publication, four prices and twenty candles, by psycopg in one commit, in the same tables."""
        from django.db import connection

        self._number += 1
        at = self._now + dt.timedelta(seconds=self._number)
        hour = at.replace(minute=0, second=0, microsecond=0)
        prices = [
            value
            for metal in METALS
            for value in ("XTS", 9000, 9000, 9000, 9000, "bench", at, at, self._number, at, metal)
        ]
        candles = [
            value
            for metal in METALS
            for interval in ("1m", "5m", "15m", "1h", "1d")
            for value in (metal, "XTS", "live", interval, hour, 9000, 9000, 9000, 9000, 1, at, at, self._number, "")
        ]
        one, candle = (f"({', '.join(['%s'] * count)})" for count in (11, 14))
        connection.ensure_connection()
        psycopg = connection.connection
        began = time.perf_counter()
        with psycopg.transaction():
            psycopg.execute(
                "INSERT INTO prices_price (currency, price, open, high, low, source, quoted_at, at, seq, published_at,"
                f" metal_id) VALUES {', '.join([one] * 4)}",
                prices,
            )
            psycopg.execute(
                f"INSERT INTO prices_candle ({_CANDLES}) VALUES {', '.join([candle] * 20)}"
                " ON CONFLICT (metal, currency, lane, interval, start) DO UPDATE SET close = excluded.close,"
                " ticks = prices_candle.ticks + 1, last_at = excluded.last_at, seq = excluded.seq",
                candles,
            )
        return (time.perf_counter() - began) * 1000


def _without_receipts(work: Ingesting) -> Callable[[], Any]:
    """A context in which publications have no receipts: those of one publication stand for all."""
    from prices.publishing import ingest, receipts

    with mock.patch.object(receipts, "store") as store:
        work.publication()
    ((made, _), _) = store.call_args

    @contextlib.contextmanager
    def without() -> Iterator[None]:
        with (
            mock.patch.object(ingest._Writer, "_receipts", return_value=made),
            mock.patch.object(receipts, "store"),
        ):
            yield

    return without


def ingest(times: int) -> dict[str, float]:
    """Measure ingest with candles, without, and of the bare rows, in turns."""
    from prices.history import candle_store

    work = Ingesting()
    taken: dict[str, list[float]] = {"with": [], "without": [], "without receipts": [], "bare": []}
    with nobody_listens():
        work.publication()
        work.bare()
        unreceipted = _without_receipts(work)
        for _ in range(times):
            taken["with"].append(work.publication())
            with mock.patch.object(candle_store, "take", return_value=[]):
                taken["without"].append(work.publication())
            with unreceipted():
                taken["without receipts"].append(work.publication())
            taken["bare"].append(work.bare())
    return {name: statistics.median(each) for name, each in taken.items()}


def beside() -> dict[str, float]:
    """Write publications without a pause until standard input is closed; returns times before and between marks."""
    work = Ingesting()
    spells: list[tuple[float, float]] = []
    reading = os.fdopen(0, "rb", buffering=0)
    os.set_blocking(0, False)
    marks: list[float] = []
    with nobody_listens():
        work.publication()
        print("ready", flush=True)
        while (said := reading.read(1)) != b"":
            if said:
                marks.append(time.monotonic())
            spells.append((time.monotonic(), work.publication()))
    begin, end = marks
    usual = sorted(took for at, took in spells if at < begin)
    during = sorted(took for at, took in spells if at + took / 1000 >= begin and at <= end)
    return {
        "publications": len(during),
        "usual p50": usual[len(usual) // 2],
        "usual worst": usual[-1],
        "worst": during[-1],
        "p50": during[len(during) // 2],
    }


def retention(seconds: float) -> dict[str, float]:
    """Make months ahead and drop the oldest, with ingest beside, in a process of its own."""
    from prices.history import partitions

    process = subprocess.Popen(
        [sys.executable, "-m", "bench.history_work", "beside"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    process.stdin.write(b".")
    process.stdin.flush()
    began = time.perf_counter()
    partitions.create_ahead(END + dt.timedelta(days=120))
    made = time.perf_counter()
    oldest = partitions.next_month(partitions.month_of(BEGIN))
    dropped = partitions.drop_before(dt.datetime.combine(oldest, dt.time(), dt.UTC))
    took = time.perf_counter() - made
    time.sleep(1)  # any ingest that waits is through by then
    process.stdin.write(b".")
    process.stdin.flush()
    time.sleep(0.2)
    process.stdin.close()
    (text,) = process.stdout.read().splitlines()
    process.wait()
    if len(dropped or []) != 1:
        raise RuntimeError(f"one month was to go, and not {dropped}")
    found: dict[str, float] = json.loads(text)
    return found | {"create s": made - began, "drop s": took}


def main() -> None:
    part, *arguments = sys.argv[1:]
    os.environ["DJANGO_SETTINGS_MODULE"] = "swarna.settings"
    os.environ["PRICE_PROVIDERS"] = "gold_api_com"
    django.setup()
    from infra.postgresql import long_work

    numbers = list(map(int, arguments))
    parts: Mapping[str, Callable[..., Any]] = {
        "candles": fill_candles,
        "ticks": fill_ticks,
        "receipts": fill_receipts,
        "receipt_queries": receipt_queries,
        "queries": queries,
        "index": index_kinds,
        "ingest": ingest,
        "beside": beside,
        "retention": retention,
    }
    with long_work():  # years of ticks are filled in at once
        print(json.dumps(parts[part](*numbers)), flush=True)


if __name__ == "__main__":
    main()
