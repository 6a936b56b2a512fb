"""The document of the stream: valid, and true of what the stream says and takes.

`asyncapi/3.0.0.json` is AsyncAPI's own JSON schema of itself (asyncapi/spec-json-schemas, Apache-2.0).
"""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft7Validator, Draft202012Validator
from msgspec.structs import replace

from prices.domain.positions import Position
from prices.domain.wire import CandleData
from streaming import asyncapi, protocol
from streaming.protocol import ClientError, Close, ErrorCode, Feed
from swarna import __version__
from tests.support.product import ROOT

TIME = "2026-09-24T08:00:00.120Z"
CANDLE = CandleData(
    start=TIME,
    end=TIME,
    open=Decimal("1.5"),
    high=Decimal(2),
    low=Decimal(1),
    close=Decimal(2),
    ticks=3,
    closed=False,
    seq=1,
)
DAY = replace(CANDLE, seq=None, date="2026-09-24")
SAID = {
    "PriceUpdate": protocol.price_update(
        {},
        [],
        [],
        epoch="q7Vb2xWk",
        seq=1,
        published_at=TIME,
        snapshot=True,
        currency="INR",
        candles={"gold": {"1m": [CANDLE], "1d": [DAY]}},
        conflated=3,
    ),
    "Pong": protocol.pong("x", TIME),
    "Subscribed": protocol.subscribed(["gold"], None, 1, {"1m"}, "q7Vb2xWk", 15_000),
    "Unsubscribed": protocol.unsubscribed([], 100, None),
    "Status": protocol.status(
        Feed.LIVE, {"gold": Feed.LIVE}, market_open=True, next_change=TIME, source=None, epoch="", timestamp=TIME
    ),
    "Heartbeat": protocol.heartbeat(Position("q7Vb2xWk", 1, None), Feed.LIVE, TIME),
    "Restart": protocol.restart(5),
    "Error": protocol.error(ClientError(ErrorCode.INVALID_JSON, "Send JSON.")),
}
LAST = [
    protocol.last_error(Close.UNAUTHORIZED, "Present a token.", None),
    protocol.last_error(Close.AT_CAPACITY, "Come back later.", 0),
    protocol.last_error(Close.RATE_LIMITED, "Send fewer.", 59_000),
]
TAKEN: dict[str, list[dict[str, Any]]] = {
    "SubscribeMessage": [
        {"metals": ["gold"], "interval": 1, "since": 0, "epoch": "q7Vb2xWk", "id": None, "candles": ["1m", "1d"]},
        {"metals": ["*"]},
        {"metals": ["XAU", "silver"]},
        {"metals": ["gold"], "heartbeat": 0},
        {"metals": ["gold"], "heartbeat": 1000},
        {"metals": ["gold"], "heartbeat": 60_000},
    ],
    "UnsubscribeMessage": [{"metals": [], "id": "x"}],
    "PingMessage": [{}, {"id": 1.5}],
}
REFUSED: dict[str, list[dict[str, Any]]] = {
    "SubscribeMessage": [
        {},
        {"metals": "gold"},
        {"metals": ["copper"]},
        {"metals": ["xau"]},
        {"metals": [], "interval": -1},
        {"metals": [], "candles": ["2m"]},
        {"metals": [], "epoch": 7},
        {"metals": [], "heartbeat": 999},
        {"metals": [], "heartbeat": 60_001},
        {"metals": [], "since": 2**63},
        {"metals": [], "id": []},
    ],
    "UnsubscribeMessage": [{}, {"metals": [1]}],
    "PingMessage": [{"id": {}}],
}


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(json.dumps(asyncapi.document(__version__)))


def of(document: Any, name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


def test_it_is_asyncapi_3(document: Any) -> None:
    Draft7Validator(json.loads((ROOT / "tests/support/asyncapi/3.0.0.json").read_text())).validate(document)


def test_it_is_served_to_everybody(client: Client, document: Any) -> None:
    response = client.get("/api/asyncapi.json")
    assert (response["Content-Type"], response.json()) == ("application/json", document)


@pytest.mark.parametrize("name", SAID)
def test_what_the_stream_says_is_as_described(document: Any, name: str) -> None:
    of(document, name).validate(json.loads(SAID[name]))


@pytest.mark.parametrize("error", LAST)
def test_an_error_before_a_close_is_as_described(document: Any, error: bytes) -> None:
    of(document, "Error").validate(json.loads(error))


def test_every_message_that_is_described_is_tried_here(document: Any) -> None:
    assert document["components"]["messages"].keys() == SAID.keys() | TAKEN.keys()


@pytest.mark.parametrize(("name", "fields"), [(name, each) for name in TAKEN for each in TAKEN[name]])
def test_what_is_described_is_taken(document: Any, name: str, fields: dict[str, Any]) -> None:
    message = {"type": document["components"]["messages"][name]["name"]} | fields
    of(document, name).validate(message)
    protocol.parse(json.dumps(message))


@pytest.mark.parametrize(("name", "fields"), [(name, each) for name in REFUSED for each in REFUSED[name]])
def test_what_is_refused_is_not_described(document: Any, name: str, fields: dict[str, Any]) -> None:
    message = {"type": document["components"]["messages"][name]["name"]} | fields
    assert not of(document, name).is_valid(message)
    with pytest.raises(ClientError):
        protocol.parse(json.dumps(message))
