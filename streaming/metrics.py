"""Counts of the stream of one web process, for Prometheus and for a line in the log.

The stream calls the methods of one `Metrics`, made when the process starts (swarna/asgi.py), and knows nothing of
Prometheus. A call costs a few microseconds: one for each message from a client is fine, one for each client of a
broadcast is not. So connections count in a `Traffic`, and a broadcast reports its sums.
"""

import asyncio
import enum
import logging
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from prometheus_client import Counter, Gauge, Histogram

from infra.metrics.shared import MetricStore
from streaming.engine.frames import Frame
from streaming.engine.reasons import CloseReason, RejectReason

K = TypeVar("K", bound=enum.StrEnum)

logger = logging.getLogger(__name__)

LOG_EVERY: Final = 30.0  # seconds, as in the seed

# Ten thousand clients are to be reached within a tenth of a second; a second is a server that cannot keep up.
_FAN_OUT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
# A publication waits for the batch interval, by default one second; one that Redis lost, up to five.
_AGE_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)


class Inbound(enum.StrEnum):
    """Kinds of messages from clients."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    PING = "ping"
    INVALID = "invalid"  # answered with an error
    TOO_BIG = "too_big"  # not read to its end, nor its bytes counted


class Transport(enum.StrEnum):
    """The ways in which clients have the stream."""

    WEBSOCKET = "websocket"
    SSE = "sse"  # Server-Sent Events
    POLL = "poll"  # a waiting poll


class Fault(enum.StrEnum):
    """Kinds of faults of ours."""

    REDIS = "redis"
    DATABASE = "database"
    SEND = "send"  # a message that could not be sent, for a reason of ours
    MESSAGE = "message"  # a defect that a client's message met
    TASK = "task"  # a defect in a task of the feed or the hub


class Metrics:
    """The counts of this process. Made once: its numbers continue those of a process that has ended.

    `folder` is where all web processes of this host keep their counts; with None they are kept in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        # Its part of the folder is this process's for as long as this object lives.
        self.store: Final = _store(folder)
        store = self.store
        # Since this process began; Prometheus' counters may have begun before.
        self._active = self._total = self._messages_in = self._messages_out = 0
        self._faults = dict.fromkeys(Fault, 0)
        # The metrics that a scrape shows: of all processes of the folder.
        self.registry: Final = store.everyone
        with store.making() as registry:
            counter = partial(Counter, registry=registry)
            self._connections = Gauge(
                "swarna_connections",
                "Clients that are connected or wait, on any transport, by web process of this host.",
                ["process"],
                registry=registry,
                multiprocess_mode="livesum",
            ).labels(store.number)
            by_http = Gauge(
                "swarna_http_clients",
                "Clients among these that have the stream by HTTP, by transport.",
                ["process", "transport"],
                registry=registry,
                multiprocess_mode="livesum",
            )
            self._by_http = {each: by_http.labels(store.number, each) for each in (Transport.SSE, Transport.POLL)}
            self._accepted = counter("swarna_connections_accepted_total", "Clients that were served.")
            help = "Clients that were refused before they were served, by reason."
            self._refused = _by(RejectReason, counter("swarna_connections_refused_total", help, ["reason"]))
            help = "Clients that were served and have ended, by reason."
            self._closed = _by(CloseReason, counter("swarna_connections_closed_total", help, ["reason"]))
            help = "Messages from clients, by type; invalid ones were answered with an error, too big ones not read."
            self._received = _by(Inbound, counter("swarna_messages_received_total", help, ["type"]))
            self._sent = counter("swarna_messages_sent_total", "Messages to clients, answers and updates alike.")
            help = "Frames that were made, by compression: plain or deflate."
            encoded = counter("swarna_frames_encoded_total", help, ["compression"])
            self._encoded_plain, self._encoded_deflate = encoded.labels("plain"), encoded.labels("deflate")
            help = "Messages that were sent as a frame which was made before, for another client."
            self._shared = counter("swarna_frames_shared_total", help)
            self._bytes_in = counter("swarna_received_bytes_total", "Bytes of clients' messages, once inflated.")
            self._bytes_out = counter("swarna_sent_bytes_total", "Bytes of frames to clients, as sent.")
            help = "Updates that a slow client was not sent, its last one being still on its way; merged into its next."
            self._skipped = counter("swarna_updates_skipped_total", help)
            self._fan_out = Histogram(
                "swarna_fan_out_duration_seconds",
                "Time to hand one update to all connections of a process.",
                registry=registry,
                buckets=_FAN_OUT_SECONDS,
            )
            self._age = Histogram(
                "swarna_update_age_seconds",
                "Age of a publication when it was handed to a process's connections.",
                registry=registry,
                buckets=_AGE_SECONDS,
            )
            self._errors = _by(Fault, counter("swarna_errors_total", "Faults of ours, by kind.", ["kind"]))

    def accepted(self, transport: Transport = Transport.WEBSOCKET) -> None:
        """Count a client that is served from now on. `closed` follows, exactly once, of the same transport."""
        self._active += 1
        self._total += 1
        self._accepted.inc()
        self._connections.inc()
        if transport in self._by_http:
            self._by_http[transport].inc()

    def refused(self, reason: RejectReason) -> None:
        """Count a connection that was refused; neither `accepted` nor `closed` is called for it."""
        self._refused[reason].inc()

    def closed(self, reason: CloseReason, transport: Transport = Transport.WEBSOCKET) -> None:
        """Count the end of a client that was accepted, by its first reason."""
        self._active -= 1
        self._connections.dec()
        self._closed[reason].inc()
        if transport in self._by_http:
            self._by_http[transport].dec()

    def received(self, kind: Inbound, *, bytes: int) -> None:
        """Count a message from a client."""
        self._messages_in += 1
        self._received[kind].inc()
        self._bytes_in.inc(bytes)

    def framed(self, *, plain: int = 0, deflate: int = 0) -> None:
        """Count frames that were made, for any number of clients."""
        if plain:
            self._encoded_plain.inc(plain)
        if deflate:
            self._encoded_deflate.inc(deflate)

    def sent(self, messages: int = 1, *, bytes: int, shared: int = 0) -> None:
        """Count messages sent beside broadcasts: answers, snapshots, merged updates for slow clients.

        `bytes` of all of them together; `shared` of them were frames made before, for another client.
        """
        self._messages_out += messages
        self._sent.inc(messages)
        self._bytes_out.inc(bytes)
        if shared:
            self._shared.inc(shared)

    def fanned_out(
        self, *, sent: int, skipped: int, shared: int, bytes: int, seconds: float, age_seconds: float | None
    ) -> None:
        """Count a broadcast, which took `seconds`.

        `sent` messages went out, `bytes` in all, `shared` of them as frames made before for another client; `skipped`
        connections were not sent an update, as their last one was still on its way. `age_seconds` is the time since the
        newest publication; None if no publication caused the broadcast.
        """
        self.sent(sent, bytes=bytes, shared=shared)
        if skipped:
            self._skipped.inc(skipped)
        self._fan_out.observe(seconds)
        if age_seconds is not None:
            self._age.observe(max(age_seconds, 0.0))  # where two hosts' clocks differ

    def failed(self, kind: Fault) -> None:
        """Count a fault of ours, beside its line in the log."""
        self._faults[kind] += 1
        self._errors[kind].inc()

    def log_line(self) -> str:
        """The seed's line of metrics: this process since it began."""
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(self._faults.items()) if number)
        return (
            f"process {self.store.number}: WebSocket metrics: activeConnections={self._active} "
            f"totalConnections={self._total} messagesReceived={self._messages_in} messagesSent={self._messages_out} "
            f"errors={sum(self._faults.values())} (faults of the server, not of clients{': ' * bool(kinds)}{kinds})"
        )

    async def log_regularly(self, every: float = LOG_EVERY) -> None:
        """Log the line each `every` seconds, until it is cancelled."""
        while True:
            await asyncio.sleep(every)
            logger.info("%s", self.log_line())


class Traffic:
    """Counts the messages that connections send, and reports sums to `Metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self.messages = self.bytes = 0
        self._metrics = metrics
        self._made, self._compressions = Frame.made, Frame.compressions
        self._unsent = 0  # frames that were made, and not sent to anybody yet

    def report(self) -> None:
        """Report the messages sent since the last `take`: answers, which belong to no broadcast."""
        if self.messages:
            sent, shared, size = self.take()
            self._metrics.sent(sent, shared=shared, bytes=size)

    def take(self) -> tuple[int, int, int]:
        """Report the frames made, and return since the last time: messages sent, those with a shared frame, bytes."""
        made, compressions = Frame.made - self._made, Frame.compressions - self._compressions
        self._made, self._compressions = Frame.made, Frame.compressions
        self._metrics.framed(plain=made, deflate=compressions)
        sent, size = self.messages, self.bytes
        self.messages = self.bytes = 0
        first = min(sent, self._unsent + made)
        self._unsent += made - first
        return sent, sent - first, size


def _by(kinds: type[K], counter: Counter) -> dict[K, Counter]:
    """The counter of each kind, made now: until it occurs it shows as 0, so that its first time is seen."""
    return {kind: counter.labels(kind) for kind in kinds}


def _store(folder: Path | None) -> MetricStore:
    """A store in the folder; in memory if there is none, or it cannot be used: prices matter more than metrics."""
    if folder is not None:
        try:
            return MetricStore.in_folder(folder)
        except OSError as error:
            logger.error(
                "metrics cannot be kept in %s (%s), and /metrics will show one process only: make the folder "
                "writable and room in it, or set METRICS_DIR to another, and start again",
                folder,
                error,
            )
    return MetricStore()
