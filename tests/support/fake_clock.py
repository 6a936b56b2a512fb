"""A wall clock that a test may set, and the steady clock beside it."""

import datetime as dt
from collections.abc import Iterator

import pytest
import time_machine

from infra import clock
from prices import clock_watch
from prices.publishing import confirmations


class FakeClock:
    """Stands still until a test lets time go by, or puts the wall clock to another time."""

    def __init__(self, traveller: time_machine.Traveller, now: dt.datetime) -> None:
        self._traveller = traveller
        self.now = now
        self.steady = 1_000_000.0

    def goes_on(self, span: dt.timedelta) -> None:
        self.steady += span.total_seconds()
        self.is_put(span)

    def is_put(self, span: dt.timedelta) -> None:
        """Set the wall clock ahead by a span, or back if it is negative."""
        self.now += span
        self._traveller.move_to(self.now)


def run(now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    """Yield a fake clock that begins at `now`, for a fixture. The database has no clock then, as on SQLite."""
    with time_machine.travel(now, tick=False) as traveller:
        fake = FakeClock(traveller, now)
        monkeypatch.setattr(clock, "steady", lambda: fake.steady)
        monkeypatch.setattr(clock_watch, "database_time", lambda: None)
        # Other tests see no step, and know nothing of its times.
        monkeypatch.setattr(confirmations, "_seen", {})
        monkeypatch.setattr(clock_watch, "watch", clock_watch.ClockWatch(lambda: None))
        yield fake
