"""Candles on the stream of a web process."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from websockets.sync.client import connect

from tests.support.server import Server
from tests.support.stream_client import exchange, receive

MINUTE = dt.timedelta(minutes=1)


def subscribe(client: Any, **more: Any) -> dict[str, Any]:
    """Subscribe to gold; the update that follows the answer."""
    answer = exchange(client, type="subscribe", metals=["gold"], **more)
    assert answer["type"] == "subscribed", answer
    return receive(client, "priceUpdate")


@pytest.fixture
def at_ten(server: Server) -> dt.datetime:
    """A moment some minutes ago at which a minute begins."""
    now = dt.datetime.now(dt.UTC)
    return now.replace(second=0, microsecond=0) - 3 * MINUTE


def test_a_client_follows_the_candles_that_it_wants(server: Server, at_ten: dt.datetime) -> None:
    first = server.publish(gold="13000", silver="165", quoted_at=at_ten)
    assert first is not None
    zone = ZoneInfo(requests.get(f"{server.http_url}/api/v1/config/", timeout=5).json()["timeZone"])
    with connect(server.ws_url) as client, connect(server.ws_url) as other:
        snapshot = subscribe(client, candles=["1m", "1d"])
        assert list(snapshot["candles"]) == ["gold"]
        assert list(snapshot["candles"]["gold"]) == ["1m", "1d"]
        assert snapshot["candles"]["gold"]["1m"][-1]["closed"] is False
        assert snapshot["candles"]["gold"]["1d"][-1]["date"] == f"{at_ten.astimezone(zone).date()}"
        assert [candles[-1]["seq"] for candles in snapshot["candles"]["gold"].values()] == [first.seq, first.seq]
        assert "candles" not in subscribe(other)

        server.publish(gold="13050", quoted_at=at_ten + dt.timedelta(seconds=30))
        (live,) = receive(client, "priceUpdate")["candles"]["gold"]["1m"]
        assert (live["open"], live["high"], live["close"], live["ticks"], live["closed"]) == (
            13000,
            13050,
            13050,
            2,
            False,
        )

        server.publish(gold="13020", quoted_at=at_ten + MINUTE)
        closed, live = receive(client, "priceUpdate")["candles"]["gold"]["1m"]
        assert closed["closed"] is True
        assert (closed["seq"], live["seq"]) == (first.seq + 1, first.seq + 2)
        address = f"{server.http_url}/api/v1/prices/gold/candles/?interval=1m&limit=2"
        by_rest = requests.get(address, timeout=5).json()["data"]
        assert [candle["seq"] for candle in by_rest] == [closed["seq"], live["seq"]], "a seam cannot be proved"
        assert (closed["close"], closed["end"], live["open"]) == (13050, live["start"], 13020)

        assert "candles" not in subscribe(client, candles=[])


def test_a_web_process_that_starts_later_knows_the_candles(
    server: Server, run_server: Callable[..., Server], at_ten: dt.datetime
) -> None:
    server.publish(platinum="4900", quoted_at=at_ten)
    server.publish(platinum="4910", quoted_at=at_ten + MINUTE)
    with connect(run_server().ws_url) as client:
        exchange(client, type="subscribe", metals=["platinum"], candles=["1m"])
        (live,) = receive(client, "priceUpdate")["candles"]["platinum"]["1m"]
    assert (live["open"], live["closed"]) == (4910, False)
    assert json.dumps(live["start"]).endswith('Z"')
