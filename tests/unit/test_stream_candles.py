"""Candles on the stream: which of them a client is sent, and when one is closed."""

import datetime as dt
import json
from decimal import Decimal

import msgspec
import pytest
from rest_framework.serializers import Serializer

from prices.api.serializers import CandleSerializer, ChangeSerializer, QuoteSerializer
from prices.domain.candles import Counted, Interval, ZonedCandle, of_tick
from prices.domain.positions import Position
from prices.domain.wire import CandleData, ChangeData, PriceData
from streaming import candles
from streaming.candles import CandleLog, CandleUpdate
from streaming.protocol import CANDLES, EVERY_METAL, ClientError, ErrorCode, parse
from streaming.publication_log import PublicationLog
from tests.support.quotes import NOW
from tests.unit.test_publication_log import publication

MINUTE = dt.timedelta(minutes=1)
ONE = frozenset({"1m"})


def candle(minute: int, seq: int, price: int = 100, interval: Interval = Interval.MINUTE) -> CandleUpdate:
    start = NOW + minute * MINUTE
    tick = Counted(at=start, source="a", price=Decimal(price), order=seq, seq=seq)
    return CandleUpdate.of(ZonedCandle.of(of_tick(tick, interval, start), dt.UTC))


def log_of(*updates: CandleUpdate) -> CandleLog:
    log = CandleLog()
    for update in updates:
        log.take("gold", [update])
    return log


def sent(log: CandleLog, since: int | None) -> list[tuple[str, int, bool]]:
    """Start, close and whether it is closed of the minutes of gold."""
    minutes = log.changed(["gold"], ONE, since)["gold"]["1m"]
    return [(each.start[14:16], int(each.close), each.closed) for each in minutes]


def test_a_snapshot_has_the_live_candle_alone() -> None:
    assert sent(log_of(candle(0, 1), candle(1, 2, 101)), None) == [("01", 101, False)]


def test_each_candle_has_the_seq_of_the_last_tick_in_it() -> None:
    (closed, live) = log_of(candle(0, 1), candle(0, 4), candle(1, 5)).changed(["gold"], ONE, 1)["gold"]["1m"]
    assert (closed.seq, live.seq) == (4, 5)


def test_a_candle_closes_when_the_next_one_begins() -> None:
    log = log_of(candle(0, 1), candle(1, 2, 101))
    assert sent(log, 1) == [("00", 100, True), ("01", 101, False)]
    assert sent(log, 2) == [("01", 101, False)]


def test_a_client_that_missed_some_is_sent_all_that_closed_meanwhile() -> None:
    log = log_of(*(candle(minute, minute + 1, 100 + minute) for minute in range(4)))
    assert sent(log, 1) == [("00", 100, True), ("01", 101, True), ("02", 102, True), ("03", 103, False)]


def test_a_closed_candle_that_is_corrected_goes_out_again() -> None:
    log = log_of(candle(0, 1), candle(1, 2), candle(0, 3, 99))
    assert sent(log, 2) == [("00", 99, True), ("01", 100, False)]


def test_candles_that_closed_long_ago_are_let_go_but_for_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candles, "_LEAST_KEPT", 3)
    log = log_of(*(candle(minute, minute + 1) for minute in range(5)))
    log.forget_before(3)
    assert (log.since, sent(log, log.since)[0]) == (2, ("01", 100, True))
    log.forget_before(5)
    assert (log.since, sent(log, log.since)[0]) == (3, ("02", 100, True))
    log.forget_before(1000)
    assert (log.since, len(sent(log, log.since))) == (3, 3)


def test_a_client_that_waits_for_more_publications_than_are_kept_loses_no_candle() -> None:
    log = PublicationLog(currency="INR", publications=10, moves=10)
    log.replace(Position("first", 0, None), {}, [], [], moves_since=0)
    for seq in range(1, 200):
        bare = publication(seq, "gold", moved=("gold",) if seq == 195 else ())
        log.append(msgspec.structs.replace(bare, candles={"gold": [candle(seq // 30, seq)]}))
    update = log.update(EVERY_METAL, 29, ONE)
    assert update is not None
    message = json.loads(update.frame.payload)
    assert (message["snapshot"], len(message["changes"])) == (False, 1)
    assert [each["start"][14:16] for each in message["candles"]["gold"]["1m"]] == [
        "00",
        "01",
        "02",
        "03",
        "04",
        "05",
        "06",
    ]


def test_only_the_intervals_that_are_wanted_go_out() -> None:
    log = log_of(candle(0, 1), candle(0, 1, interval=Interval.DAY))
    assert list(log.changed(["gold", "silver"], frozenset({"1d"}), None)["gold"]) == ["1d"]
    assert log.changed(["silver"], ONE, None) == {"silver": {}}


@pytest.mark.parametrize("given", ['"1m"', "[1]", '["2m"]', "{}", '[["1m"]]'])
def test_candles_are_a_list_of_known_intervals(given: str) -> None:
    with pytest.raises(ClientError) as caught:
        parse(f'{{"type":"subscribe","metals":["gold"],"candles":{given}}}')
    assert caught.value.code is ErrorCode.INVALID_MESSAGE
    assert all(name in str(caught.value) for name in CANDLES)


@pytest.mark.parametrize(
    ("described", "sent", "more"),
    [
        (QuoteSerializer, PriceData, ()),
        (CandleSerializer, CandleData, ()),
        (ChangeSerializer, ChangeData, ("timestamp", "seq")),
    ],
)
def test_rest_describes_the_fields_of_the_stream(
    described: type[Serializer], sent: type[msgspec.Struct], more: tuple[str, ...]
) -> None:
    assert tuple(described().fields) == (*sent.__struct_fields__, *more)
