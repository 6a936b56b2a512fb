"""The wire contract as a pure module: what may come in, what goes out."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import formats
from prices.domain.positions import Position
from prices.domain.wire import PriceData
from streaming import protocol
from streaming.protocol import (
    EVERY_METAL,
    ClientError,
    Close,
    ErrorCode,
    Feed,
    Ping,
    Subscribe,
    Unsubscribe,
    parse,
)

GOLD = PriceData(
    price=Decimal("13221.39"),
    change=Decimal("20.21"),
    changePercent=Decimal("0.15"),
    high=Decimal("13274.1"),
    low=Decimal("13116"),
    open=Decimal("13178.4"),
    previousClose=Decimal("13201.18"),
    timestamp="2026-09-26T07:57:03.120Z",
    source="gold_api_com",
    stale=False,
)


def refusal(text: str) -> ClientError:
    with pytest.raises(ClientError) as caught:
        parse(text)
    return caught.value


def test_the_seeds_messages_are_understood() -> None:
    assert parse('{"type":"subscribe","metals":["gold","silver","platinum","palladium"]}') == Subscribe(
        EVERY_METAL, None, None, None
    )
    assert parse('{"type":"unsubscribe","metals":["platinum","palladium"]}') == Unsubscribe(
        frozenset({"platinum", "palladium"}), None
    )
    assert parse('{"type":"ping"}') == Ping(None)


def test_a_star_is_every_metal() -> None:
    assert parse('{"type":"subscribe","metals":["*"]}') == Subscribe(EVERY_METAL, None, None, None)


def test_a_metal_may_be_named_by_its_iso_code() -> None:
    assert parse('{"type":"subscribe","metals":["XAU","silver","XPT","XPD","gold"]}') == Subscribe(
        EVERY_METAL, None, None, None
    )
    assert parse('{"type":"unsubscribe","metals":["XAG","silver"]}') == Unsubscribe(frozenset({"silver"}), None)


@pytest.mark.parametrize("ms", [0, 1000, 15_000, 60_000])
def test_a_heartbeat_is_so_many_milliseconds_or_none(ms: int) -> None:
    assert parse(json.dumps({"type": "subscribe", "metals": ["*"], "heartbeat": ms})) == Subscribe(
        EVERY_METAL, None, None, None, heartbeat_ms=ms
    )
    answer = json.loads(protocol.subscribed(EVERY_METAL, None, None, heartbeat_ms=ms))
    assert answer.get("heartbeat", 0) == ms
    assert ("heartbeat" in answer) == bool(ms)


def test_a_heartbeat_has_the_position_of_an_update_or_none() -> None:
    heartbeat = {"type": "heartbeat", "feed": "live", "timestamp": "2026-09-26T07:57:03.245Z"}
    told = protocol.heartbeat(Position("q7Vb2xWk", 0, None), Feed.LIVE, "2026-09-26T07:57:03.245Z")
    assert json.loads(told) == heartbeat | {"epoch": "q7Vb2xWk", "seq": 0}
    assert json.loads(protocol.heartbeat(None, Feed.LIVE, "2026-09-26T07:57:03.245Z")) == heartbeat


@pytest.mark.parametrize("id", [1, -7.5, "a", True, None, ""])
def test_any_json_scalar_may_be_an_id(id: Any) -> None:
    assert parse(json.dumps({"type": "ping", "id": id})) == Ping(id)


@pytest.mark.parametrize(
    ("text", "code", "teaches"),
    [
        ("", ErrorCode.INVALID_JSON, "JSON object"),
        ("{", ErrorCode.INVALID_JSON, "JSON object"),
        ('{"type": NaN}', ErrorCode.INVALID_JSON, "JSON object"),
        ("[" * 10_000, ErrorCode.INVALID_JSON, "JSON object"),
        ('{"type": "ping", "id": "\\ud800"}', ErrorCode.INVALID_JSON, "JSON object"),
        ("[]", ErrorCode.INVALID_MESSAGE, "JSON object"),
        ('"ping"', ErrorCode.INVALID_MESSAGE, "JSON object"),
        ("null", ErrorCode.INVALID_MESSAGE, "JSON object"),
        ("{}", ErrorCode.INVALID_MESSAGE, '"type"'),
        ('{"type": 1}', ErrorCode.INVALID_MESSAGE, '"type"'),
        ('{"type": "ping", "id": [1]}', ErrorCode.INVALID_MESSAGE, '"id"'),
        ('{"type": "shout"}', ErrorCode.UNKNOWN_TYPE, '"subscribe"'),
        ('{"type": "subscribe"}', ErrorCode.INVALID_MESSAGE, '"metals"'),
        ('{"type": "subscribe", "metals": "gold"}', ErrorCode.INVALID_MESSAGE, "list"),
        ('{"type": "subscribe", "metals": [1]}', ErrorCode.INVALID_MESSAGE, "list"),
        ('{"type": "subscribe", "metals": ["gold", "copper"]}', ErrorCode.UNKNOWN_METAL, '"copper"'),
        ('{"type": "subscribe", "metals": ["*", "gold"]}', ErrorCode.UNKNOWN_METAL, "gold, silver"),
        ('{"type": "unsubscribe", "metals": ["Gold"]}', ErrorCode.UNKNOWN_METAL, "gold, silver"),
        ('{"type": "subscribe", "metals": ["xau"]}', ErrorCode.UNKNOWN_METAL, "ISO code XAU, XAG"),
        ('{"type": "subscribe", "metals": ["*", "XAU"]}', ErrorCode.UNKNOWN_METAL, "ISO code XAU, XAG"),
        ('{"type": "subscribe", "metals": ["*"], "interval": -1}', ErrorCode.INVALID_INTERVAL, "milliseconds"),
        ('{"type": "subscribe", "metals": ["*"], "interval": 1.5}', ErrorCode.INVALID_INTERVAL, "milliseconds"),
        ('{"type": "subscribe", "metals": ["*"], "interval": true}', ErrorCode.INVALID_INTERVAL, "milliseconds"),
        ('{"type": "subscribe", "metals": ["*"], "interval": 1e300}', ErrorCode.INVALID_INTERVAL, "milliseconds"),
        ('{"type": "subscribe", "metals": ["*"], "heartbeat": 999}', ErrorCode.INVALID_INTERVAL, "1000 to 60000"),
        ('{"type": "subscribe", "metals": ["*"], "heartbeat": 60001}', ErrorCode.INVALID_INTERVAL, "1000 to 60000"),
        ('{"type": "subscribe", "metals": ["*"], "heartbeat": -1}', ErrorCode.INVALID_INTERVAL, "0 for none"),
        ('{"type": "subscribe", "metals": ["*"], "heartbeat": true}', ErrorCode.INVALID_INTERVAL, "1000 to 60000"),
        ('{"type": "subscribe", "metals": ["*"], "heartbeat": 15e3}', ErrorCode.INVALID_INTERVAL, "1000 to 60000"),
        ('{"type": "subscribe", "metals": ["*"], "epoch": 7}', ErrorCode.INVALID_MESSAGE, '"epoch"'),
        ('{"type": "subscribe", "metals": ["*"], "since": "7"}', ErrorCode.INVALID_MESSAGE, '"since"'),
        ('{"type": "subscribe", "metals": ["*"], "since": -1}', ErrorCode.INVALID_MESSAGE, '"since"'),
    ],
)
def test_a_malformed_message_is_refused_with_what_to_send_instead(text: str, code: ErrorCode, teaches: str) -> None:
    problem = refusal(text)
    assert problem.code == code
    assert teaches in str(problem)


def test_json_as_deep_as_a_message_can_hold_is_refused() -> None:
    # Whether it is too deep to be read or only lacks a type depends on the Python that runs it.
    assert refusal('{"a":' * 2_500 + "1" + "}" * 2_500).code in (ErrorCode.INVALID_JSON, ErrorCode.INVALID_MESSAGE)


def test_an_error_echoes_the_id_and_clips_the_clients_own_words() -> None:
    message = json.loads(protocol.error(refusal(json.dumps({"type": "x" * 5000, "id": 9}))))
    assert (message["type"], message["code"], message["id"]) == ("error", "unknown_type", 9)
    assert len(message["message"]) < 200


@pytest.mark.parametrize(
    ("close", "after_ms", "fields"),
    [
        (Close.UNAUTHORIZED, None, {"code": "unauthorized", "retry": "never"}),
        (Close.AT_CAPACITY, 0, {"code": "at_capacity", "retry": "later", "afterMs": 0}),
        (Close.RATE_LIMITED, 43_100, {"code": "rate_limited", "retry": "later", "afterMs": 43_100}),
    ],
)
def test_the_error_before_a_close_with_1008_is_read_by_programs(
    close: Close, after_ms: int | None, fields: dict[str, Any]
) -> None:
    said = json.loads(protocol.last_error(close, "Do this.", after_ms))
    assert said == {"type": "error", "message": "Do this.", **fields}


def test_the_answer_to_a_message_that_is_rejected_says_nothing_of_coming_back() -> None:
    assert json.loads(protocol.error(refusal("{"))).keys() == {"type", "code", "message"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["type", "metals", "since"]), inner),
    max_leaves=10,
)


# Commands in which each field may be anything, or nearly right.
COMMANDS = st.builds(
    lambda type, fields: fields | {"type": type},
    st.sampled_from(["subscribe", "unsubscribe", "ping", "shout"]),
    st.dictionaries(
        st.sampled_from(["metals", "interval", "since", "epoch", "candles", "heartbeat", "id"]),
        JSON
        | st.integers(-1, 2**70)
        | st.lists(st.sampled_from(["gold", "silver", "XAU", "*", "tin", "1m", "1d", "2m", ""])),
    ),
)


@given(st.text() | st.one_of(JSON, COMMANDS).map(json.dumps))
def test_any_text_is_a_command_or_a_client_error(text: str) -> None:
    try:
        command: Any = parse(text)
    except ClientError as problem:
        command = problem
        protocol.error(problem)  # and can be said
    assert isinstance(command, Subscribe | Unsubscribe | Ping | ClientError)


def test_a_price_update_has_the_contracts_fields_in_decimal_numbers() -> None:
    text = protocol.price_update(
        {"gold": GOLD},
        [],
        [],
        epoch="q7Vb2xWk",
        seq=18231,
        published_at="2026-09-26T07:57:03.245Z",
        snapshot=False,
        currency="INR",
    ).decode()
    assert '"price":13221.39,' in text
    assert '"low":13116,' in text
    assert json.loads(text) == {
        "type": "priceUpdate",
        "data": {
            "gold": {
                "price": 13221.39,
                "change": 20.21,
                "changePercent": 0.15,
                "high": 13274.1,
                "low": 13116.0,
                "open": 13178.4,
                "previousClose": 13201.18,
                "timestamp": "2026-09-26T07:57:03.120Z",
                "source": "gold_api_com",
                "stale": False,
            }
        },
        "changes": [],
        "timestamp": "2026-09-26T07:57:03.245Z",
        "epoch": "q7Vb2xWk",
        "seq": 18231,
        "snapshot": False,
        "currency": "INR",
        "unit": "gram",
    }


@given(st.decimals(min_value="0.0001", max_value="99999999999999", places=4))
def test_a_number_on_the_wire_is_the_decimal_itself(amount: Decimal) -> None:
    text = protocol._encode(formats.number(amount)).decode()
    assert Decimal(text) == amount
    assert "E" not in text.upper()


def test_the_status_names_the_feed_of_all_and_of_each_metal() -> None:
    text = protocol.status(
        Feed.FALLBACK,
        {"gold": Feed.FALLBACK},
        market_open=False,
        next_change="2026-09-27T22:00:00.000Z",
        source="fallback",
        epoch="q7Vb2xWk",
        timestamp="2026-09-26T07:57:03.245Z",
    )
    assert json.loads(text) == {
        "type": "status",
        "feed": "fallback",
        "market": "closed",
        "nextChange": "2026-09-27T22:00:00.000Z",
        "source": "fallback",
        "metals": {"gold": "fallback"},
        "epoch": "q7Vb2xWk",
        "timestamp": "2026-09-26T07:57:03.245Z",
    }


def test_times_are_utc_with_milliseconds() -> None:
    at = dt.datetime(2026, 9, 26, 13, 27, 3, 120_900, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
    assert formats.time(at) == "2026-09-26T07:57:03.120Z"


def test_close_reasons_are_the_contracts() -> None:
    assert [(why.code, why.reason) for why in Close] == [
        (1008, "Unauthorized"),
        (1008, "Server at capacity"),
        (1008, "Rate limit exceeded"),
        (1009, "Message too big"),
        (1011, "Internal error"),
        (1012, "Service restart"),
    ]
