"""A day on which no source answers: what every screen is told, hour by hour, and what the history shows of it."""

import datetime as dt
import itertools
from collections.abc import Sequence

import pytest
from django.conf import settings
from pytest_django import Settings

from prices import current, providers, schedule
from prices.models import Price
from prices.providers.errors import TemporaryError
from prices.providers.http import Client
from prices.quotes import Metal, Quote
from prices.refresh import refresh
from streaming.ticks import Quoted, TickLog, overall
from tests.conftest import NOW, quote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]

STEP = dt.timedelta(minutes=5)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(hours=24)
PRICES = {Metal.GOLD: 13200, Metal.SILVER: 165, Metal.PLATINUM: 4900, Metal.PALLADIUM: 4300}


class Market:
    """Two sources that move by a little all the time, and are gone from `gone_from` for a day."""

    def __init__(self, gone_from: dt.datetime) -> None:
        self.gone_from = gone_from
        self.now = NOW

    def fetch(self, metals: Sequence[Metal], *, client: Client, now: dt.datetime) -> dict[Metal, Quote]:
        if self.gone_from <= self.now < self.gone_from + DAY:
            raise TemporaryError("cannot be reached (ConnectionError)")
        moved = (self.now - NOW) // STEP
        return {metal: quote(metal, f"{PRICES[metal] + moved / 100}", at=self.now) for metal in metals}


def told(now: dt.datetime) -> str:
    """What a screen is told of the feed as a whole, by the functions that the hub uses."""
    standing = current.standing()
    log = TickLog(currency="INR", size=1)
    log.relist({metal.value: Quoted.of(published) for metal, published in standing.quotes.items()})
    past = {
        metal.value
        for metal, published in standing.quotes.items()
        if not settings.MARKET_CALENDAR.is_of_now(published.quote.quoted_at, now, standing.freshness_limit)
    }
    return overall(log.feeds(past).values())


def test_a_day_without_sources_is_told_on_every_screen_ends_by_itself_and_is_in_the_history(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    market = Market(gone_from=NOW + HOUR)
    names = ["gold_api_com", "metals_dev"]
    monkeypatch.setattr(
        "prices.providers.chain.PROVIDERS",
        {name: providers.Source(name=name, fetch=market.fetch, brings_all=True) for name in names},
    )
    settings.PRICE_PROVIDERS = names
    settings.FALLBACK_AFTER = HOUR
    schedule.set_interval(STEP)

    feeds: list[tuple[str, dt.timedelta]] = []
    while market.now < NOW + DAY + 3 * HOUR:
        refresh(lambda: market.now)
        feeds.append((told(market.now), market.now - NOW))
        market.now += STEP

    spells = [(feed, next(spell)[1]) for feed, spell in itertools.groupby(feeds, key=lambda each: each[0])]
    last_live = HOUR - STEP
    assert spells == [
        ("live", dt.timedelta(0)),
        ("stale", last_live + 5 * STEP + STEP),  # older than five intervals
        ("fallback", last_live + HOUR),
        ("live", DAY + HOUR),
    ]

    rows = Price.objects.filter(metal="gold").order_by("seq").values_list("source", "published_at")
    history = [(source, at - NOW) for source, at in rows if at]
    live_before = [("gold_api_com", step * STEP) for step in range(12)]
    live_after = [("gold_api_com", DAY + HOUR + step * STEP) for step in range(24)]
    first, *rest = history
    assert first[0] == "fallback"  # of the first start, before any source was asked
    assert rest == [*live_before, ("fallback", last_live + HOUR), *live_after]
