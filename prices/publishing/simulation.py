"""A simulated market at any pace: publication after publication through ingest, for benches and demonstrations."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from prices.domain.quotes import Metal
from prices.providers import simulated
from prices.publishing import ingest


@dataclass(slots=True)
class Pace:
    """The result of a simulation: publications, deadlines that were missed, and seconds."""

    publications: int = 0
    missed: int = 0
    seconds: float = 0.0


def run(
    interval: float, count: int | None, *, stop: threading.Event, stamped: Callable[[int, int], None] | None = None
) -> Pace:
    """Publish all metals every `interval` seconds, `count` times or until `stop` is set.

    Deadlines lie on a grid that begins now, so that delays do not add up. A deadline that has passed is left out: a
    market that was delayed goes on at its pace, not in a burst. Calls `stamped` with each publication's `seq` and the
    CLOCK_MONOTONIC nanosecond at which it was committed and began to go out.
    """
    pace = Pace()
    began = time.monotonic()
    step = int(time.time())
    slot = 0
    while not stop.is_set():
        published = _publish(step)
        step += 1
        if published:
            pace.publications += 1
            if stamped:
                stamped(*published)
        if pace.publications == count:
            break
        now_at = int((time.monotonic() - began) / interval)
        pace.missed += max(0, now_at - slot - 1)
        slot = max(slot + 1, now_at)
        stop.wait(max(0.0, began + slot * interval - time.monotonic()))
    pace.seconds = time.monotonic() - began
    return pace


def _publish(step: int) -> tuple[int, int] | None:
    """Publish one step of the walk. Returns its `seq` and when it began to go out; None where no metal is listed."""
    now = timezone.now()
    quotes = [simulated.quote(metal, step=step, quoted_at=now) for metal in Metal]
    began: list[int] = []
    with transaction.atomic():
        # Registered before ingest registers its message, it is called right before that.
        transaction.on_commit(lambda: began.append(time.monotonic_ns()))
        publication = ingest.record(quotes, now=now)
    return (publication.seq, began[0]) if publication else None
