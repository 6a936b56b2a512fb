"""The levels at which a metal was published in its last 24 hours of open market, and a slow drift away from them. Pure.

A price may drift to any multiple in steps none of which is a jump. So it is compared, too, with every price that was
current in those hours. Levels are at spot, as a change of premium is no drift; and they are kept by the hour, so that
the window is up to an hour longer.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from infra import clock
from infra.formats import EPOCH
from prices.domain.quotes import Metal, percent
from prices.domain.units import rounded

# Of open market.
WINDOW: Final = dt.timedelta(hours=24)
# The largest drift in the window, where staff set no other.
USUAL_PERCENT: Final[Mapping[Metal, Decimal]] = dict.fromkeys(Metal, Decimal(25)) | {Metal.GOLD: Decimal(15)}
_HOUR: Final = dt.timedelta(hours=1)


class Level(msgspec.Struct, frozen=True, array_like=True):
    """The lowest and the highest price that was current in one hour; hours are counted from 1970."""

    hour: int
    low: Decimal
    high: Decimal

    def like(self, price: Decimal, most_percent: Decimal) -> "Level | None":
        """The part of the level from which a price is at most `most_percent` away; None if it has no such part."""
        if not self.is_near(price, most_percent):
            return None
        share = most_percent / 100
        highest = self.high if share >= 1 else min(self.high, rounded(price / (1 - share)))
        return Level(self.hour, max(self.low, rounded(price / (1 + share))), highest)

    def is_near(self, price: Decimal, most_percent: Decimal) -> bool:
        """Return True if a price is at most `most_percent` away from some price of the level."""
        share = most_percent / 100
        return self.low * (1 - share) <= price <= self.high * (1 + share)


@dataclass(frozen=True, slots=True)
class Bound:
    """The lowest and the highest price of the window, and the largest drift from any of its prices, in percent."""

    lowest: Decimal
    highest: Decimal
    most_percent: Decimal

    def left_by(self, price: Decimal) -> Decimal | None:
        """The end of the window from which a price has drifted too far; None if it is within the bound."""
        for reference in (self.lowest, self.highest):
            if abs(percent(price - reference, reference)) > self.most_percent:
                return reference
        return None


class Levels(msgspec.Struct, frozen=True, array_like=True):
    """A metal's levels, oldest first: those `since` the last price that was let out of quarantine, and those `before`.

    Where none was, all are `since`. Those before are no bound any more, as staff or another source have confirmed that
    the market left them; they still tell where it was.
    """

    since: tuple[Level, ...] = ()
    before: tuple[Level, ...] = ()

    @classmethod
    def read(cls, text: str) -> "Levels":
        """The levels that `text` wrote; none for an empty text."""
        return _decoder.decode(text) if text else cls()

    def text(self) -> str:
        """The levels as text, for a row."""
        return _encoder.encode(self).decode()

    def within(self, begin: dt.datetime, now: dt.datetime) -> "Levels":
        """The levels of the window from `begin` to `now`, without any that a clock that was ahead has left."""
        first, last = _hour(begin), _hour(now + clock.TOLERANCE)

        def are_within(levels: Iterable[Level]) -> tuple[Level, ...]:
            return tuple(level for level in levels if first <= level.hour <= last)

        return Levels(are_within(self.since), are_within(self.before))

    def showing(self, price: Decimal, at: dt.datetime) -> "Levels":
        """The levels with one more price, which is current at `at`."""
        newest = _merged((*self.since[-1:], _level(price, at)))  # the others are of hours before
        return Levels((*self.since[:-1], *newest), self.before)

    def after(
        self,
        price: Decimal,
        at: dt.datetime,
        *,
        last: Decimal | None,
        most_percent: Decimal,
        jump_percent: Decimal,
    ) -> "Levels":
        """The levels once a price has been published after `last`.

        If it has jumped or drifted too far, it was let out of quarantine: the bound counts from it on. Where it
        returned to earlier levels, only these stay, as the others were the drift.
        """
        bound = self.bound(most_percent)
        has_jumped = last is not None and abs(percent(price - last, last)) > jump_percent
        if not has_jumped and (bound is None or bound.left_by(price) is None):
            return self.showing(price, at)
        levels = (*self.before, *self.since)
        like_it = tuple(part for level in levels if (part := level.like(price, jump_percent)))
        return Levels((_level(price, at),), _merged(like_it or levels))

    def bound(self, most_percent: Decimal) -> Bound | None:
        """The bound on a drift; None without any level."""
        if not self.since:
            return None
        return Bound(min(each.low for each in self.since), max(each.high for each in self.since), most_percent)

    def has_been_near(self, price: Decimal, most_percent: Decimal) -> bool:
        """Return True if a price is at most `most_percent` away from some price of the window: the market was there."""
        return any(level.is_near(price, most_percent) for level in (*self.before, *self.since))


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Levels)


def _hour(at: dt.datetime) -> int:
    return (at - EPOCH) // _HOUR


def _level(price: Decimal, at: dt.datetime) -> Level:
    return Level(_hour(at), price, price)


def _merged(levels: Iterable[Level]) -> tuple[Level, ...]:
    """One level for each hour, oldest first."""
    by_hour: dict[int, Level] = {}
    for level in levels:
        had = by_hour.get(level.hour, level)
        by_hour[level.hour] = Level(level.hour, min(had.low, level.low), max(had.high, level.high))
    return tuple(by_hour[hour] for hour in sorted(by_hour))
