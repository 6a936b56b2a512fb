"""A server's messages, as values that do not change. Amounts are Decimals, digit for digit; times are in UTC.

A field or a type of message that this version does not know is left out: a newer server may have more.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class UnreadableError(ValueError):
    """A message of the server cannot be read."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the stream: the history of numbers that a server counts in (`epoch`), and the number of an update."""

    epoch: str | None
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch or ''}:{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The position that `str` wrote, for a program that comes back. Raises ValueError for any other text."""
        epoch, _, seq = text.rpartition(":")
        return cls(epoch or None, int(seq))


@dataclass(frozen=True, slots=True)
class Quote:
    """A metal's price. Amounts are per unit of fine metal, both of which the update names."""

    price: Decimal
    change: Decimal
    """Against the previous close, as `change_percent`; 0 while there is none."""
    change_percent: Decimal
    high: Decimal
    low: Decimal
    open: Decimal
    previous_close: Decimal | None
    timestamp: dt.datetime
    """The time at which its source quoted it."""
    source: str
    """A provider, `consensus` of several, `fallback` (staff's price, as no source answers) or `simulated`."""
    stale: bool
    """True if it is older than the freshness limit, or a newer one waits in quarantine: do not price sales by it."""
    bid: Decimal | None = None
    ask: Decimal | None = None
    example: bool = False
    """True for a fallback that no member of staff has entered or confirmed."""
    contributors: int | None = None
    """The number of sources that agreed on the price; None where one gave it."""
    dispersion_percent: Decimal | None = None
    """The distance of the farthest of their prices from it."""


@dataclass(frozen=True, slots=True)
class Move:
    """A significant move between two consecutive prices of a metal; `direction` is `up` or `down`."""

    metal: str
    old_price: Decimal
    new_price: Decimal
    change_percent: Decimal
    direction: str


@dataclass(frozen=True, slots=True)
class Candle:
    """The prices from `start` until before `end`. It replaces the one with the same `start`, until it is `closed`."""

    start: dt.datetime
    end: dt.datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    ticks: int
    closed: bool
    seq: int | None
    """That of the last publication with a price in it; None if none was streamed."""
    date: dt.date | None = None
    """A `1d` candle's day in the server's time zone."""


@dataclass(frozen=True, slots=True)
class PriceUpdate:
    """The prices of all subscribed metals: they replace those before."""

    prices: Mapping[str, Quote]
    changes: tuple[Move, ...]
    """The significant moves since the last update, each once, whether the connection was lost meanwhile or not."""
    candles: Mapping[str, Mapping[str, tuple[Candle, ...]]]
    """By metal and interval, oldest first; the last one of each is live."""
    timestamp: dt.datetime
    """The time of its publication."""
    position: Position
    snapshot: bool
    """True for the state without continuity, as after connecting: moves before it may be unknown."""
    conflated: int
    """The number of publications with one of the metals that it holds beside its newest."""
    currency: str
    unit: str


@dataclass(frozen=True, slots=True)
class Status:
    """The claim of the shown prices: `feed` is live, stale, fallback, simulated or down, that of the least real metal.

    `metals` has the one of each that has a price. `market` is open or closed.
    """

    feed: str
    market: str
    next_change: dt.datetime | None
    source: str | None
    metals: Mapping[str, str]
    timestamp: dt.datetime


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life after a silence: nothing has changed until `timestamp`, and the connection is not dead."""

    feed: str
    timestamp: dt.datetime


@dataclass(frozen=True, slots=True)
class Connected:
    """The server has confirmed the subscription: from now on prices are of now again.

    After a loss, an update follows only if there is news: prices from before it hold.
    """

    metals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is lost, or could not be made: the last prices are not of now any more. The client tries again."""

    reason: str
    retry_in: float
    """Seconds until it does."""


Event = PriceUpdate | Status | Heartbeat | Connected | Disconnected


def decoded(text: str | bytes) -> dict[str, Any]:
    """The object in a message, with every fraction as a Decimal. Raises UnreadableError."""
    try:
        message = json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"The server sent what is no JSON: {text[:80]!r}") from error
    if not isinstance(message, dict):
        raise UnreadableError(f"The server sent what is no object: {text[:80]!r}")
    return message


def parsed(message: Mapping[str, Any]) -> PriceUpdate | Status | Heartbeat | None:
    """A message as a value; None for one that carries nothing to show. Raises UnreadableError."""
    parse = _PARSERS.get(message.get("type", ""))
    try:
        return parse(message) if parse else None
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise UnreadableError(f"The server's {message['type']} cannot be read: {error!r}") from error


def sent_at(message: Mapping[str, Any]) -> dt.datetime:
    """The time at which the server sent a message. Raises UnreadableError."""
    try:
        return _time(message["timestamp"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"The server's {message['type']} has no time: {error!r}") from error


def _price_update(message: Mapping[str, Any]) -> PriceUpdate:
    return PriceUpdate(
        prices=_by_name(message["data"], _quote),
        changes=tuple(_move(move) for move in message.get("changes", ())),
        candles=_by_name(message.get("candles", {}), _candles),
        timestamp=_time(message["timestamp"]),
        position=Position(message.get("epoch"), int(message["seq"])),
        snapshot=bool(message.get("snapshot")),
        conflated=message.get("conflated", 0),
        currency=message["currency"],
        unit=message["unit"],
    )


def _quote(quote: Mapping[str, Any]) -> Quote:
    return Quote(
        price=Decimal(quote["price"]),
        change=Decimal(quote["change"]),
        change_percent=Decimal(quote["changePercent"]),
        high=Decimal(quote["high"]),
        low=Decimal(quote["low"]),
        open=Decimal(quote["open"]),
        previous_close=_amount(quote.get("previousClose")),
        timestamp=_time(quote["timestamp"]),
        source=quote["source"],
        stale=bool(quote["stale"]),
        bid=_amount(quote.get("bid")),
        ask=_amount(quote.get("ask")),
        example=bool(quote.get("example")),
        contributors=quote.get("contributors"),
        dispersion_percent=_amount(quote.get("dispersionPercent")),
    )


def _move(move: Mapping[str, Any]) -> Move:
    return Move(
        metal=move["metal"],
        old_price=Decimal(move["oldPrice"]),
        new_price=Decimal(move["newPrice"]),
        change_percent=Decimal(move["changePercent"]),
        direction=move["direction"],
    )


def _candles(by_interval: Mapping[str, Any]) -> Mapping[str, tuple[Candle, ...]]:
    return _by_name(by_interval, lambda candles: tuple(_candle(candle) for candle in candles))


def _candle(candle: Mapping[str, Any]) -> Candle:
    return Candle(
        start=_time(candle["start"]),
        end=_time(candle["end"]),
        open=Decimal(candle["open"]),
        high=Decimal(candle["high"]),
        low=Decimal(candle["low"]),
        close=Decimal(candle["close"]),
        ticks=candle["ticks"],
        closed=bool(candle["closed"]),
        seq=candle.get("seq"),
        date=dt.date.fromisoformat(candle["date"]) if "date" in candle else None,
    )


def _status(message: Mapping[str, Any]) -> Status:
    return Status(
        feed=message["feed"],
        market=message["market"],
        next_change=_time(message["nextChange"]) if message.get("nextChange") else None,
        source=message.get("source"),
        metals=MappingProxyType(dict(message.get("metals", {}))),
        timestamp=_time(message["timestamp"]),
    )


def _heartbeat(message: Mapping[str, Any]) -> Heartbeat:
    return Heartbeat(feed=message["feed"], timestamp=_time(message["timestamp"]))


_PARSERS: Mapping[str, Callable[[Mapping[str, Any]], PriceUpdate | Status | Heartbeat]] = {
    "priceUpdate": _price_update,
    "status": _status,
    "heartbeat": _heartbeat,
}


def _by_name(values: Mapping[str, Any], parse: Callable[[Any], T]) -> Mapping[str, T]:
    return MappingProxyType({name: parse(value) for name, value in values.items()})


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _amount(amount: Any) -> Decimal | None:
    return None if amount is None else Decimal(amount)


def _time(text: str) -> dt.datetime:
    """A time of the wire. Raises ValueError for one without a zone, which would be taken for this machine's."""
    at = dt.datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at
