"""Freshness by the clock: which prices are stale, and each metal's feed in `status`. Pure.

The wall clock may have been set back since a quote came, and would then make the quote young again. So a quote is as
old as the wall clock says, or as old as it was when it came plus the time since by the steady clock, whichever is more.
If a quote from before this process is dated in the future, its age is unknown: it counts as stale.
"""

import datetime as dt
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from infra import clock, formats
from infra.clock import Reading
from prices.domain.calendar import Calendar
from streaming import protocol
from streaming.engine.frames import Frame
from streaming.protocol import Feed
from streaming.publication_log import PublicationLog, Quoted


class Outdated(NamedTuple):
    """Metals whose quotes are older than the freshness limit or contested (`stale`), and metals without a price of now
    (`past`): the stale ones, and all while the market is closed.
    """

    stale: frozenset[str]
    past: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Received:
    """A quote's source and its own time, when the quote came, and whether its age was known then."""

    source: str
    quoted_at: dt.datetime
    at: Reading
    has_an_age: bool


class Freshness:
    """Keeps the stale metals and the status of one log up to date. Remembers when each metal's quote came."""

    def __init__(self, calendar: Calendar) -> None:
        self.feed = Feed.STALE  # of all metals together; as long as nothing is known, no price of now
        self._calendar = calendar
        self._received: dict[str, _Received] = {}
        # The content of the last status: feed, feeds, whether the market is open, its next change, source, epoch.
        self._shown: tuple[Feed, dict[str, Feed], bool, dt.datetime, str | None, str] | None = None

    def update(self, log: PublicationLog, now: Reading, limit: dt.timedelta | None) -> frozenset[str]:
        """Mark stale metals in the log and renew its status as of `now`; returns the metals that turned stale or fresh.

        `limit` is how old a quote may be; None until the database has been read, when no price is known to be `down`.
        """
        outdated = self.outdated(log.latest, now, limit or dt.timedelta.max)
        turned = log.mark_stale(outdated.stale)
        feeds = feeds_of(log.latest, outdated.past)
        feed = self.feed = least_real(feeds.values()) if feeds or limit is not None else Feed.STALE
        source = next((log.latest[metal].data.source for metal in feeds if feeds[metal] == feed), None)
        is_open, next_change = self._calendar.is_open(now.wall), self._calendar.next_change(now.wall)
        shown = (feed, feeds, is_open, next_change, source, log.epoch)
        if shown != self._shown:
            self._shown = shown
            status = protocol.status(
                feed,
                feeds,
                market_open=is_open,
                next_change=formats.time(next_change),
                source=source,
                epoch=log.epoch,
                timestamp=formats.time(now.wall),
            )
            log.show(Frame(status))
        return turned

    def outdated(self, latest: Mapping[str, Quoted], now: Reading, limit: dt.timedelta) -> Outdated:
        """Find the metals with quotes that are outdated at `now`. A quote new since the last call has come now."""
        self._received = {metal: self._receipt(metal, quoted, now) for metal, quoted in latest.items()}
        stale, past = set(), set()
        for metal, received in self._received.items():
            # The market's hours are looked up at this time too: set back, the wall clock would open the market again.
            at = received.at.latest(now)
            # No source knows the future: one that seems to is ahead of us, or our clock is behind.
            quoted_at = min(received.quoted_at, received.at.wall)
            is_old = not received.has_an_age or self._calendar.age(received.source, quoted_at, at) > limit
            is_stale = is_old or latest[metal].is_contested
            if is_stale:
                stale.add(metal)
            if is_stale or not self._calendar.is_of_now(quoted_at, at, limit):
                past.add(metal)
        return Outdated(frozenset(stale), frozenset(past))

    def _receipt(self, metal: str, quoted: Quoted, now: Reading) -> _Received:
        known = self._received.get(metal)
        is_another = known is not None and (known.source, known.quoted_at) != (quoted.data.source, quoted.quoted_at)
        # Else the source has not quoted again: only something else has changed, such as a premium.
        if known is not None and not is_another and (known.has_an_age or known.at.stepped(now) <= dt.timedelta(0)):
            return known
        # A metal's first quote may be of any time: it was published before, perhaps by a clock that was set back since.
        # As soon as that clock is put right, the quote's age is known.
        has_an_age = is_another or clock.is_plausible(quoted.quoted_at, now.wall)
        return _Received(quoted.data.source, quoted.quoted_at, now, has_an_age)


def feeds_of(latest: Mapping[str, Quoted], past: Container[str]) -> dict[str, Feed]:
    """Each metal's feed. The prices of metals in `past` are stale, or of the market's close."""
    return {
        metal: Feed(source)
        if (source := quoted.data.source) in (Feed.SIMULATED, Feed.FALLBACK)
        else (Feed.STALE if metal in past else Feed.LIVE)
        for metal, quoted in latest.items()
    }


def least_real(feeds: Iterable[Feed]) -> Feed:
    """The feed of a whole screen: the least real of its metals' feeds; `down` if it has no metals."""
    shown = set(feeds)
    for feed in (Feed.SIMULATED, Feed.FALLBACK, Feed.STALE, Feed.LIVE):
        if feed in shown:
            return feed
    return Feed.DOWN
