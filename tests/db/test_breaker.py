"""How many calls a source has left, while several workers make them."""

import datetime as dt
from collections.abc import Callable

import pytest
from pytest_django import Settings

from prices.domain.quota import Quota
from prices.models import ProviderState
from prices.sources import registry
from prices.sources.failover import Outcome
from tests.support.environment import KINDS
from tests.support.quotes import NOW
from tests.support.threads import at_once


@pytest.fixture(params=KINDS)
def used(request: pytest.FixtureRequest, transactional_db: None, settings: Settings) -> Callable[[], int]:
    """How much source a has used of its 20 calls, in a database of each kind that all workers see."""
    if request.param == "postgresql":
        request.getfixturevalue("on_postgresql")
    settings.A_QUOTA = Quota(20, "month")
    return lambda: ProviderState.objects.get(name="a").calls


def test_workers_at_once_do_not_reserve_one_call_twice(used: Callable[[], int]) -> None:
    reservations = at_once(lambda worker: registry.reserve("a", 8, NOW), 4)
    assert sorted(reservation.calls for reservation in reservations if reservation) == [0, 4, 8, 8]
    assert used() == 20


@pytest.mark.parametrize("late", [dt.timedelta(0), dt.timedelta(days=30)], ids=["at once", "in the next month"])
def test_a_reserved_call_that_was_not_made_is_given_back(used: Callable[[], int], late: dt.timedelta) -> None:
    reservation = registry.reserve("a", 8, NOW)
    registry.remember(Outcome("a", reservation=reservation, calls=3), NOW + late)
    assert used() == 3
