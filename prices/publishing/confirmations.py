"""The time at which a source last confirmed the price of each metal, as far as it is known whatever the clock says now.

The time is stored, and may be of a clock that was ahead, or be read by one that is. On the machine that stored it, it
can be told how far the clock has stepped since. Of what another machine stored, or this one before it was started, that
is not known, and there are two answers: to fetch a metal does no harm too early, a fallback does none too late.
"""

import datetime as dt
from typing import NamedTuple

from infra import clock
from prices.models import Confirmation, LatestPrice


class _Seen(NamedTuple):
    confirmation: Confirmation
    at: float  # by the steady clock


# By metal: the newest confirmation that this process knows of, and when it first did.
_seen: dict[str, _Seen] = {}


def last_confirmed(now: dt.datetime) -> dict[str, dt.datetime]:
    """The time of each metal's last confirmation, by today's clock. Those whose time cannot be true are left out."""
    times = {metal: _of_now(given) or given.at for metal, given in LatestPrice.confirmations().items()}
    return {metal: at for metal, at in times.items() if clock.is_plausible(at, now)}


def unconfirmed_since(now: dt.datetime) -> dict[str, dt.datetime]:
    """The latest time, by today's clock, at which each metal that was ever confirmed can have been confirmed last.

    A clock that was put ahead makes that no earlier. Where another machine confirmed a metal last, it is when this
    process first knew of it.
    """
    return {metal: min(_known(metal, given, now), now) for metal, given in LatestPrice.confirmations().items()}


def _of_now(given: Confirmation) -> dt.datetime | None:
    """The time of a confirmation by today's clock; None where it is not known how far that has stepped since."""
    stepped = clock.stepped_since(given.clock)
    return None if stepped is None else given.at + stepped


def _known(metal: str, given: Confirmation, now: dt.datetime) -> dt.datetime:
    if at := _of_now(given):
        return at
    seen = _seen.get(metal)
    if seen is None or seen.confirmation != given:
        seen = _seen[metal] = _Seen(given, clock.steady())
    return now - dt.timedelta(seconds=clock.steady() - seen.at)
