"""History as CSV, as `manage.py export` writes and `manage.py backfill --csv` reads it. Knows no file and no Django.

Ticks:   metal,at,price[,bid,ask,source,currency]
Candles: metal,interval,start,open,high,low,close[,currency]

The first line names the columns, in any order; ticks and candles differ by them. Amounts are per gram, as published.

Files of spreadsheets can be read too: with a byte order mark, blank rows, empty cells at the ends of lines, and `;`
between the columns where the language writes decimals with a comma.
"""

import csv
import datetime as dt
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain
from typing import Final

from prices.domain.candles import Interval
from prices.domain.quotes import FIRST_YEAR, LARGEST_PRICE, Metal
from prices.domain.units import rounded

# The source of rows that name none.
CSV: Final = "csv"
EARLIEST: Final = dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC)
_TICK: Final = ("metal", "at", "price")
_BESIDE_TICK: Final = ("bid", "ask", "source", "currency")
_CANDLE: Final = ("metal", "interval", "start", "open", "high", "low", "close")
_BESIDE_CANDLE: Final = ("currency",)
_MAY_BE_EMPTY: Final = {*_BESIDE_TICK, *_BESIDE_CANDLE}
# ASCII only: Python's other forms of a number (1_000, 1e3, the digits of other scripts) are slips in a file.
_NUMBER: Final = {",": re.compile(r"[0-9]+(\.[0-9]+)?"), ";": re.compile(r"[0-9]+(,[0-9]+)?")}
_EXAMPLE: Final = {
    ",": "such as 9223.3162",
    ";": "such as 9223,3162: where ; is between columns, the comma is the decimal mark",
}
_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_TIME: Final = "write a time with its zone, such as 2026-09-24T08:00:00Z."
_DAY: Final = "write the day as 2026-09-24: a spreadsheet keeps that where the column's format is text."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One line of ticks: the price of a metal from `at` on, as `source` gave it. Amounts per gram."""

    metal: Metal
    at: dt.datetime
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    source: str = CSV


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One line of a file of candles: one candle, its amounts per gram."""

    metal: Metal
    interval: Interval
    start: dt.datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class CsvError(ValueError):
    """The line and column of a file that cannot be read, and what to write instead."""

    def __init__(self, line: int, column: str, detail: str) -> None:
        super().__init__(f"line {line}, {f'column {column}: ' if column else ''}{detail}")
        self.line = line
        self.column = column


def read(lines: Iterable[str], *, currency: str, zone: dt.tzinfo, now: dt.datetime) -> Iterator[tuple[int, Tick | Bar]]:
    """Yield each row of a file with the number of its line; keeps none in memory.

    Prices are in `currency`, and days begin at midnight of `zone`. Raises CsvError at the first line that is wrong.
    """
    first, lines = _first(lines)
    layout = _Layout((), ";" if ";" in first[-1] else ",", currency, zone, now)
    rows = csv.reader(chain(first, lines), delimiter=layout.delimiter, strict=True)
    filled = (row for row in rows if any(map(str.strip, row)))
    try:
        layout = replace(layout, columns=_columns(next(filled, []), rows.line_num or 1))
        parse = _bar if "interval" in layout.columns else _tick
        for row in filled:
            yield rows.line_num, parse(_Line(rows.line_num, layout, row))
    except csv.Error as error:
        raise CsvError(rows.line_num, "", f"is no CSV: {error}.") from error


def ticks(rows: Iterable[Tick], *, currency: str) -> Generator[str]:
    """The lines of a file of ticks; the first names the columns."""
    yield _written((*_TICK, *_BESIDE_TICK))
    for row in rows:
        amounts = (_amount(amount) for amount in (row.price, row.bid, row.ask))
        yield _written((row.metal, _time(row.at), *amounts, row.source, currency))


def bars(rows: Iterable[Bar], *, currency: str) -> Generator[str]:
    """The lines of a file of candles; the first names the columns."""
    yield _written((*_CANDLE, *_BESIDE_CANDLE))
    for row in rows:
        amounts = (_amount(amount) for amount in (row.open, row.high, row.low, row.close))
        yield _written((row.metal, row.interval, _time(row.start), *amounts, currency))


class _Echo:
    """A file for csv.writer that returns each line, so that `writerow` returns it too."""

    def write(self, text: str) -> str:
        return text


_written: Final[Callable[[Sequence[str]], str]] = csv.writer(_Echo(), lineterminator="\n").writerow


def _amount(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:f}"


def _time(at: dt.datetime) -> str:
    """A time to the microsecond: two moments one apart stay two."""
    return at.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _first(lines: Iterable[str]) -> tuple[list[str], Iterator[str]]:
    """The lines up to the first one that is not blank, and the lines after it."""
    rest = iter(lines)
    first = [""]
    for line in rest:
        first.append(line)
        if line.strip('\ufeff\r\n\t ,;"'):
            break
    return first[1:] or first, rest


def _columns(names: list[str], line: int) -> tuple[str, ...]:
    """The columns in order, as the first line names them."""
    known = [name.strip().lstrip("\ufeff").lower() for name in names]
    while known and not known[-1]:
        known.pop()
    needed, beside = (_CANDLE, _BESIDE_CANDLE) if "interval" in known else (_TICK, _BESIDE_TICK)
    advice = f"The first line names the columns, with commas between: {','.join(_TICK)} or {','.join(_CANDLE)}"
    for name in needed:
        if name not in known:
            raise CsvError(line, name, f"is missing. {advice}.")
    for number, name in enumerate(known, start=1):
        if name not in (*needed, *beside):
            called = name[:40] or f"number {number}"
            raise CsvError(line, called, f"is not known. {advice}; and, where wanted, {', '.join(beside)}.")
        if known.count(name) > 1:
            raise CsvError(line, name, "is there twice.")
    return tuple(known)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The columns of a file, and everything else needed to read its lines."""

    columns: tuple[str, ...]
    delimiter: str
    currency: str
    zone: dt.tzinfo
    now: dt.datetime


class _Line:
    """One line, read column by column."""

    def __init__(self, number: int, layout: _Layout, row: list[str]) -> None:
        self.number = number
        self._layout = layout
        columns, cells = layout.columns, [cell.strip() for cell in row]
        # A spreadsheet may add empty cells at the end of a line, and leave out those of the last columns.
        if any(cells[len(columns) :]) or any(name not in _MAY_BE_EMPTY for name in columns[len(cells) :]):
            raise CsvError(number, "", f"has {len(row)} values, and the first line names {len(columns)} columns.")
        self._given = dict.fromkeys(columns, "") | dict(zip(columns, cells, strict=False))
        if (self._given.get("currency") or layout.currency) != layout.currency:
            raise self.error("currency", f"prices here are in {layout.currency} (BASE_CURRENCY), and these in another.")

    def error(self, column: str, detail: str) -> CsvError:
        given = self._given.get(column, "")
        return CsvError(self.number, column, f"{given[:40]!r}: {detail}" if given else detail)

    def metal(self) -> Metal:
        try:
            return Metal(self._given["metal"].lower())
        except ValueError as error:
            raise self.error("metal", f"write one of {', '.join(Metal)}.") from error

    def interval(self) -> Interval:
        try:
            return Interval(self._given["interval"])
        except ValueError as error:
            raise self.error("interval", f"write one of {', '.join(Interval)}.") from error

    def source(self) -> str:
        given = self._given.get("source") or CSV
        if not _SOURCE.fullmatch(given):
            raise self.error("source", "write a name of small letters, digits, _ . and -, 40 at most.")
        return given

    def amount(self, column: str) -> Decimal:
        given, delimiter = self._given[column], self._layout.delimiter
        if _NUMBER[delimiter].fullmatch(given):
            amount = Decimal(given.replace(",", "."))
            if 0 < amount <= LARGEST_PRICE and (amount := rounded(amount)):
                return amount
        raise self.error(column, f"write a positive price per gram in plain digits, {_EXAMPLE[delimiter]}.")

    def amount_if_any(self, column: str) -> Decimal | None:
        return self.amount(column) if self._given.get(column) else None

    def time(self, column: str, advice: str = _TIME) -> dt.datetime:
        try:
            at = dt.datetime.fromisoformat(self._given[column])
            if at.tzinfo is None:
                raise ValueError
            at = at.astimezone(dt.UTC)
        except (ValueError, OverflowError) as error:
            raise self.error(column, advice) from error
        if not EARLIEST <= at <= self._layout.now:
            raise self._out_of_range(column)
        return at

    def _out_of_range(self, column: str) -> CsvError:
        return self.error(column, f"write a time from {EARLIEST.year} until now.")

    def start(self, interval: Interval) -> dt.datetime:
        """The start of a candle. A day may be written as its date."""
        try:
            date = dt.date.fromisoformat(self._given["start"]) if interval is Interval.DAY else None
        except ValueError:
            date = None
        if date is not None:
            noon = dt.datetime.combine(date, dt.time(12), self._layout.zone)
            if date < EARLIEST.date() or (begins := interval.start(noon, self._layout.zone)) > self._layout.now:
                raise self._out_of_range("start")
            return begins
        at = self.time("start", _DAY if interval is Interval.DAY else _TIME)
        if (begins := interval.start(at, self._layout.zone)) != at:
            raise self.error(
                "start", f"no {interval} candle begins then; the one that holds it does at {_time(begins)}."
            )
        return at


def _tick(line: _Line) -> Tick:
    tick = Tick(
        metal=line.metal(),
        at=line.time("at"),
        price=line.amount("price"),
        bid=line.amount_if_any("bid"),
        ask=line.amount_if_any("ask"),
        source=line.source(),
    )
    if tick.bid and tick.ask and tick.bid > tick.ask:
        raise line.error("bid", f"it is above the ask, {tick.ask}.")
    return tick


def _bar(line: _Line) -> Bar:
    bar = Bar(
        metal=line.metal(),
        interval=(interval := line.interval()),
        start=line.start(interval),
        open=line.amount("open"),
        high=line.amount("high"),
        low=line.amount("low"),
        close=line.amount("close"),
    )
    for column, wrong in (
        ("low", bar.low > min(bar.open, bar.close, bar.high)),
        ("high", bar.high < max(bar.open, bar.close)),
    ):
        if wrong:
            raise line.error(column, "open and close have to lie between low and high.")
    return bar
