"""When a source that fails is left alone for a while, and when it is tried again: pure."""

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Final

from infra import clock

# Refreshes in a row without any price, after which the breaker opens; and for how long, doubling each time.
FAILURES: Final = 3
_FIRST_REST: Final = dt.timedelta(minutes=1)
_LONGEST_REST: Final = dt.timedelta(minutes=8)


class State(enum.StrEnum):
    """Closed: asked as usual. Open: left alone. Half open: the next refresh asks once, and its answer decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """`failures` in a row, and until when the source is left alone for them."""

    failures: int = 0
    open_until: dt.datetime | None = None

    def state(self, now: dt.datetime) -> State:
        if self.open_until is None:
            return State.CLOSED
        # One that seems to last longer than any does was begun by a clock that was ahead.
        is_open = now < self.open_until and clock.is_plausible(self.open_until, now, ahead=_LONGEST_REST)
        return State.OPEN if is_open else State.HALF_OPEN

    def failed(self, now: dt.datetime, *, for_good: bool = False) -> "Breaker":
        """After one more failure; `for_good`: only a person can mend it, so there is no use in trying thrice."""
        failures = max(self.failures + 1, FAILURES if for_good else 0)
        if failures < FAILURES:
            return Breaker(failures)
        rest = min(_FIRST_REST * 2 ** min(failures - FAILURES, 8), _LONGEST_REST)
        return Breaker(failures, now + rest)
