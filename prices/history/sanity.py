"""Sanity rules for prices of the past, before they are filled in: each in its metal's band, and no multiple of its
neighbours, as a price per ounce is of those per gram. Pure; imports no Django.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeAlias

from prices.domain.quotes import Metal
from prices.domain.sanity import Band
from prices.domain.units import UNITS

# Beyond so many violations nothing is checked: a file with one is not filled in, unless all of it is confirmed.
MOST: Final = 1000
# Prices on one line or within a week are at most twice one another, within five years four times. Prices farther apart
# are compared too: 10 g cost more than eight times a gram.
_TIMES: Final = 2
_TIMES_IN_YEARS: Final = 4
_TIMES_AT_MOST: Final = 8
_WEEK: Final = dt.timedelta(days=7)
_YEARS: Final = dt.timedelta(days=5 * 365)
# A multiple counts as a unit's up to this factor, as prices move meanwhile.
_LIKE: Final = 1.08


@dataclass(frozen=True, slots=True)
class Point:
    """One past price, per gram and before any premium; `place` names its line or day for people."""

    place: str
    at: dt.datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class Violation:
    """A price that breaks a sanity rule, with the detail for a person who may mend it."""

    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}"


# The stored price of a series, by the caller's key for it, that is nearest to a moment; None where there is none.
Nearest: TypeAlias = Callable[[Any, dt.datetime], Point | None]


@dataclass(slots=True)
class _Sequence:
    """The prices of one series so far. `reference` is the last believed one; `is_known`: the first reference was a
    stored price, not just the first price given.
    """

    reference: Point
    is_known: bool
    believed: list[Point] = field(default_factory=list)
    believed_count: int = 0
    violating: list[tuple[Point, Point]] = field(default_factory=list)

    def take(self, point: Point) -> None:
        """Compare a price with the reference, and make it the reference if it is believed."""
        if _is_multiple(point, self.reference):
            self.violating.append((point, self.reference))
            return
        self.reference = point
        self.believed_count += 1
        if len(self.believed) < MOST:
            self.believed.append(point)

    def violations(self) -> list[Violation]:
        """The violations of the series."""
        if self.is_known or self.believed_count >= len(self.violating):
            return [_beside(point, reference) for point, reference in self.violating]
        # Most prices violate the rule: they are right, and the believed ones wrong. A third level may be among them.
        right = self.violating[0][0]
        most = _Sequence(right, is_known=False)
        for point, _ in self.violating:
            most.take(point)
        return [_beside(point, right) for point in self.believed] + most.violations()


class Validator:
    """Applies the rules to prices in any order of time; prices given one after the other are neighbours."""

    def __init__(self, bands: Mapping[Metal, Band], nearest: Nearest) -> None:
        self._bands = bands
        self._nearest = nearest
        self._found: list[Violation] = []
        self._sequences: dict[object, _Sequence] = {}
        # The first price of each series that has neither a band nor a stored price.
        self.compared_with_nothing: list[Point] = []

    @property
    def is_full(self) -> bool:
        """Return True if so many violations were found that the rest need not be checked."""
        violating = sum(len(sequence.violating) for sequence in self._sequences.values())
        return len(self._found) + violating >= MOST

    def take(self, key: object, metal: Metal, point: Point, figures: Mapping[str, Decimal]) -> None:
        """Apply the rules to a price of the series `key`, and to all figures of its line, the price among them."""
        if detail := self._of_itself(metal, point, figures):
            self._found.append(Violation(point.place, detail))
            return
        sequence = self._sequences.get(key)
        if sequence is None:
            kept = self._nearest(key, point.at)
            if kept and self._outside(metal, kept.price):
                kept = None
            sequence = self._sequences[key] = _Sequence(kept or point, is_known=kept is not None)
            if kept is None and metal not in self._bands:
                self.compared_with_nothing.append(point)
        sequence.take(point)

    def violations(self) -> list[Violation]:
        """All violations. Of two levels of price, the one of most prices is right, unless a stored price decides."""
        return self._found + [each for sequence in self._sequences.values() for each in sequence.violations()]

    def _outside(self, metal: Metal, price: Decimal) -> Band | None:
        """The metal's band, if a price is outside of it; else None."""
        band = self._bands.get(metal)
        return band if band and not band.lowest <= price <= band.highest else None

    def _of_itself(self, metal: Metal, point: Point, figures: Mapping[str, Decimal]) -> str:
        """The violation that a line shows by itself; empty without one."""
        for name, amount in figures.items():
            if band := self._outside(metal, amount):
                return f"{name} {amount:,} is outside {band.lowest:,.4f} to {band.highest:,.4f}, its sanity band"
        for name, amount in figures.items():
            if _times(amount, point.price) > _TIMES:
                return f"{name} {amount:,} is {_multiple(amount, point.price)} beside it{_unit(amount, point.price)}"
        return ""


def _times(one: Decimal, other: Decimal) -> Decimal:
    """The larger of two amounts as a multiple of the smaller."""
    return max(one, other) / min(one, other)


def _is_multiple(point: Point, reference: Point) -> bool:
    apart = abs(point.at - reference.at)
    most = _TIMES if apart <= _WEEK else _TIMES_IN_YEARS if apart <= _YEARS else _TIMES_AT_MOST
    return _times(point.price, reference.price) > most


def _beside(point: Point, reference: Point) -> Violation:
    price, other = point.price, reference.price
    return Violation(point.place, f"{price:,} is {_multiple(price, other)} of {reference.place}{_unit(price, other)}")


def _multiple(amount: Decimal, other: Decimal) -> str:
    times = f"{_times(amount, other):,.1f}"
    return f"{times} times the {other:,}" if amount > other else f"1/{times} of the {other:,}"


def _unit(amount: Decimal, other: Decimal) -> str:
    """The unit that one of the two may be per, as a question for the reader; empty if no unit fits."""
    times = _times(amount, other)
    likely = {name: float(times) / float(grams) for name, grams in UNITS.items() if grams != 1}
    name, off = min(likely.items(), key=lambda unit: abs(unit[1] - 1))
    return f": is it per {name.replace('_', ' ')}?" if 1 / _LIKE <= off <= _LIKE else ""
