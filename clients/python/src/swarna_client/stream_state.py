"""A client's knowledge of the stream, across all of its connections. It does no I/O: texts go in, events come out.

A new connection is sent all prices before the server has read the subscription. These are left out: what counts begins
with the answer to it, so that each move comes once, whatever the connection began with.
"""

import datetime as dt
import json
import random
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from swarna_client import messages
from swarna_client.errors import RefusedError, RejectedError
from swarna_client.messages import Connected, Disconnected, Event, Heartbeat, Position, PriceUpdate, Quote, Status

# The `id` that the answer to a subscription has.
_ID: Final = "swarna-client"
# Seconds within which the server has to answer, and its answer to be taken; and how many heartbeats may fail to come
# until a connection is dead.
_ANSWER: Final = 10.0
_HEARTBEATS: Final = 2
# Seconds until the first retry; they double with each further one, up to the longest, and are lengthened by a random
# share, so that clients that lost a server do not come back at once.
_FIRST_RETRY: Final = 1.0
_LONGEST_RETRY: Final = 30.0
_JITTER: Final = 0.25
# The longest time for which a server that names one is left alone, in seconds.
_LONGEST_REFUSAL: Final = 3600.0

# A clock that goes on while the machine sleeps, where there is one.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", None)


def steady_seconds() -> float:
    """Seconds that nobody sets."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A client's wishes; times are in whole milliseconds."""

    metals: tuple[str, ...] = ("*",)
    interval: int | None = None
    candles: tuple[str, ...] = ()
    heartbeat: int = 15_000

    def message(self, since: Position | None) -> str:
        """The message that subscribes, and resumes from a position."""
        wanted: dict[str, Any] = {"type": "subscribe", "id": _ID, "metals": self.metals, "heartbeat": self.heartbeat}
        if self.interval is not None:
            wanted["interval"] = self.interval
        if self.candles:
            wanted["candles"] = self.candles
        if since is not None:
            wanted["since"] = since.seq
            if since.epoch is not None:
                wanted["epoch"] = since.epoch
        return json.dumps(wanted)


class StreamState:
    """The state of a stream. Between `begin` and `lost` there is a connection, and `receive` takes what it brings."""

    def __init__(self, subscription: Subscription, since: Position | None = None) -> None:
        self.prices: Mapping[str, Quote] = MappingProxyType({})
        self.status: Status | None = None
        self.position = since
        self.is_confirmed = False
        self._subscription = subscription
        self._to_send: deque[str] = deque()
        self._time_requested_at = 0.0
        self._heard_at = 0.0
        self._has_heartbeats = False
        self._has_been_confirmed = False
        self._attempt = 0
        self._restart_after: float | None = None
        self._turned_away: Mapping[str, Any] | None = None
        self._clock_ahead: float | None = None

    def begin(self) -> None:
        """A connection is open."""
        self.is_confirmed = self._has_heartbeats = False
        self._restart_after = self._turned_away = self._clock_ahead = None
        self._heard_at = steady_seconds()
        self._to_send.clear()
        self._request_time()
        self._to_send.append(self._subscription.message(self.position))

    def _request_time(self) -> None:
        self._time_requested_at = steady_seconds()
        self._to_send.append(json.dumps({"type": "ping"}))

    def to_send(self) -> str | None:
        """The next message that is to be sent now, each once; None for none."""
        return self._to_send.popleft() if self._to_send else None

    @property
    def longest_silence(self) -> float | None:
        """Seconds after which a silent connection is dead; None where the server, an older one, has no heartbeats."""
        if not self.is_confirmed:
            return _ANSWER
        return self._subscription.heartbeat / 1000 * _HEARTBEATS if self._has_heartbeats else None

    @property
    def is_heard(self) -> bool:
        """True if the last message was taken within the longest silence."""
        return self.longest_silence is None or steady_seconds() - self._heard_at <= self.longest_silence

    @property
    def is_timed(self) -> bool:
        """True once the server has told its time on this connection."""
        return self._clock_ahead is not None

    def server_time(self) -> dt.datetime:
        """The server's time, as its least delayed message of this connection tells; else this machine's."""
        if self._clock_ahead is None:
            return dt.datetime.now(dt.UTC)
        return dt.datetime.fromtimestamp(steady_seconds() + self._clock_ahead, dt.UTC)

    def receive(self, text: str | bytes) -> Event | None:
        """The event that a text of the server's is; None for one that is none.

        Raises UnreadableError, and RejectedError where the server does not take the subscription.
        """
        self._heard_at = steady_seconds()
        message = messages.decoded(text)
        kind = message.get("type")
        if kind == "subscribed" and message.get("id") == _ID and not self.is_confirmed:
            return self._confirmed(message)
        if kind == "restart":
            self._restart_after = _seconds(message.get("afterMs"))
        elif kind == "error" and "retry" in message:
            self._turned_away = message
        elif kind == "pong":
            self._told(messages.sent_at(message))
        elif kind == "error":
            self._end()
            raise RejectedError(str(message.get("code")), str(message.get("message")))
        elif kind != "priceUpdate" or self.is_confirmed:
            return self._shown(messages.parsed(message))
        return None

    def _confirmed(self, message: Mapping[str, Any]) -> Connected:
        self.is_confirmed = self._has_been_confirmed = True
        self._has_heartbeats = message.get("heartbeat") is not None
        if self.position is not None and not self.prices:
            # Where nothing was missed, nothing comes: a program that has just started wants prices all the same.
            self._to_send.append(self._subscription.message(since=None))
        return Connected(tuple(message.get("metals", ())))

    def _shown(self, event: PriceUpdate | Status | Heartbeat | None) -> Event | None:
        match event:
            case PriceUpdate():
                self.prices, self.position = event.prices, event.position
                self._attempt = 0
                if not event.snapshot:  # which may be of any time ago
                    self._compare_clocks(event.timestamp)
            case Heartbeat():
                self._attempt = 0
                self._compare_clocks(event.timestamp)
            case Status():
                self.status = event
        return event

    def _told(self, time: dt.datetime) -> None:
        """Take the answer to the question for the time, or ask again where a program that was busy took it late."""
        if steady_seconds() - self._time_requested_at > _ANSWER:
            self._request_time()
        else:
            self._clock_ahead = _ahead(time)

    def _compare_clocks(self, told: dt.datetime) -> None:
        """Correct the server's time by a message that was less delayed.

        None but the answer tells it first: an update may be as old as what the client missed, and a heartbeat as old as
        the program was busy.
        """
        if self._clock_ahead is not None:
            self._clock_ahead = max(_ahead(told), self._clock_ahead)

    def lost(self, reason: str, *, after: float | None = None) -> Disconnected:
        """The connection is over, or was none: what is known until then, and when to try again.

        `after` are seconds that the server named with an HTTP status. Raises RefusedError if another try is of no use.
        """
        self._end()
        refusal, self._turned_away = self._turned_away, None
        restart_after, self._restart_after = self._restart_after, None
        if (refusal and refusal.get("retry") == "never") or reason == "Unauthorized":
            refusal = refusal or {"code": "unauthorized", "message": "The server requires a token, or another one."}
            raise RefusedError(str(refusal.get("code")), str(refusal.get("message")))
        if restart_after is not None and self._attempt == 0:
            self._attempt = 1
            return Disconnected(reason, restart_after)  # the server has spread the delays over its clients
        after = restart_after if after is None else after
        if refusal:
            reason, after = str(refusal.get("message")), _seconds(refusal.get("afterMs"))
        self._attempt += 1
        delay = min(_FIRST_RETRY * 2 ** min(self._attempt - 1, 10), _LONGEST_RETRY)
        return Disconnected(reason, max(delay, after or 0.0) * (1 + _JITTER * random.random()))  # noqa: S311  # no secret

    def _end(self) -> None:
        self.is_confirmed = False
        self.status = None

    def not_served(self, status: int, after: float | None) -> Disconnected:
        """The server answered the handshake with an HTTP status.

        Raises RefusedError for one that says that the address is wrong, unless there was a stream at it before: then a
        proxy gave it in passing.
        """
        is_wrong = 400 <= status < 500 and status not in (408, 425, 429)
        if is_wrong and not self._has_been_confirmed:
            raise RefusedError(str(status), f"There is no stream at this address: HTTP {status}.")
        return self.lost(f"HTTP {status}", after=after)


def _ahead(told: dt.datetime) -> float:
    """Seconds by which the server's clock is ahead of the steady one, if it told this time just now."""
    return told.timestamp() - steady_seconds()


def _seconds(milliseconds: Any) -> float:
    is_number = isinstance(milliseconds, int | float) and milliseconds >= 0
    return min(milliseconds / 1000, _LONGEST_REFUSAL) if is_number else 0.0
