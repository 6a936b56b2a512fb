"""The time at which a source last confirmed each metal's price, also after a clock has stepped.

The time is stored, and may be wrong: the clock that it was read from may have been ahead then, or ours may be ahead
now. On the machine that stored it, the steps of the clock since then are known; on another machine, or after a restart
of the machine, they are not. So there are two functions, each of which errs on its harmless side: `last_confirmed` may
have a metal fetched too early, `unconfirmed_since` a fallback published too late.
"""

import datetime as dt
from typing import NamedTuple

from infra import clock
from prices.models import Confirmation, LatestPrice


class _Seen(NamedTuple):
    confirmation: Confirmation
    at: float  # by the steady clock


# By metal: the newest confirmation that this process knows, and the time when it first read it.
_seen: dict[str, _Seen] = {}


def last_confirmed(now: dt.datetime) -> dict[str, dt.datetime]:
    """The time of each metal's last confirmation, by the present clock, without times that cannot be true."""
    times = {metal: _of_now(given) or given.at for metal, given in LatestPrice.confirmations().items()}
    return {metal: at for metal, at in times.items() if clock.is_plausible(at, now)}


def unconfirmed_since(now: dt.datetime) -> dict[str, dt.datetime]:
    """The latest time, by the present clock, at which each metal may last have been confirmed, if it ever was.

    A clock that was put ahead since then does not make it longer ago. A confirmation by another machine counts from the
    time at which this process first read it.
    """
    return {metal: min(_known(metal, given, now), now) for metal, given in LatestPrice.confirmations().items()}


def _of_now(given: Confirmation) -> dt.datetime | None:
    """The time of a confirmation by the present clock; None where its steps since then are unknown."""
    stepped = clock.stepped_since(given.clock)
    return None if stepped is None else given.at + stepped


def _known(metal: str, given: Confirmation, now: dt.datetime) -> dt.datetime:
    if at := _of_now(given):
        return at
    seen = _seen.get(metal)
    if seen is None or seen.confirmation != given:
        seen = _seen[metal] = _Seen(given, clock.steady())
    return now - dt.timedelta(seconds=clock.steady() - seen.at)
