"""The age of this process's quotes, by both of its clocks: pure.

The wall clock may have been put back since a quote came, and would then make it young again. So a quote is as old as
the wall clock says, or as old as it was when it came and the time since by the steady clock, whichever is more. How old
one was that came before the process cannot be told where it is of the future by the wall clock: it is stale.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from infra import clock
from infra.clock import Reading
from prices.domain.calendar import Calendar
from streaming.publication_log import Quoted


class Judgement(NamedTuple):
    """The metals whose quotes are older than the freshness limit, and those whose quotes say nothing of now: stale ones
    too, and all while the market is closed.
    """

    stale: frozenset[str]
    past: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Received:
    """A quote's source and its own time, when it came, and whether how old it was then can be told."""

    source: str
    quoted_at: dt.datetime
    at: Reading
    has_an_age: bool


class Freshness:
    """Remembers when each metal's quote came."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._received: dict[str, _Received] = {}

    def judge(self, latest: Mapping[str, Quoted], now: Reading, limit: dt.timedelta) -> Judgement:
        """Judge the quotes at `now`. One that was not there the last time has come now."""
        self._received = {metal: self._receipt(metal, quoted, now) for metal, quoted in latest.items()}
        stale, past = set(), set()
        for metal, received in self._received.items():
            # The market's hours are those of this moment too: put back, the wall clock would open it again.
            at = received.at.latest(now)
            # No source knows the future: one that seems to is ahead of us, or our clock is behind.
            quoted_at = min(received.quoted_at, received.at.wall)
            is_stale = not received.has_an_age or self._calendar.age(received.source, quoted_at, at) > limit
            if is_stale:
                stale.add(metal)
            if is_stale or not self._calendar.is_of_now(quoted_at, at, limit):
                past.add(metal)
        return Judgement(frozenset(stale), frozenset(past))

    def _receipt(self, metal: str, quoted: Quoted, now: Reading) -> _Received:
        known = self._received.get(metal)
        has_spoken = known is not None
        # Whatever else changed of it, a premium, say: the source has not spoken again.
        if known is not None and (known.source, known.quoted_at) == (quoted.data.source, quoted.quoted_at):
            if known.has_an_age or known.at.stepped(now) <= dt.timedelta(0):
                return known
            has_spoken = False
        # The first of a metal may be of any time: it was published before, maybe by a clock that was put back since. As
        # soon as that is put right, how old the quote is can be told.
        has_an_age = has_spoken or clock.can_be(quoted.quoted_at, now.wall)
        return _Received(quoted.data.source, quoted.quoted_at, now, has_an_age)
