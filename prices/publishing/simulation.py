"""A simulated market at any pace: tick after tick through ingest, for benches and demonstrations."""

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
    """How a simulation went: ticks published, deadlines that had passed before they could be kept, and seconds."""

    ticks: int = 0
    missed: int = 0
    seconds: float = 0.0


def run(
    interval: float, count: int | None, *, stop: threading.Event, stamped: Callable[[int, int], None] | None = None
) -> Pace:
    """Publish a tick of all metals every `interval` seconds, `count` of them or until `stop` is set.

    Deadlines lie on a grid that begins now, so that no delay adds up. One that has passed before its turn is left out:
    a market that was held up goes on at its pace, not in a burst. `stamped` is told of each published tick its seq and
    the CLOCK_MONOTONIC nanosecond at which it was committed and its publication began.
    """
    pace = Pace()
    began = time.monotonic()
    step = int(time.time())
    slot = 0
    while not stop.is_set():
        published = _tick(step)
        step += 1
        if published:
            pace.ticks += 1
            if stamped:
                stamped(*published)
        if pace.ticks == count:
            break
        now_at = int((time.monotonic() - began) / interval)
        pace.missed += max(0, now_at - slot - 1)
        slot = max(slot + 1, now_at)
        stop.wait(max(0.0, began + slot * interval - time.monotonic()))
    pace.seconds = time.monotonic() - began
    return pace


def _tick(step: int) -> tuple[int, int] | None:
    """Publish one step of the walk; its seq and when its publication began, or None where no metal is listed."""
    now = timezone.now()
    quotes = [simulated.quote(metal, step=step, quoted_at=now) for metal in Metal]
    began = 0

    def stamp() -> None:
        nonlocal began
        began = time.monotonic_ns()

    with transaction.atomic():
        # Asked for before ingest asks for its publication, it is called right before it.
        transaction.on_commit(stamp)
        tick = ingest.record(quotes, now=now)
    return (tick.seq, began) if tick else None
