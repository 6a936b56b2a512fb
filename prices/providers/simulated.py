"""A simulated market for demonstrations and tests: a seeded random walk, the same in every process.

The walk is a function of (metal, second): each hour starts from its own anchor near the base price and walks second by
second, with a jump above 1 % now and then. So any number of workers, restarted at any time, agree.
"""

import datetime as dt
import functools
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from django.conf import settings

from infra.clock import Clock
from prices.domain.quotes import SIMULATED, Metal, Quote
from prices.domain.units import rounded
from prices.providers.http import Client

# Per gram, of the order that these metals have in INR.
_BASE: Final[Mapping[Metal, Decimal]] = {
    Metal.GOLD: Decimal("13200"),
    Metal.SILVER: Decimal("165"),
    Metal.PLATINUM: Decimal("4900"),
    Metal.PALLADIUM: Decimal("4300"),
}
_SEED: Final = 1
_HOUR: Final = 3600
_STEP: Final = 0.0002  # standard deviation of one second's move
_PULL: Final = 0.002  # towards the hour's anchor, so that a walk stays within a few per cent of it
_JUMP_CHANCE: Final = 1 / 40
_JUMP: Final = (0.012, 0.02)
_SPREAD: Final = Decimal("0.0004")


def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote]:
    """Return the simulated prices of this second, with a spread around them. Never fails."""
    second = int(clock().timestamp())
    at = dt.datetime.fromtimestamp(second, dt.UTC)
    return {metal: quote(metal, step=second, quoted_at=at) for metal in metals}


def quote(metal: Metal, *, step: int, quoted_at: dt.datetime) -> Quote:
    """The price at a step of the walk, quoted at any time: a simulated market may run faster than the clock."""
    price = price_at(metal, step)
    half = rounded(price * _SPREAD / 2)
    return Quote(
        metal=metal,
        price=price,
        currency=settings.BASE_CURRENCY,
        source=SIMULATED,
        quoted_at=quoted_at,
        bid=price - half,
        ask=price + half,
    )


def price_at(metal: Metal, second: int) -> Decimal:
    """The price per gram at a Unix second."""
    hour, step = divmod(second, _HOUR)
    return rounded(_BASE[metal] * Decimal(str(round(1 + _walk(metal, hour)[step], 8))))


@functools.lru_cache(maxsize=16)
def _walk(metal: Metal, hour: int) -> tuple[float, ...]:
    """One hour of deviations from the base price, one a second."""
    chance = random.Random(f"{_SEED}:{metal}:{hour}")  # noqa: S311  (a simulation, not a secret)
    anchor = deviation = chance.gauss(0, 0.005)
    walk = []
    for _ in range(_HOUR):
        deviation += chance.gauss(0, _STEP) + _PULL * (anchor - deviation)
        if chance.random() < _JUMP_CHANCE:
            deviation += chance.choice((-1, 1)) * chance.uniform(*_JUMP)
        walk.append(deviation)
    return tuple(walk)
