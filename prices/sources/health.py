"""The health of a price source, the same in the admin, the API and the metrics."""

import datetime as dt
import enum

from django.conf import settings

from infra import clock
from infra.readable import moment, span
from prices.domain import standing
from prices.domain.breaker import State
from prices.domain.quotes import Metal
from prices.models import ProviderState
from prices.providers.http import LONGEST_REST


class Health(enum.StrEnum):
    """A source's health: the first of these, from the top, that applies."""

    OFF = "off"  # staff switched it off
    QUOTA_USED_UP = "quota used up"
    RESTS = "rests"  # it sent Retry-After
    LEFT_ALONE = "left alone"  # for its failures
    FAILING = "failing"
    NEVER_FETCHED = "never asked"
    PARTLY = "partly"  # it gave prices last time, but not of all metals
    WELL = "well"


def health(source: ProviderState, now: dt.datetime, *, is_needed: bool = False) -> Health:
    """A source's health at `now`; `is_needed`: it is fetched from though its breaker is open (`registry.needed`)."""
    conditions = {
        Health.OFF: not source.enabled,
        Health.QUOTA_USED_UP: source.calls_left(now) == 0,
        Health.RESTS: source.rests_until is not None
        and now < source.rests_until
        and clock.is_plausible(source.rests_until, now, ahead=LONGEST_REST),
        Health.LEFT_ALONE: source.breaker.state(now) is State.OPEN and not is_needed,
        Health.FAILING: source.failures > 0,
        Health.NEVER_FETCHED: not source.refreshes_total,
        # One refresh records both at the same moment.
        Health.PARTLY: source.last_error_at is not None and source.last_error_at == source.last_success_at,
    }
    return next((health for health, is_so in conditions.items() if is_so), Health.WELL)


def health_detail(source: ProviderState, now: dt.datetime, *, is_needed: bool = False) -> str:
    """A source's health as a phrase, with its times."""
    match health(source, now, is_needed=is_needed):
        case Health.RESTS:
            assert source.rests_until
            return f"rests until {moment(source.rests_until, now)}, as it asked"
        case Health.LEFT_ALONE:
            assert source.open_until
            return f"left alone until {moment(source.open_until, now)}, for its failures"
        case Health.FAILING:
            since = f"since {moment(source.last_success_at, now)}" if source.last_success_at else "ever"
            return f"failing: no fresh price {since}"
        case Health.QUOTA_USED_UP:
            return f"quota of {source.quota} used up"
        case Health.PARTLY:
            return "well, but not for all metals"
        case plain:
            return str(plain)


def standing_still(source: ProviderState) -> dict[Metal, dt.timedelta]:
    """The metals whose price a source no longer moves, though its time moves, each with for how long.

    That is in open-market time, from STANDING_AFTER on.
    """
    spans = {metal: record.span(settings.MARKET_CALENDAR) for metal, record in standing.read(source.standing).items()}
    return {metal: spans[metal] for metal in Metal if metal in spans and spans[metal] >= settings.STANDING_AFTER}


def standing_detail(source: ProviderState) -> str:
    """The prices of a source that stand still, such as `gold for 45 min, silver for 2 h`; empty if none do."""
    return ", ".join(f"{metal} for {span(still.total_seconds())}" for metal, still in standing_still(source).items())


def quota_left(source: ProviderState, now: dt.datetime) -> str:
    """The quota that is left, such as `73 of 100/month`; empty if there is none."""
    return "" if source.quota is None else f"{source.calls_left(now)} of {source.quota}"
