"""One client of the stream, and what it is to be sent next.

It is only `(metals, since)`: the tick log says what such a client is to be sent. Latest wins: one whose last message
still waits for its client is not given another; when that is through, it gets whatever is newest then.
"""

import asyncio
import functools
from collections.abc import Callable

from streaming.engine.frames import Frame
from streaming.engine.reasons import CloseReason
from streaming.engine.sinks import Sink
from streaming.metrics import Traffic
from streaming.protocol import EVERY_METAL
from streaming.publication_log import PublicationLog, Update


@functools.cache
def _same(names: frozenset[str]) -> frozenset[str]:
    """One object for each choice of metals, or candles: at every tick, equal ones would be compared name by name."""
    return names


class Connection:
    """One client: what it wants, what it has seen, and its way out."""

    __slots__ = (
        "_answers",
        "_due",
        "_epoch",
        "_interval",
        "_log",
        "_not_before",
        "_on_restart",
        "_renew",
        "_sink",
        "_status",
        "_timer",
        "_traffic",
        "candles",
        "has_subscribed",
        "metals",
        "since",
    )

    def __init__(
        self, log: PublicationLog, traffic: Traffic, sink: Sink, on_restart: Callable[["Connection"], object]
    ) -> None:
        self.metals = EVERY_METAL
        # The intervals of which it wants candles too.
        self.candles: frozenset[str] = frozenset()
        # The newest tick that this client has seen; None for one that needs a snapshot.
        self.since: int | None = None
        # The epoch that it says this is of, where the log has none yet.
        self._epoch: str | None = None
        self._log = log
        self._traffic = traffic
        self._sink = sink
        self._on_restart = on_restart
        self.has_subscribed = False
        # Few, and mostly none: then all connections share one tuple, and looking costs no cache line each.
        self._answers: tuple[Frame, ...] = ()
        self._status: Frame | None = None
        # Whether it is to be sent the state though no metal of its has a new quote.
        self._renew = False
        # Whether an update may go out now, rather than with the next round.
        self._due = True
        # Seconds between updates, as the client asked; 0: as they come. And when the next may go, by the loop's clock.
        self._interval = 0.0
        self._not_before = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        sink.listener = self

    def subscribe(
        self,
        metals: frozenset[str],
        since: int | None = None,
        interval_ms: int | None = None,
        candles: frozenset[str] | None = None,
        epoch: str | None = None,
    ) -> None:
        """The first call narrows the default set of all metals to exactly its own; later ones add.

        What follows is everything that was missed after `since`, or a snapshot: without `since`, and where that is of
        another `epoch` than the log's. (Without an epoch it counts as the log's.) An interval stays until another one
        is given; 0 ends it. So do the intervals of candles; an empty set ends them.
        """
        log = self._log
        if log.epoch and epoch not in (None, log.epoch):
            since = None
        if since is not None:
            self.since, self._epoch = since, epoch
            # It was never sent a metal that it adds, and no tick after `since` need tell of it.
            self._renew |= not metals <= self.metals
        elif self.since is not None:
            # Moves that wait for an interval's end, a slow client or the next round are of the metals so far.
            if missed := log.update(self.metals, self.since, self.candles):
                self._answers += (missed.frame,)
            self.since = max(self.since, log.seq)
            self._renew = True
        self.metals = _same(self.metals | metals if self.has_subscribed else metals)
        self.has_subscribed = True
        self._due = True
        if candles is not None:
            self.candles = _same(candles)
        # Nor does one tell of a price that turned stale while its client was away.
        self._renew |= bool(self.metals & log.stale)
        if interval_ms is not None:
            # The interval that began with the last update ends as if it had been the new one from the start.
            self._not_before += interval_ms / 1000 - self._interval
            self._interval = interval_ms / 1000

    def unsubscribe(self, metals: frozenset[str]) -> None:
        """No more of these; before any `subscribe`, out of all."""
        self.metals = _same(self.metals - metals)

    @property
    def interval_ms(self) -> int | None:
        """Milliseconds between two updates, where the client asked for an interval."""
        return round(self._interval * 1000) or None

    def answer(self, message: bytes) -> None:
        """Send the answer to a message of the client's: answers go before prices, in order."""
        self._answers += (Frame(message),)
        self.flush()

    def push(self) -> bool:
        """There may be news: send it, if it is time. False where a slow client has not taken it, or its last one."""
        # A status is no update, and waits for no interval: silence is not to be ambiguous.
        if not self._interval or self._interval_is_over():
            self._due = True
        self.flush()
        return self._sink.writable

    def flush(self) -> None:
        """Send what there is to send, as long as the client takes it: answers, then what changed, then the status."""
        sink, log = self._sink, self._log
        while sink.writable:
            if self._answers:
                frame, *rest = self._answers
                self._answers = tuple(rest)
            elif self._due and (update := self._update()):
                frame = update.frame
            elif log.status and log.status is not self._status:
                self._status = frame = log.status
            else:
                return
            self._traffic.bytes += sink.write(frame)
            self._traffic.messages += 1

    def write(self, message: bytes) -> None:
        """Send a message at once, ahead of all that waits."""
        self._sink.write(Frame(message))

    def restart(self) -> None:
        self._on_restart(self)

    @property
    def close_reason(self) -> CloseReason:
        """Why this connection is over, where the application did not end it."""
        return CloseReason(self._sink.dropped or CloseReason.CLIENT)

    def close(self) -> None:
        """Send nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        self._sink.stop()

    def begin_epoch(self, epoch: str) -> None:
        """Forget what was seen of another epoch than this one, which the log is about to begin."""
        if self._log.epoch or self._epoch not in (None, epoch):
            self.since = None

    def renew(self) -> None:
        """Let the client be sent the state with the next round: a price that it was sent is shown otherwise now."""
        self._renew = True

    def _update(self) -> Update | None:
        """What changed since the last update, if anything did. What changes from now on waits for the next round."""
        self._due = False
        log = self._log
        update = log.update(self.metals, self.since, self.candles, renew=self._renew)
        if update:
            self.since = update.seq
            self._renew = False
            if self._interval:
                self._not_before = asyncio.get_running_loop().time() + self._interval
        elif self.since is not None:
            # Not backwards: before the first reading, the log knows less than a client that has come back.
            self.since = max(self.since, log.seq)
        return update

    def _interval_is_over(self) -> bool:
        """Whether the client's interval is over; if not, it is told when it is."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if loop.time() >= self._not_before:
            return True
        self._timer = loop.call_at(self._not_before, self.push)
        return False
