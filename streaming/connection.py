"""One client of the stream, and its next message.

To the publication log, which makes its updates, a client is only `(metals, since, candles)`. Latest wins: while a
message waits for the client, no other is written; when that one is through, the client gets the newest state.
"""

import asyncio
import functools
from collections.abc import Callable
from time import monotonic
from typing import cast

from prices.domain.positions import Position
from streaming.cohorts import Cohort, Cohorts
from streaming.engine.frames import Frame
from streaming.engine.reasons import CloseReason
from streaming.engine.sinks import DirectSink, Sink
from streaming.metrics import Traffic, Transport
from streaming.protocol import EVERY_METAL
from streaming.publication_log import PublicationLog, Update


@functools.cache
def _same(names: frozenset[str]) -> frozenset[str]:
    """One object for each choice of metals or candles: at each broadcast equal ones would be compared name by name."""
    return names


class Connection:
    """One client: its subscription, its position and its sink. `on_restart` is called when its server restarts."""

    __slots__ = (
        "_answers",
        "_cohort",
        "_due",
        "_epoch",
        "_interval",
        "_joined",
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
        "heartbeat_ms",
        "metals",
        "sent_at",
        "sent_position",
        "since",
        "transport",
    )

    def __init__(
        self,
        log: PublicationLog,
        traffic: Traffic,
        sink: Sink,
        on_restart: Callable[["Connection"], object],
        transport: Transport,
    ) -> None:
        self.transport = transport
        # The cohort of which it is a member, while it is in step; and how often that had been sent to before.
        self._cohort: Cohort[Connection] | None = None
        self._joined = 0
        self.metals = EVERY_METAL
        # Intervals whose candles it wants too.
        self.candles: frozenset[str] = frozenset()
        # The newest publication that the client has seen; None if it needs a snapshot.
        self.since: int | None = None
        # The position of the last update that it was sent, which is older where later ones had none of its metals.
        self.sent_position: Position | None = None
        # The silence after which it is sent a heartbeat, 0 for none; and when it was last sent anything, which is kept
        # only with a heartbeat, in seconds of the monotonic clock.
        self.heartbeat_ms = 0
        self.sent_at = 0.0
        # The epoch of `since` as the client named it, while the log has none yet.
        self._epoch: str | None = None
        self._log = log
        self._traffic = traffic
        self._sink = sink
        self._on_restart = on_restart
        self.has_subscribed = False
        # Few, and mostly none: then all connections share one tuple, and reading it costs no cache line each.
        self._answers: tuple[Frame, ...] = ()
        self._status: Frame | None = None
        # True if it needs the state even without a new quote of its metals.
        self._renew = False
        # True if an update may go out now, rather than with the next broadcast.
        self._due = True
        # Seconds between updates, or 0 for all of them; and when the next one may go, by the loop's clock.
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
        """Add metals; the first call narrows the default set of all metals to exactly these.

        The next update has everything that the client missed after `since`; it is a snapshot without `since`, or if
        `epoch` is not the log's (None counts as the log's). An interval stays until another one is given; 0 ends it. So
        do the intervals of candles; an empty set ends them.
        """
        self.step_out()
        log = self._log
        if log.epoch and epoch not in (None, log.epoch):
            since = None
        if since is not None:
            self.since, self._epoch = since, epoch
            # The client has never seen a metal that it adds, and no publication after `since` need include it.
            self._renew |= not metals <= self.metals
        elif self.since is not None:
            # Waiting moves (for an interval's end, a slow client or the next broadcast) are of the metals so far.
            if missed := log.update(self.metals, self.since, self.candles):
                self._answers += (missed.frame,)
            self.since = max(self.since, log.seq)
            self._renew = True
        self.metals = _same(self.metals | metals if self.has_subscribed else metals)
        self.has_subscribed = True
        self._due = True
        if candles is not None:
            self.candles = _same(candles)
        # Nor need one include a price that turned stale while the client was away.
        self._renew |= bool(self.metals & log.stale)
        if interval_ms is not None:
            # The interval that runs since the last update ends as if it had had its new length from the start.
            self._not_before += interval_ms / 1000 - self._interval
            self._interval = interval_ms / 1000

    def unsubscribe(self, metals: frozenset[str]) -> None:
        """Remove metals; before any `subscribe`, from all."""
        self.step_out()
        self.metals = _same(self.metals - metals)

    @property
    def interval_ms(self) -> int | None:
        """Milliseconds between two updates; None without an interval."""
        return round(self._interval * 1000) or None

    def answer(self, message: bytes) -> None:
        """Queue the answer to a message of the client. Answers go out in order, before prices."""
        self.step_out()
        self._answers += (Frame(message),)
        self.flush()

    def push(self) -> bool:
        """Send news, if any, unless the client's interval goes on. False if a message still waits for a slow client."""
        # A status is no update, and waits for no interval: silence must not be ambiguous.
        if not self._interval or self._interval_is_over():
            self._due = True
        self.flush()
        return self._sink.writable

    def flush(self) -> None:
        """Write waiting messages while the sink is writable: answers, then an update, then the status."""
        sink, log, traffic = self._sink, self._log, self._traffic
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
            traffic.bytes += sink.write(frame)
            traffic.messages += 1
            if self.heartbeat_ms:
                self.sent_at = monotonic()

    @property
    def is_writable(self) -> bool:
        """False while a message waits for a slow client."""
        return self._sink.writable

    def beat(self, heartbeat: Frame) -> None:
        """Write a heartbeat to a client that is writable. It moves no position and ends no interval."""
        self.step_out()
        self._traffic.bytes += self._sink.write(heartbeat)
        self._traffic.messages += 1
        self.sent_at = monotonic()

    def write(self, message: bytes) -> None:
        """Write a message at once, ahead of all that waits."""
        self.step_out()
        self._sink.write(Frame(message))

    def restart(self) -> None:
        self._on_restart(self)

    @property
    def close_reason(self) -> CloseReason:
        """The reason for the connection's end, if the application did not end it."""
        return CloseReason(self._sink.dropped or CloseReason.CLIENT)

    def move_to(self, sink: Sink) -> None:
        """Write to this sink from now on; nothing waits in the one before."""
        self._sink = sink
        sink.listener = self
        self.flush()

    def close(self) -> None:
        """Send nothing more."""
        self.step_out()
        if self._timer is not None:
            self._timer.cancel()
        self._sink.stop()

    def begin_epoch(self, epoch: str) -> None:
        """Void a position of another epoch than this one, which the log is about to begin."""
        self.step_out()
        if self._log.epoch or self._epoch not in (None, epoch):
            self.since = None

    def renew(self) -> None:
        """Have the next broadcast send the state: a price that the client has is shown differently now."""
        self._renew = True

    def know_state(self) -> None:
        """Take the client to know the status, and which of its prices are stale: only what changes is news to it."""
        self._status = self._log.status
        self._renew = False

    # --- in step ----------------------------------------------------------------------------------------------------

    def step_in(self, cohorts: "Cohorts[Connection]") -> bool:
        """Become a member of its cohort, if it has seen all that the cohorts have, and nothing waits for it."""
        has_seen_all = self.since == cohorts.since is not None and self._status is cohorts.status and not self._renew
        if not has_seen_all or self._answers or self._interval:
            return False
        sink = self._sink
        send = sink.direct
        if send is None:
            return False
        self._cohort = cohort = cohorts.cohort(self.metals, self.candles, cast(DirectSink, sink).encoding)
        self._joined = cohort.sendings
        cohort.members[self] = send
        return True

    def step_out(self) -> None:
        """Go on by itself from where its cohort is. Harmless for a connection that is in none."""
        cohort, self._cohort = self._cohort, None
        if cohort is None:
            return
        del cohort.members[self]
        cohort.apart[self] = None
        self.since, self._status, self._renew = cohort.since, cohort.status, cohort.renew
        if cohort.sendings > self._joined:
            self.sent_at = cohort.sent_at
        if cohort.newest_update > self._joined:
            self.sent_position = cohort.sent_position

    @property
    def last_sent_at(self) -> float:
        """The time at which it was last sent anything, by itself or with its cohort; kept only with a heartbeat."""
        cohort = self._cohort
        return cohort.sent_at if cohort is not None and cohort.sendings > self._joined else self.sent_at

    def fall_behind(self, data: bytes, sent: int) -> None:
        self.step_out()
        cast(DirectSink, self._sink).keep(data, sent)

    def _update(self) -> Update | None:
        """The update that is due, if there is news. The next one waits for the next broadcast."""
        self._due = False
        log = self._log
        update = log.update(self.metals, self.since, self.candles, renew=self._renew)
        if update:
            self.since = update.seq
            self.sent_position = update.position
            self._renew = False
            if self._interval:
                self._not_before = asyncio.get_running_loop().time() + self._interval
        elif self.since is not None:
            # Not backwards: before the first reading, the log knows less than a client that has come back.
            self.since = max(self.since, log.seq)
        return update

    def _interval_is_over(self) -> bool:
        """Return True if the client's interval is over; else `push` again when it is."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if loop.time() >= self._not_before:
            return True
        self._timer = loop.call_at(self._not_before, self.push)
        return False
