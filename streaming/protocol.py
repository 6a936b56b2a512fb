"""The wire contract `swarnaai-v1`, sans-I/O: messages from clients, messages to clients, and close codes.

`parse` turns a client's text into a command or raises `ClientError`. Every message to clients is built here, as JSON in
UTF-8. This module knows no Django, no socket and no clock. docs/protocol.md is the contract for people.
"""

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeGuard

import msgspec

from infra import formats
from prices.domain.candles import Interval
from prices.domain.positions import Position
from prices.domain.quotes import METAL_NAMES, Metal, names_and_codes
from prices.domain.wire import CandleData, ChangeData, PriceData

SUBPROTOCOL: Final = "swarnaai-v1"
# A client that cannot set a header offers this, followed by its token, beside the one above. It is never selected.
BEARER_SUBPROTOCOL: Final = "swarnaai.bearer."
METALS: Final = tuple(metal.value for metal in Metal)
EVERY_METAL: Final = frozenset(METALS)
CANDLES: Final = tuple(interval.value for interval in Interval)
# An `interval` beyond a day, or a `since` beyond what an SQL bigint holds, is a mistake in the client.
LONGEST_INTERVAL_MS: Final = 86_400_000
# Heartbeats closer together would cost as much as prices; further apart, proxies and phones would drop the connection.
SHORTEST_HEARTBEAT_MS: Final = 1_000
LONGEST_HEARTBEAT_MS: Final = 60_000
LARGEST_SEQ: Final = 2**63 - 1

Scalar: TypeAlias = str | int | float | bool | None


class Close(enum.Enum):
    """The server's close frames: close code and reason."""

    UNAUTHORIZED = (1008, "Unauthorized")
    AT_CAPACITY = (1008, "Server at capacity")
    RATE_LIMITED = (1008, "Rate limit exceeded")
    TOO_BIG = (1009, "Message too big")
    INTERNAL_ERROR = (1011, "Internal error")
    RESTART = (1012, "Service restart")

    @property
    def code(self) -> int:
        return self.value[0]

    @property
    def reason(self) -> str:
        return self.value[1]


class ErrorCode(enum.StrEnum):
    """The reason for an `error`: a client's message that is rejected, or, for the last three, a close with 1008."""

    INVALID_JSON = "invalid_json"
    INVALID_MESSAGE = "invalid_message"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_METAL = "unknown_metal"
    INVALID_INTERVAL = "invalid_interval"
    BINARY_NOT_SUPPORTED = "binary_not_supported"
    UNAUTHORIZED = "unauthorized"
    AT_CAPACITY = "at_capacity"
    RATE_LIMITED = "rate_limited"


class ClientError(Exception):
    """A client's message is rejected; the error's text says what to send instead."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.id: Scalar = None  # the message's own, once it is known


# --- what clients send ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Add `metals`; `interval_ms`, `since`, `candles`, `epoch` and `heartbeat_ms` as sent, None where absent."""

    metals: frozenset[str]
    interval_ms: int | None
    since: int | None
    id: Scalar
    candles: frozenset[str] | None = None
    epoch: str | None = None
    heartbeat_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Remove `metals`."""

    metals: frozenset[str]
    id: Scalar


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer with a pong."""

    id: Scalar


# The same three as a client writes them, for the AsyncAPI document. `parse` does not decode into them: its own checks
# say what to send instead. tests/unit/test_asyncapi.py checks that both accept and reject the same messages.


_MetalName: TypeAlias = Literal[(*METAL_NAMES, "*")]  # type: ignore[valid-type]  # their names are said in prices.domain
_IntervalName: TypeAlias = Literal[CANDLES]  # type: ignore[valid-type]
_Heartbeat: TypeAlias = Annotated[
    int,
    msgspec.Meta(
        ge=0,
        le=LONGEST_HEARTBEAT_MS,
        extra_json_schema={"anyOf": [{"const": 0}, {"minimum": SHORTEST_HEARTBEAT_MS}]},
    ),
]


class SubscribeMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="subscribe"):
    """A subscribe as it is written; the answer is `subscribed`, and then the prices."""

    metals: list[_MetalName]
    interval: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_INTERVAL_MS)] | None = None
    since: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_SEQ)] | None = None
    epoch: str | None = None
    candles: list[_IntervalName] | None = None
    heartbeat: _Heartbeat | None = None
    id: Scalar = None


class UnsubscribeMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="unsubscribe"):
    """An unsubscribe as it is written; the answer is `unsubscribed`."""

    metals: list[_MetalName]
    id: Scalar = None


class PingMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ping"):
    """A ping as it is written; the answer is `pong`."""

    id: Scalar = None


Command: TypeAlias = Subscribe | Unsubscribe | Ping


def parse(text: str) -> Command:
    """Parse a client's text message. Raises ClientError."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ClientError(ErrorCode.INVALID_JSON, 'Send one JSON object, such as {"type": "ping"}.') from error
    if not isinstance(message, dict):
        raise ClientError(ErrorCode.INVALID_MESSAGE, 'Send a JSON object with a "type", not another JSON value.')
    id = message.get("id")
    if isinstance(id, dict | list):
        raise ClientError(ErrorCode.INVALID_MESSAGE, '"id" is echoed: make it a string, a number, a boolean or null.')
    try:
        return _command(message, id)
    except ClientError as error:
        error.id = id
        raise


def _command(message: Mapping[str, Any], id: Scalar) -> Command:
    match message.get("type"):
        case "subscribe":
            return Subscribe(
                _metals(message),
                _interval(message),
                _since(message),
                id,
                _candles(message),
                _epoch(message),
                _heartbeat(message),
            )
        case "unsubscribe":
            return Unsubscribe(_metals(message), id)
        case "ping":
            return Ping(id)
        case str(unknown):
            raise ClientError(
                ErrorCode.UNKNOWN_TYPE,
                f'Unknown type "{formats.clipped(unknown)}". Send "subscribe", "unsubscribe" or "ping".',
            )
        case _:
            raise ClientError(ErrorCode.INVALID_MESSAGE, 'Give a "type": "subscribe", "unsubscribe" or "ping".')


def _metals(message: Mapping[str, Any]) -> frozenset[str]:
    given = message.get("metals")
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise ClientError(
            ErrorCode.INVALID_MESSAGE,
            'Give "metals" as a list of names, such as ["gold"], or as ["*"] for all.',
        )
    names = frozenset(given)
    if names == {"*"}:
        return EVERY_METAL
    if unknown := sorted(names - METAL_NAMES.keys()):
        listed = ", ".join(f'"{formats.clipped(name)}"' for name in unknown[:5])
        raise ClientError(
            ErrorCode.UNKNOWN_METAL,
            f'Unknown metal {listed}. Choose from {names_and_codes(Metal)}, or send ["*"].',
        )
    return frozenset(METAL_NAMES[name].value for name in names)


def _interval(message: Mapping[str, Any]) -> int | None:
    given = message.get("interval")
    if given is None or _is_whole(given, LONGEST_INTERVAL_MS):
        return given
    raise ClientError(
        ErrorCode.INVALID_INTERVAL,
        f'Give "interval" as whole milliseconds from 0 to {LONGEST_INTERVAL_MS}, or leave it out.',
    )


def _heartbeat(message: Mapping[str, Any]) -> int | None:
    given = message.get("heartbeat")
    if given is None or (_is_whole(given, LONGEST_HEARTBEAT_MS) and (not given or given >= SHORTEST_HEARTBEAT_MS)):
        return given
    raise ClientError(
        ErrorCode.INVALID_INTERVAL,
        f'Give "heartbeat" as whole milliseconds from {SHORTEST_HEARTBEAT_MS} to {LONGEST_HEARTBEAT_MS}, '
        "as 0 for none, or leave it out.",
    )


def _since(message: Mapping[str, Any]) -> int | None:
    given = message.get("since")
    if given is None or _is_whole(given, LARGEST_SEQ):
        return given
    raise ClientError(
        ErrorCode.INVALID_MESSAGE,
        'Give "since" as the "seq" of the last update you have, or leave it out.',
    )


def _epoch(message: Mapping[str, Any]) -> str | None:
    given = message.get("epoch")
    if given is None or isinstance(given, str):
        return given
    raise ClientError(
        ErrorCode.INVALID_MESSAGE,
        'Give "epoch" as the text that came with that "seq", or leave it out.',
    )


def _is_whole(given: object, most: int) -> TypeGuard[int]:
    return isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= most


def _candles(message: Mapping[str, Any]) -> frozenset[str] | None:
    given = message.get("candles")
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(name, str) and name in CANDLES for name in given):
        raise ClientError(
            ErrorCode.INVALID_MESSAGE,
            f'Give "candles" as a list of {", ".join(CANDLES)}, as [] for none, or leave it out.',
        )
    return frozenset(given)


# --- what the server sends -----------------------------------------------------------------------------------------


class Feed(enum.StrEnum):
    """The kind of prices that a client shows."""

    LIVE = "live"
    STALE = "stale"
    FALLBACK = "fallback"
    SIMULATED = "simulated"
    DOWN = "down"


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class PriceUpdate(_Message, frozen=True, kw_only=True, tag="priceUpdate"):
    """Every metal that the client is subscribed to and that has a price: on connect, on subscribe, on each change."""

    data: dict[str, PriceData]
    changes: list[ChangeData]
    candles: Mapping[str, Mapping[str, Sequence[CandleData]]] | msgspec.UnsetType = msgspec.UNSET
    timestamp: str
    epoch: str
    seq: int
    snapshot: bool
    # The number of publications with one of the client's metals that it holds beside its newest; absent where none.
    conflated: int | msgspec.UnsetType = msgspec.UNSET
    currency: str
    unit: str = "gram"


class Pong(_Message, frozen=True, kw_only=True, tag="pong"):
    """The answer to a ping."""

    id: Scalar | msgspec.UnsetType = msgspec.UNSET
    timestamp: str


class Subscribed(_Message, frozen=True, kw_only=True, tag="subscribed"):
    """The connection's full set after a subscribe.

    No epoch while the server does not know it; no candles and no heartbeat where it has none.
    """

    metals: list[str]
    interval: int | None
    epoch: str | msgspec.UnsetType = msgspec.UNSET
    candles: list[str] | msgspec.UnsetType = msgspec.UNSET
    heartbeat: int | msgspec.UnsetType = msgspec.UNSET
    id: Scalar | msgspec.UnsetType = msgspec.UNSET


class Unsubscribed(_Message, frozen=True, kw_only=True, tag="unsubscribed"):
    """The connection's set after an unsubscribe."""

    metals: list[str]
    interval: int | None
    id: Scalar | msgspec.UnsetType = msgspec.UNSET


class Status(_Message, frozen=True, kw_only=True, tag="status"):
    """The feed of all metals together and of each, and when the market opens or closes next.

    No epoch while the server does not know it.
    """

    feed: Feed
    market: Literal["open", "closed"]
    nextChange: str
    source: str | None
    metals: dict[str, Feed]
    epoch: str | msgspec.UnsetType = msgspec.UNSET
    timestamp: str


class Heartbeat(_Message, frozen=True, kw_only=True, tag="heartbeat"):
    """A sign of life after a silence that the client chose; the position is that of the last update that it was sent.

    No position before the first update.
    """

    epoch: str | msgspec.UnsetType = msgspec.UNSET
    seq: int | msgspec.UnsetType = msgspec.UNSET
    feed: Feed
    timestamp: str


class Restart(_Message, frozen=True, kw_only=True, tag="restart"):
    """This process ends: come back after so many milliseconds."""

    afterMs: int


class Error(_Message, frozen=True, kw_only=True, tag="error"):
    """The reason for rejecting a client's message; or, with `retry`, for the close with 1008 that follows.

    `message` says what to do instead. `afterMs` is when to come back; where `retry` is `never`, another credential is
    needed.
    """

    code: ErrorCode
    message: str
    retry: Literal["never", "later"] | msgspec.UnsetType = msgspec.UNSET
    afterMs: int | msgspec.UnsetType = msgspec.UNSET
    id: Scalar | msgspec.UnsetType = msgspec.UNSET


# JSON numbers, not strings; Decimal all the way, so that no float ever rounds a price.
_encode = msgspec.json.Encoder(decimal_format="number").encode


def price_update(
    data: Mapping[str, PriceData],
    stale: Iterable[str],
    changes: Iterable[ChangeData],
    *,
    epoch: str,
    seq: int,
    published_at: str,
    snapshot: bool,
    currency: str,
    candles: Mapping[str, Mapping[str, Sequence[CandleData]]] | None = None,
    conflated: int = 0,
) -> bytes:
    """A `priceUpdate` with every metal in `data`, those in `stale` marked so, and `candles` for a client of some.

    `conflated` is how many publications it holds beside its newest.
    """
    old = frozenset(stale)
    return _encode(
        PriceUpdate(
            data={
                metal: price if price.stale == (metal in old) else msgspec.structs.replace(price, stale=metal in old)
                for metal, price in data.items()
            },
            changes=list(changes),
            candles=msgspec.UNSET if candles is None else candles,
            timestamp=published_at,
            epoch=epoch,
            seq=seq,
            snapshot=snapshot,
            conflated=conflated or msgspec.UNSET,
            currency=currency,
        )
    )


def pong(id: Scalar, timestamp: str) -> bytes:
    """The answer to a ping."""
    return _encode(Pong(id=_echo(id), timestamp=timestamp))


def subscribed(
    metals: Iterable[str],
    interval_ms: int | None,
    id: Scalar,
    candles: Collection[str] = frozenset(),
    epoch: str = "",
    heartbeat_ms: int = 0,
) -> bytes:
    """The answer to a subscribe: the connection's full set after it, and its candles and heartbeat if it has some."""
    chosen = [name for name in CANDLES if name in candles] or msgspec.UNSET
    return _encode(
        Subscribed(
            metals=_in_order(metals),
            interval=interval_ms,
            epoch=epoch or msgspec.UNSET,
            candles=chosen,
            heartbeat=heartbeat_ms or msgspec.UNSET,
            id=_echo(id),
        )
    )


def unsubscribed(metals: Iterable[str], interval_ms: int | None, id: Scalar) -> bytes:
    """The answer to an unsubscribe: the connection's set after it."""
    return _encode(Unsubscribed(metals=_in_order(metals), interval=interval_ms, id=_echo(id)))


def status(
    feed: Feed,
    feeds: Mapping[str, Feed],
    *,
    market_open: bool,
    next_change: str,
    source: str | None,
    epoch: str,
    timestamp: str,
) -> bytes:
    """The feed of all metals together and of each, and when the market opens or closes next."""
    return _encode(
        Status(
            feed=feed,
            market="open" if market_open else "closed",
            nextChange=next_change,
            source=source,
            metals=dict(feeds),
            epoch=epoch or msgspec.UNSET,
            timestamp=timestamp,
        )
    )


def heartbeat(position: Position | None, feed: Feed, timestamp: str) -> bytes:
    """A sign of life for clients whose last update had this position; None for those that have had none."""
    return _encode(
        Heartbeat(
            epoch=position.epoch if position else msgspec.UNSET,
            seq=position.seq if position else msgspec.UNSET,
            feed=feed,
            timestamp=timestamp,
        )
    )


def restart(after_ms: int) -> bytes:
    """The notice that this process ends, and when to come back, in milliseconds."""
    return _encode(Restart(afterMs=after_ms))


def error(problem: ClientError) -> bytes:
    """The answer to a message that was rejected."""
    return _encode(Error(code=problem.code, message=str(problem), id=_echo(problem.id)))


def last_error(close: Close, message: str, after_ms: int | None) -> bytes:
    """The last message before a close with 1008; without `after_ms`, the client should never retry as it is."""
    return _encode(
        Error(
            code=ErrorCode[close.name],
            message=message,
            retry="never" if after_ms is None else "later",
            afterMs=msgspec.UNSET if after_ms is None else after_ms,
        )
    )


def _echo(id: Scalar) -> Scalar | msgspec.UnsetType:
    return msgspec.UNSET if id is None else id


def _in_order(metals: Iterable[str]) -> list[str]:
    named = set(metals)
    return [metal for metal in METALS if metal in named]
