"""History as CSV: what is written is read back, and what cannot be read is named by line and column."""

import datetime as dt
import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain.candles import Interval
from prices.domain.quotes import LARGEST_PRICE, Metal
from prices.domain.units import PRICE_STEP
from prices.history import csv_format
from prices.history.csv_format import EARLIEST, Bar, CsvError, Tick
from tests.support.quotes import NOW

INDIA = ZoneInfo("Asia/Kolkata")
TICKS = "metal,at,price\n"
BARS = "metal,interval,start,open,high,low,close\n"


def read(text: str, zone: dt.tzinfo = INDIA) -> list[Any]:
    return [row for _, row in csv_format.read(text.splitlines(keepends=True), currency="INR", zone=zone, now=NOW)]


def detail(text: str) -> str:
    with pytest.raises(CsvError) as raised:
        read(text)
    return str(raised.value)


# --- round trips -----------------------------------------------------------------------------------------------------

amounts = st.decimals(PRICE_STEP, LARGEST_PRICE, places=4)
moments = st.datetimes(EARLIEST.replace(tzinfo=None), NOW.replace(tzinfo=None)).map(
    lambda at: at.replace(tzinfo=dt.UTC)
)


@st.composite
def some_ticks(draw: st.DrawFn) -> Tick:
    bid, ask = sorted([draw(amounts), draw(amounts)])
    return Tick(
        metal=draw(st.sampled_from(Metal)),
        at=draw(moments),
        price=draw(amounts),
        bid=draw(st.sampled_from([None, bid])),
        ask=draw(st.sampled_from([None, ask])),
        source=draw(st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,39}", fullmatch=True)),
    )


@st.composite
def some_bars(draw: st.DrawFn) -> Bar:
    low, open_, high = sorted([draw(amounts), draw(amounts), draw(amounts)])
    interval = draw(st.sampled_from(Interval))
    start = interval.start(draw(moments), INDIA)
    return Bar(
        metal=draw(st.sampled_from(Metal)),
        interval=interval,
        start=max(start, interval.start(EARLIEST + dt.timedelta(days=2), INDIA)),
        open=open_,
        high=high,
        low=low,
        close=draw(st.sampled_from([low, open_, high])),
    )


@given(st.lists(some_ticks(), max_size=5))
def test_ticks_that_are_written_are_read_back(rows: list[Tick]) -> None:
    assert read("".join(csv_format.ticks(rows, currency="INR"))) == rows


@given(st.lists(some_bars(), max_size=5))
def test_candles_that_are_written_are_read_back(rows: list[Bar]) -> None:
    assert read("".join(csv_format.bars(rows, currency="INR"))) == rows


def test_what_is_written_looks_like_this() -> None:
    tick = Tick(metal=Metal.GOLD, at=NOW, price=Decimal("9223.3162"), ask=Decimal("9224.0000"), source="metals_dev")
    assert "".join(csv_format.ticks([tick], currency="INR")) == (
        "metal,at,price,bid,ask,source,currency\ngold,2026-09-24T08:00:00.000000Z,9223.3162,,9224.0000,metals_dev,INR\n"
    )
    start = dt.datetime(2026, 9, 22, 18, 30, tzinfo=dt.UTC)
    price = Decimal("9223.3162")
    bar = Bar(metal=Metal.GOLD, interval=Interval.DAY, start=start, open=price, high=price, low=price, close=price)
    assert "".join(csv_format.bars([bar], currency="INR")) == (
        "metal,interval,start,open,high,low,close,currency\n"
        "gold,1d,2026-09-22T18:30:00.000000Z,9223.3162,9223.3162,9223.3162,9223.3162,INR\n"
    )


def test_rows_come_one_by_one_while_the_file_is_still_read() -> None:
    def endless() -> Iterator[str]:
        yield TICKS
        yield from itertools.repeat("gold,2026-09-24T08:00:00Z,9223.3162\n")

    rows = csv_format.read(endless(), currency="INR", zone=INDIA, now=NOW)
    assert [line for line, _ in itertools.islice(rows, 3)] == [2, 3, 4]


# --- what people write -----------------------------------------------------------------------------------------------


def test_columns_may_come_in_any_order_with_a_byte_order_mark_and_blanks() -> None:
    (tick,) = read("\ufeffPrice, at ,METAL\r\n\r\n 9223.31625 ,2026-09-24T13:30:00+05:30, Gold\r\n")
    assert tick == Tick(metal=Metal.GOLD, at=NOW, price=Decimal("9223.3162"))


def test_a_day_may_be_written_as_its_date() -> None:
    (bar,) = read(BARS + "gold,1d,2026-09-23,2,3,1,2\n")
    assert bar.start == dt.datetime(2026, 9, 22, 18, 30, tzinfo=dt.UTC)
    (bar,) = read(BARS + "gold,1d,2026-03-29,2,3,1,2\n", ZoneInfo("Europe/Berlin"))  # of 23 hours
    assert bar.start == dt.datetime(2026, 3, 28, 23, tzinfo=dt.UTC)


def test_today_may_be_written_as_its_date_before_its_noon() -> None:
    (bar,) = read(BARS + "gold,1d,2026-09-24,2,3,1,2\n", ZoneInfo("UTC"))  # at 08:00
    assert bar.start == NOW.replace(hour=0)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffmetal,at,price\r\ngold,2026-09-24T08:00:00Z,9223.31\r\n",
        "metal,at,price,,\r\n,,,,\r\ngold,2026-09-24T08:00:00Z,9223.31,,\r\n,,,,\r\n\r\n",
        "metal;at;price\r\ngold;2026-09-24T08:00:00Z;9223,31\r\n;;\r\n",
        'metal;at;price;;\r\n"gold";"2026-09-24T08:00:00Z";"9223,31";;\r\n',
        ",,\r\n\r\nmetal,at,price,bid,ask,source\r\ngold,2026-09-24T08:00:00Z,9223.31\r\n",
        "metal,at,price\rgold,2026-09-24T08:00:00Z,9223.31\r",
    ],
)
def test_what_spreadsheets_make_of_a_file_is_read(text: str) -> None:
    assert read(text) == [Tick(metal=Metal.GOLD, at=NOW, price=Decimal("9223.31"))]


# --- what cannot be read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column metal: is missing. The first line names the columns"),
        ("metal\tat\tprice\n", "line 1, column metal: is missing"),
        ("metal,,at,price\n", "line 1, column number 2: is not known"),
        ("\n;;\nmetal;at;prise\n", "line 3, column price: is missing"),
        (TICKS + "gold,2026-09-24T08:00:00Z,1,2\n", "line 2, has 4 values, and the first line names 3 columns"),
        ("metal;at;price\ngold;2026-09-24T08:00:00Z;9223.31\n", "the comma is the decimal mark"),
        ("metal;at;price\ngold;2026-09-24T08:00:00Z;9.223,31\n", "'9.223,31': write a positive price per gram"),
        ("metal,at\n", "line 1, column price: is missing"),
        ("metal,interval,start,open,high,low\n", "line 1, column close: is missing"),
        ("metal,at,price,open\n", "line 1, column open: is not known"),
        ("metal,at,price,price\n", "line 1, column price: is there twice"),
        (TICKS + "gold,2026-09-24T08:00:00Z\n", "line 2, has 2 values, and the first line names 3 columns"),
        (TICKS + "lead,2026-09-24T08:00:00Z,1\n", "line 2, column metal: 'lead': write one of gold, silver"),
        (TICKS + ",2026-09-24T08:00:00Z,1\n", "line 2, column metal: write one of gold, silver"),
        (TICKS + "gold,2026-09-24T08:00:00,1\n", "column at: '2026-09-24T08:00:00': write a time with its zone"),
        (TICKS + "gold,yesterday,1\n", "line 2, column at: 'yesterday': write a time with its zone"),
        (TICKS + "gold,0001-01-01T00:00:00+05:30,1\n", "line 2, column at: '0001-01-01T00:00:00+05:30': write a time"),
        (
            TICKS + "gold,9999-12-31T23:59:59Z,1\n",
            "column at: '9999-12-31T23:59:59Z': write a time from 1900 until now",
        ),
        (TICKS + "gold,1899-12-31T23:59:59Z,1\n", "write a time from 1900 until now"),
        *(
            (TICKS + f'gold,2026-09-24T08:00:00Z,"{price}"\n', "column price: ")
            for price in (
                "0",
                "-1",
                "",
                "NaN",
                "Infinity",
                "1e12",
                "0.00001",
                "9,223.31",
                "₹9223",
                "1e999999999",
                "13_221.39",
                "1e3",
                "nan",
                "١٣٢٢١",
                "\N{FULLWIDTH DIGIT ONE}3221",
                "+9223",
                "9223.",
                ".5",
                "9223,31",
                "9 223",
                "0x10",
            )
        ),
        (
            "metal,at,price,bid,ask\ngold,2026-09-24T08:00:00Z,1,3,2\n",
            "line 2, column bid: '3': it is above the ask, 2",
        ),
        ("metal,at,price,bid\ngold,2026-09-24T08:00:00Z,1,x\n", "line 2, column bid: 'x': write a positive price"),
        ("metal,at,price,source\ngold,2026-09-24T08:00:00Z,1,=1+1\n", "line 2, column source: '=1+1': write a name"),
        (
            "metal,at,price,currency\ngold,2026-09-24T08:00:00Z,1,USD\n",
            "column currency: 'USD': prices here are in INR",
        ),
        (BARS + "gold,2m,2026-09-24T08:00:00Z,2,3,1,2\n", "line 2, column interval: '2m': write one of 1m, 5m, 15m"),
        (
            BARS + "gold,1h,2026-09-24T07:30:00Z,2,3,1,2\n",
            "no 1h candle begins then; the one that holds it does at 2026-09-24T07:00:00.000000Z",
        ),
        (BARS + "gold,1d,2026-09-24T00:00:00Z,2,3,1,2\n", "no 1d candle begins then"),
        (BARS + "gold,1d,2026-13-01,2,3,1,2\n", "line 2, column start: '2026-13-01': write the day as 2026-09-24"),
        (BARS + "gold,1d,24.09.2026,2,3,1,2\n", "line 2, column start: '24.09.2026': write the day as 2026-09-24"),
        (BARS + "gold,1h,2026-09-24,2,3,1,2\n", "line 2, column start: '2026-09-24': write a time with its zone"),
        (BARS + "gold,1d,9999-12-31,2,3,1,2\n", "line 2, column start: '9999-12-31': write a time from"),
        (BARS + "gold,1d,2026-09-25,2,3,1,2\n", "line 2, column start: '2026-09-25': write a time from"),
        (BARS + "gold,1d,1899-12-31,2,3,1,2\n", "line 2, column start: '1899-12-31': write a time from"),
        (BARS + "gold,1h,2026-09-24T07:00:00Z,2,3,2.5,2.7\n", "line 2, column low: '2.5': open and close have to lie"),
        (BARS + "gold,1h,2026-09-24T07:00:00Z,2,3,1,4\n", "line 2, column high: '3': open and close have to lie"),
        (TICKS + '"gold,2026-09-24T08:00:00Z,1\n', "is no CSV: unexpected end of data."),
        (TICKS + f"gold,2026-09-24T08:00:00Z,{'9' * 200_000}\n", "is no CSV"),
    ],
)
def test_what_cannot_be_read_is_named_by_line_and_column(text: str, said: str) -> None:
    found = detail(text)
    assert said in found
    assert len(found) < 300


def test_the_line_that_is_named_is_the_one_in_the_file() -> None:
    assert detail(TICKS + "\ngold,2026-09-24T08:00:00Z,1\n\ngold,2026-09-24T08:00:00Z,0\n").startswith("line 5, ")


@given(st.text() | st.text().map((TICKS + "gold,2026-09-24T08:00:00Z,{}").format) | st.text().map((BARS + "{}").format))
def test_whatever_a_file_holds_is_rows_or_one_short_error(text: str) -> None:
    try:
        rows = read(text)
    except CsvError as error:
        assert len(str(error)) < 300
        return
    assert all(isinstance(row, Tick | Bar) for row in rows)
