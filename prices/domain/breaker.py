"""Circuit breakers: how long a failing source is left alone, and when it is tried again. Pure."""

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Final

from infra import clock

# After so many refreshes in a row without any price the breaker opens: at first for `_FIRST_REST`, then twice as long
# each time.
FAILURES: Final = 3
_FIRST_REST: Final = dt.timedelta(minutes=1)
_LONGEST_REST: Final = dt.timedelta(minutes=8)


class State(enum.StrEnum):
    """Closed: fetch as usual. Open: leave it alone. Half open: the next refresh tries it once, and that decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """A source's `failures` in a row, and the time until which it is left alone for them."""

    failures: int = 0
    open_until: dt.datetime | None = None

    def state(self, now: dt.datetime) -> State:
        if self.open_until is None:
            return State.CLOSED
        # A breaker open for longer than any can be was opened by a clock that was ahead.
        is_open = now < self.open_until and clock.is_plausible(self.open_until, now, ahead=_LONGEST_REST)
        return State.OPEN if is_open else State.HALF_OPEN

    def failed(self, now: dt.datetime, *, for_good: bool = False) -> "Breaker":
        """The breaker after one more failure; it opens at once where only a person can mend it (`for_good`)."""
        failures = max(self.failures + 1, FAILURES if for_good else 0)
        if failures < FAILURES:
            return Breaker(failures)
        rest = min(_FIRST_REST * 2 ** min(failures - FAILURES, 8), _LONGEST_REST)
        return Breaker(failures, now + rest)
