"""The current prices, as a snapshot, REST and a web process that missed a publication read them."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries, Settings

from prices import schedule
from prices.domain.calendar import Calendar
from prices.domain.positions import Position
from prices.domain.quotes import SIMULATED, Metal, Publication
from prices.models import Configuration, Head, ListedMetal
from prices.publishing import ingest, snapshot
from streaming import publish
from tests.support.databases import seed
from tests.support.quotes import NOW, START, quote
from tests.support.threads import at_once
from tests.support.world import enter_fallbacks, forget_prices

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture(autouse=True)
def nothing_published(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """A database with metals and without any tick, and no web process."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    seed()
    forget_prices()
    enter_fallbacks()


def publication(minute: int = 0, currency: str = "INR", **prices: str) -> Publication:
    """A publication of these prices, quoted and recorded so many minutes after NOW."""
    at = NOW + minute * MINUTE
    quotes = [replace(quote(metal, price, at=at), currency=currency) for metal, price in prices.items()]
    written = ingest.record(quotes, now=at)
    assert written is not None
    return written


def position(publication: Publication) -> Position:
    return Position(publication.epoch, publication.seq, publication.published_at)


def current_prices() -> dict[str, Decimal]:
    return {metal.value: published.quote.price for metal, published in snapshot.read().quotes.items()}


# --- quotes --------------------------------------------------------------------------------------------------------


def test_an_empty_database_has_no_prices() -> None:
    position = Head.current().position
    assert (position.seq, position.published_at) == (0, None)
    assert snapshot.read() == snapshot.Snapshot(
        position=position, quotes={}, publications=(), moves=(), moves_since=0, freshness_limit=5 * MINUTE
    )


def test_each_metal_has_its_newest_price() -> None:
    publication(0, gold="100", silver="10")
    last = publication(1, gold="101")
    current = snapshot.read()
    assert current_prices() == {"gold": 101, "silver": 10}
    assert current.position.seq == last.seq
    assert current.quotes[Metal.GOLD] == last.quotes[0]
    assert current.quotes[Metal.SILVER].seq == last.seq - 1


def test_publications_faster_than_they_are_read_delay_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    read, minutes = snapshot._current_quotes, iter(range(1, 60))
    publication(0, gold="100", silver="10")

    def superseded() -> Any:
        minute = next(minutes)
        publication(minute, gold=str(100 + minute))
        return read()

    monkeypatch.setattr(snapshot, "_current_quotes", superseded)
    current = snapshot.read(since=START)
    # The publication that is not among them yet brings the very quote that is.
    assert current.publications[-1].seq == current.position.seq
    assert current.quotes[Metal.GOLD].seq == current.position.seq + 1


def test_metals_are_in_staffs_order() -> None:
    publication(0, gold="100", silver="10", platinum="50", palladium="40")
    assert list(current_prices()) == ["gold", "silver", "platinum", "palladium"]
    ListedMetal.objects.filter(name="palladium").update(position=0)
    ListedMetal.objects.filter(name="gold").update(position=9)
    assert list(current_prices()) == ["palladium", "silver", "platinum", "gold"]


def test_a_metal_that_is_switched_off_is_not_shown() -> None:
    publication(0, gold="100", silver="10")
    ListedMetal.objects.filter(name="gold").update(enabled=False)
    assert current_prices() == {"silver": 10}
    ListedMetal.objects.filter(name="gold").update(enabled=True)
    assert current_prices() == {"gold": 100, "silver": 10}


def test_the_price_published_last_is_current_whatever_its_kind() -> None:
    publication(0, gold="100")
    ingest.fall_back_where_due(now=NOW + 100 * MINUTE)
    assert snapshot.read().quotes[Metal.GOLD].quote.source == "fallback"
    publication(200, gold="101")
    assert current_prices()["gold"] == 101


def test_a_simulated_price_is_shown_only_where_the_market_is_simulated(settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["gold_api_com", SIMULATED]
    publication(0, gold="100", silver="10")
    ingest.record([quote("gold", "90", at=NOW + MINUTE, source=SIMULATED)], now=NOW + MINUTE)
    assert current_prices() == {"gold": 90, "silver": 10}
    settings.PRICE_PROVIDERS = ["gold_api_com"]
    assert current_prices() == {"gold": 100, "silver": 10}


def test_only_the_base_currency_is_shown(settings: Settings) -> None:
    publication(0, gold="13000", silver="165")
    settings.BASE_CURRENCY = "USD"
    publication(1, "USD", gold="137")
    assert current_prices() == {"gold": 137}
    settings.BASE_CURRENCY = "INR"
    assert current_prices() == {"gold": 13000, "silver": 165}


# --- publications --------------------------------------------------------------------------------------------------


def test_the_publications_after_one_are_given_oldest_first() -> None:
    publications = [publication(minute, gold=str(100 + 2 * minute)) for minute in range(4)]
    assert snapshot.read(since=START).publications == tuple(publications)
    assert snapshot.read(since=position(publications[1])).publications == tuple(publications[2:])
    assert snapshot.read(since=position(publications[3])).publications == ()
    assert snapshot.read().publications == ()
    assert publications[1].changes != ()


def test_publications_have_numbers_without_gaps_whatever_was_rolled_back() -> None:
    first = publication(0, gold="100")
    with transaction.atomic():
        publication(1, gold="101")
        transaction.set_rollback(True)
    assert publication(2, gold="102").seq == first.seq + 1


def test_of_many_publications_the_newest_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PUBLICATIONS_KEPT", 3)
    publications = [publication(minute, gold=str(100 + minute)) for minute in range(5)]
    assert snapshot.read(since=START).publications == tuple(publications[2:])


def test_moves_are_given_that_are_older_than_the_publications_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PUBLICATIONS_KEPT", 1)
    publications = [
        publication(minute, gold=price) for minute, price in enumerate(("100", "102", "104", "104.1", "104.2"))
    ]
    moves = tuple((each.seq, change) for each in publications for change in each.changes)
    assert len(moves) == 2
    current = snapshot.read(since=position(publications[0]))
    assert (current.publications, current.moves, current.moves_since) == (tuple(publications[-1:]), moves, 1)
    monkeypatch.setattr(snapshot, "MOVES_KEPT", 1)
    current = snapshot.read(since=START)
    assert (current.moves, current.moves_since) == (moves[1:], moves[0][0])


def test_publications_of_another_currency_are_there_but_empty(settings: Settings) -> None:
    publication(0, gold="13000")
    publication(1, gold="14000")
    settings.BASE_CURRENCY = "USD"
    last = publication(2, "USD", gold="137")
    publications = snapshot.read(since=START).publications
    assert [(len(each.quotes), len(each.changes)) for each in publications] == [(0, 0), (0, 0), (1, 0)]
    assert publications[-1].seq == publications[-2].seq + 1
    assert snapshot.read().position.seq == last.seq


@pytest.mark.django_db(transaction=True)
def test_quotes_are_of_one_moment_and_no_publication_is_beyond_them() -> None:
    publication(0, gold="100", silver="10")

    def read_or_write(number: int) -> list[snapshot.Snapshot]:
        if number:
            return [snapshot.read(since=START) for _ in range(20)]
        for minute in range(1, 30):
            publication(minute, gold=str(100 + minute), silver=str(10 + minute))
        return []

    seen = [current for snapshots in at_once(read_or_write, 3) for current in snapshots]
    assert len(seen) == 40
    for current in seen:
        (of_quotes,) = {quote.seq for quote in current.quotes.values()}
        assert of_quotes >= current.position.seq
        assert current.publications[-1].seq == current.position.seq


def test_reading_costs_the_same_whatever_there_is_to_read(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for minute in range(20):
        publication(minute, gold=str(100 + minute), silver=str(10 + minute), platinum="50", palladium="40")
    with django_assert_max_num_queries(10):
        snapshot.read(since=START)


# --- freshness -----------------------------------------------------------------------------------------------------


def test_a_quote_is_stale_once_it_is_older_than_the_limit() -> None:
    published = publication(0, gold="100").quotes[0]
    current = snapshot.read()
    assert current.freshness_limit == 5 * MINUTE
    assert not current.is_stale(published, NOW + 5 * MINUTE)
    assert current.is_stale(published, NOW + 5 * MINUTE + dt.timedelta(microseconds=1))


def test_a_price_of_fridays_close_is_fresh_until_the_market_has_been_open_for_the_limit() -> None:
    friday = dt.datetime(2026, 9, 25, 20, 58, tzinfo=dt.UTC)
    published = publication((friday - NOW) // MINUTE, gold="100").quotes[0]
    current = snapshot.read()
    sunday = dt.datetime(2026, 9, 27, 22, 0, tzinfo=dt.UTC)
    assert not current.is_stale(published, sunday + 3 * MINUTE)
    assert current.is_stale(published, sunday + 4 * MINUTE)


def test_a_price_that_was_old_at_the_close_is_stale_all_weekend() -> None:
    friday = dt.datetime(2026, 9, 25, 20, 54, tzinfo=dt.UTC)
    published = publication((friday - NOW) // MINUTE, gold="100").quotes[0]
    assert snapshot.read().is_stale(published, friday + dt.timedelta(days=1))


def test_the_configured_holidays_count(settings: Settings) -> None:
    settings.MARKET_CALENDAR = Calendar().corrected("2026-09-25")
    published = publication(0, gold="100").quotes[0]  # on the Thursday whose evening is that holiday's
    close = dt.datetime(2026, 9, 24, 21, 0, tzinfo=dt.UTC)
    current = snapshot.read()
    assert current.is_stale(published, close)
    published = publication((close - NOW) // MINUTE, gold="101").quotes[0]
    assert not current.is_stale(published, close + dt.timedelta(days=3))


def test_the_limit_is_staffs_or_else_the_deployments_or_else_five_intervals(settings: Settings) -> None:
    schedule.set_interval(2 * MINUTE)
    assert schedule.freshness_limit() == 10 * MINUTE
    settings.FRESHNESS_LIMIT = 3 * MINUTE
    assert schedule.freshness_limit() == 3 * MINUTE
    Configuration.objects.update(freshness_limit_ms=90_000)
    assert schedule.freshness_limit() == 1.5 * MINUTE
