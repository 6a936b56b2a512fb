"""The publication writer: one transaction a publication, sent after its commit, in an order that all readers share."""

import datetime as dt
import itertools
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Model
from pytest_django import Settings

from prices.domain.quotes import FALLBACK, LARGEST_PRICE, SIMULATED, DayFigures, Metal, Publication, Quote
from prices.domain.units import PRICE_STEP
from prices.history import export
from prices.models import (
    Candle,
    Configuration,
    FallbackPrice,
    Head,
    LatestPrice,
    ListedMetal,
    Price,
    SignificantChange,
)
from prices.publishing import ingest, snapshot
from streaming import publish
from tests.support.databases import seed
from tests.support.quotes import NOW, START, quote
from tests.support.threads import at_once
from tests.support.world import enter_fallbacks, forget_prices

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)


def record(*quotes: Quote, now: dt.datetime = NOW) -> Publication:
    """Record quotes, and expect a publication."""
    publication = ingest.record(quotes, now=now)
    assert publication is not None
    return publication


def prices_of_gold(*prices: str, source: str = "gold_api_com") -> list[Publication]:
    """A publication for each price, a minute apart."""
    return [
        record(quote(price=price, at=NOW + number * MINUTE, source=source), now=NOW + number * MINUTE)
        for number, price in enumerate(prices)
    ]


def all_numbers() -> list[int | None]:
    """Each publication's number, oldest first."""
    return list(Price.objects.order_by("seq").values_list("seq", flat=True).distinct())


send_publication = publish.publication


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch, db: None) -> list[Publication]:
    """The publications to web processes, from a database with metals and fallback prices and without any tick."""
    publications: list[Publication] = []
    monkeypatch.setattr(publish, "publication", publications.append)
    seed()
    forget_prices()
    enter_fallbacks()
    publications.clear()
    return publications


# --- a publication -------------------------------------------------------------------------------------------------


def test_a_publication_is_read_back_as_it_was_published() -> None:
    record(quote("gold", "13080"), quote("silver", "165.5"))
    publication = record(
        quote("gold", "13221.39", at=NOW + MINUTE, bid="13221", ask="13222", high="13274.1"),
        quote("silver", "165.6", at=NOW + MINUTE),
        now=NOW + MINUTE,
    )
    current = snapshot.read(since=START)
    assert current.position.seq == publication.seq == Head.current().seq
    assert set(current.publications[-1].quotes) == set(publication.quotes) == set(current.quotes.values())
    assert current.publications[-1].changes == publication.changes
    assert (publication.published_at, publication.seq - 1) == (NOW + MINUTE, current.publications[0].seq)


@pytest.mark.parametrize("price", [str(PRICE_STEP), "0.3333", "13221.3900", "1234567.8912", str(LARGEST_PRICE)])
def test_a_price_comes_back_from_the_database_as_it_went_in(price: str) -> None:
    record(quote(price=price, bid=price, ask=price))
    kept = Price.objects.get().quote()
    assert (kept.price, kept.bid, kept.ask) == (Decimal(price),) * 3
    assert ingest.record([quote(price=price, bid=price, ask=price)], now=NOW + MINUTE) is None


def test_a_repeated_quote_confirms_but_is_not_news() -> None:
    record(quote())
    assert ingest.record([quote()], now=NOW + MINUTE) is None
    assert Head.current().seq == 1
    assert LatestPrice.objects.get().confirmed_at == NOW + MINUTE


@pytest.mark.parametrize("source", ["gold_api_com", SIMULATED])
def test_an_older_quote_is_no_news_and_confirms_nothing(source: str) -> None:
    record(quote(source=source))
    assert ingest.record([quote(price="1", at=NOW - MINUTE, source=source)], now=NOW + MINUTE) is None
    assert LatestPrice.objects.get().confirmed_at == NOW


@pytest.mark.parametrize(
    "other",
    [
        quote(price="13221.40"),
        quote(at=NOW + dt.timedelta(microseconds=1)),
        quote(bid="13220"),
        quote(source="another"),
        quote(high="13300"),
        quote(previous_close="13000"),
    ],
    ids=["price", "time", "bid", "source", "the day's high", "the previous close"],
)
def test_any_difference_is_news(other: Quote) -> None:
    record(quote())
    assert record(other).quotes[0].quote == replace(other, high=None, previous_close=None)
    assert ingest.record([other], now=NOW) is None


def test_only_new_quotes_are_in_the_publication() -> None:
    record(quote("gold"), quote("silver", "165.5"))
    publication = record(quote("gold"), quote("silver", "165.6"), quote("platinum", "4900"))
    assert [each.quote.metal for each in publication.quotes] == [Metal.SILVER, Metal.PLATINUM]


def test_no_quotes_make_no_publication() -> None:
    assert ingest.record([], now=NOW) is None
    assert Head.current().seq == 0


def test_a_metal_that_is_switched_off_is_not_written() -> None:
    ListedMetal.objects.filter(name="silver").update(enabled=False)
    publication = record(quote("gold"), quote("silver", "165.5"))
    assert [each.quote.metal for each in publication.quotes] == [Metal.GOLD]
    assert ingest.record([quote("silver", "170")], now=NOW) is None
    assert not Price.objects.filter(metal="silver").exists()


# --- all or nothing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [Price, SignificantChange, Candle, LatestPrice])
@committed
def test_what_fails_in_the_middle_leaves_nothing(table: type[Model], published: list[Publication]) -> None:
    record(quote(price="100"))
    before, told = all_numbers(), list(published)

    def fail(execute: Any, statement: str, *rest: object) -> object:
        if re.search(rf"INSERT INTO \W?{table._meta.db_table}\b", statement):
            raise RuntimeError("the disk is full")
        return execute(statement, *rest)

    with connection.execute_wrapper(fail), pytest.raises(RuntimeError):
        ingest.record([quote(price="200", at=NOW + MINUTE)], now=NOW + MINUTE)

    assert all_numbers() == before
    assert (Price.objects.count(), SignificantChange.objects.count()) == (1, 0)
    assert LatestPrice.objects.get().confirmed_at == NOW
    assert published == told
    after = record(quote(price="200", at=NOW + MINUTE), now=NOW + MINUTE)
    assert before == [after.seq - 1]
    assert after.changes[0].old_price == 100


@committed
def test_a_publication_goes_out_once_it_is_committed(published: list[Publication]) -> None:
    with transaction.atomic():
        publication = record(quote())
        assert published == []
    assert published == [publication]


@committed
def test_a_publication_that_is_rolled_back_never_goes_out(published: list[Publication]) -> None:
    def regret() -> None:
        with transaction.atomic():
            record(quote())
            raise RuntimeError("not after all")

    with pytest.raises(RuntimeError):
        regret()
    assert published == []
    assert Head.current().seq == 0


@committed
def test_a_publication_that_goes_out_can_be_read_already(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def read_by_another(publication: Publication) -> None:
        read.extend(at_once(lambda _: snapshot.read().position.seq, 1))

    monkeypatch.setattr(publish, "publication", read_by_another)
    assert read == [record(quote()).seq]


@committed
def test_redis_being_away_costs_no_price(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(publish, "publication", send_publication)
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:9"]},
        }
    }
    publication = record(quote())
    assert snapshot.read().position.seq == publication.seq
    assert [line.levelname for line in caplog.records if line.name.startswith("streaming")] == ["ERROR"]


# --- many writers --------------------------------------------------------------------------------------------------


@committed
def test_concurrent_writers_make_one_chain(published: list[Publication]) -> None:
    def write(writer: int) -> list[Publication]:
        return [record(quote(price=str(1000 * (writer + 1) + number))) for number in range(8)]

    publications = list(itertools.chain.from_iterable(at_once(write, 4)))
    links = all_numbers()
    assert len(publications) == len(links) == len(published) == 32
    assert sorted(publication.seq for publication in publications) == links == list(range(1, 33))


@committed
def test_concurrent_writers_agree_on_the_price_before(published: list[Publication]) -> None:
    record(quote(price="1"))

    def write(writer: int) -> None:
        for number in range(5):
            ingest.record([quote(price=str(10 ** (writer + 1) + number))], now=NOW)

    at_once(write, 4)
    prices = list(Price.objects.order_by("seq").values_list("price", flat=True))
    changes = SignificantChange.objects.order_by("seq").values_list("old_price", "new_price")
    moves = [(old, new) for old, new in itertools.pairwise(prices) if abs(new - old) * 100 > old]
    assert list(changes) == moves


@committed
def test_of_several_fallbacks_at_once_one_is_published(published: list[Publication]) -> None:
    publications = at_once(lambda _: ingest.fall_back_where_due(now=NOW), 4)
    assert [publication for publication in publications if publication] == published
    assert len(published) == 1


# --- changes -------------------------------------------------------------------------------------------------------


def moves(publications: list[Publication]) -> list[tuple[float, float, str]]:
    return [
        (float(change.old_price), float(change.new_price), change.direction)
        for publication in publications
        for change in publication.changes
    ]


def test_moves_beyond_the_threshold_are_between_consecutive_prices() -> None:
    publications = prices_of_gold("100", "100.9", "101.8", "103", "103.5", "102")
    assert moves(publications) == [(101.8, 103, "up"), (103.5, 102, "down")]
    assert [publication.changes for publication in snapshot.read(since=START).publications] == [
        publication.changes for publication in publications
    ]


def test_the_first_price_has_moved_from_nowhere() -> None:
    assert moves(prices_of_gold("100")) == []


def test_staffs_threshold_counts_at_once() -> None:
    prices_of_gold("100")
    Configuration.objects.update(change_threshold_percent="0.1")
    assert record(quote(price="100.11", at=NOW + MINUTE)).changes[0].change_percent == Decimal("0.11")
    Configuration.objects.update(change_threshold_percent=None)
    assert record(quote(price="100.9", at=NOW + 2 * MINUTE)).changes == ()


def test_that_a_fallback_is_shown_or_no_longer_moves_no_market() -> None:
    record(quote(price="100"))
    FallbackPrice.objects.filter(metal="gold").update(price=90)
    fallback = ingest.fall_back_where_due(now=NOW + HOUR)
    assert fallback is not None
    assert moves([fallback]) == []
    assert moves([record(quote(price="100", at=NOW + HOUR))]) == []


def test_a_move_of_the_market_during_an_outage_is_announced_after_it() -> None:
    record(quote(price="100"))
    assert ingest.fall_back_where_due(now=NOW + HOUR) is not None
    assert moves([record(quote(price="103", at=NOW + HOUR))]) == [(100, 103, "up")]


def test_the_largest_move_there_can_be_is_kept() -> None:
    *_, publication = prices_of_gold(str(PRICE_STEP), str(LARGEST_PRICE))
    kept = SignificantChange.objects.get()
    assert publication.changes[0].change_percent == Decimal("99999999999999800.00")
    assert abs(kept.change_percent / publication.changes[0].change_percent - 1) < Decimal("1e-12")


# --- the day -------------------------------------------------------------------------------------------------------


def day_after(*quoted: tuple[str, str], metal: str = "gold") -> DayFigures:
    """Gold's day after quotes of these prices at these times of UTC."""
    for price, at in quoted:
        moment = dt.datetime.fromisoformat(f"2026-09-{at}").replace(tzinfo=dt.UTC)
        publication = record(quote(metal, price, at=moment), now=moment)
    return publication.quotes[0].day


def figures(open: str, high: str, low: str, previous_close: str | None) -> DayFigures:
    return DayFigures(
        open=Decimal(open),
        high=Decimal(high),
        low=Decimal(low),
        previous_close=None if previous_close is None else Decimal(previous_close),
    )


def test_the_day_grows_with_its_prices() -> None:
    assert day_after(("100", "23 19:00"), ("104", "24 04:00"), ("98", "24 12:00"), ("101", "24 18:29:59")) == figures(
        "100", "104", "98", None
    )


def test_the_day_ends_at_midnight_in_kolkata() -> None:
    day = day_after(("100", "24 08:00"), ("104", "24 18:29:59"), ("103", "24 18:30"))
    assert day == figures("103", "103", "103", "104")
    publication = record(quote(price="105", at=dt.datetime(2026, 9, 24, 18, 31, tzinfo=dt.UTC)))
    assert publication.quotes[0].day == figures("103", "105", "103", "104")
    assert (publication.quotes[0].change, publication.quotes[0].change_percent) == (Decimal(1), Decimal("0.96"))


def test_the_day_ends_where_the_deployment_says(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    assert day_after(("100", "24 18:29:59"), ("103", "24 18:30"), ("104", "24 23:59:59")) == figures(
        "100", "104", "100", None
    )
    assert day_after(("105", "25 00:00")) == figures("105", "105", "105", "104")


def test_mondays_previous_close_is_fridays() -> None:
    assert day_after(("100", "25 12:00"), ("101", "28 04:00")) == figures("101", "101", "101", "100")


def test_each_metal_has_a_day_of_its_own() -> None:
    day_after(("100", "24 08:00"), ("104", "24 09:00"))
    assert day_after(("165", "24 10:00"), metal="silver") == figures("165", "165", "165", None)


def test_figures_that_the_source_gives_are_taken() -> None:
    publication = record(quote(price="100", open="99", high="103", low="98", previous_close="97"))
    assert publication.quotes[0].day == figures("99", "103", "98", "97")
    publication = record(quote(price="104", at=NOW + MINUTE))
    assert publication.quotes[0].day == figures("99", "104", "98", "97")


# --- price kinds ---------------------------------------------------------------------------------------------------


def test_a_fallback_does_not_become_the_low_of_the_live_day() -> None:
    prices_of_gold("100", "104")
    FallbackPrice.objects.filter(metal="gold").update(price=50, as_of=NOW)
    fallback = ingest.fall_back_where_due(now=NOW + 2 * HOUR)
    assert fallback is not None
    of_gold = next(each for each in fallback.quotes if each.quote.metal is Metal.GOLD)
    assert (of_gold.quote.source, of_gold.day) == (FALLBACK, figures("50", "50", "50", None))

    again = record(quote(price="102", at=NOW + 3 * HOUR), now=NOW + 3 * HOUR)
    assert again.quotes[0].day == figures("100", "104", "100", None)


def test_a_simulated_market_has_a_history_of_its_own() -> None:
    prices_of_gold("100", "104")
    (simulated,) = prices_of_gold("50", source=SIMULATED)
    assert simulated.quotes[0].day == figures("50", "50", "50", None)


def test_a_price_of_an_earlier_demonstration_is_none_to_fall_back_on(settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [SIMULATED]
    prices_of_gold("50", source=SIMULATED)
    settings.PRICE_PROVIDERS = ["gold_api_com"]
    assert "gold" in fallen_back(NOW + MINUTE)
    assert moves([record(quote(price="100", at=NOW + MINUTE))]) == []


def test_a_live_price_that_comes_back_unchanged_replaces_the_fallback() -> None:
    record(quote())
    ingest.fall_back_where_due(now=NOW + HOUR)
    assert record(quote(), now=NOW + 2 * HOUR).quotes[0].quote == quote()
    assert ingest.record([quote()], now=NOW + 2 * HOUR + MINUTE) is None


# --- fallbacks -----------------------------------------------------------------------------------------------------


def fallen_back(at: dt.datetime) -> set[str]:
    """The metals for which a fallback goes out."""
    publication = ingest.fall_back_where_due(now=at)
    assert publication is None or {each.quote.source for each in publication.quotes} == {FALLBACK}
    return {each.quote.metal.value for each in publication.quotes} if publication else set()


ALL = {metal.value for metal in Metal}


def test_metals_without_a_price_fall_back_at_once() -> None:
    record(quote("gold"))
    assert fallen_back(NOW) == ALL - {"gold"}


def test_a_fallback_is_published_once() -> None:
    assert fallen_back(NOW) == ALL
    assert fallen_back(NOW + HOUR) == set()


def test_a_fallback_that_staff_edited_is_published_again() -> None:
    assert fallen_back(NOW) == ALL
    FallbackPrice.objects.filter(metal="gold").update(price=13000)
    assert fallen_back(NOW + MINUTE) == {"gold"}


def test_an_earlier_date_of_a_fallback_is_news_too() -> None:
    assert fallen_back(NOW) == ALL
    FallbackPrice.objects.filter(metal="gold").update(as_of=NOW - 1000 * HOUR * 24)
    assert fallen_back(NOW + MINUTE) == {"gold"}


@pytest.mark.parametrize("source", ["gold_api_com", SIMULATED])
def test_a_confirmed_price_falls_back_when_it_was_not_confirmed_for_long(settings: Settings, source: str) -> None:
    settings.FALLBACK_AFTER = HOUR
    settings.PRICE_PROVIDERS = [source]
    record(*(quote(metal, source=source) for metal in ALL))
    ingest.record([quote("gold", source=source)], now=NOW + MINUTE)
    assert fallen_back(NOW + HOUR - MINUTE) == set()
    assert fallen_back(NOW + HOUR) == ALL - {"gold"}
    assert fallen_back(NOW + HOUR + MINUTE) == {"gold"}


def test_only_metals_without_a_price_fall_back_before_sources_are_called() -> None:
    record(quote("gold"))
    publication = ingest.fall_back_where_due(now=NOW + 9 * HOUR, unpriced_only=True)
    assert publication is not None
    assert {each.quote.metal.value for each in publication.quotes} == ALL - {"gold"}


def test_a_metal_that_is_switched_off_does_not_fall_back() -> None:
    ListedMetal.objects.filter(name="silver").update(enabled=False)
    assert fallen_back(NOW) == ALL - {"silver"}


# --- another currency ----------------------------------------------------------------------------------------------


def in_dollars(price: str, at: dt.datetime = NOW) -> Quote:
    return replace(quote(price=price, at=at), currency="USD")


def test_another_currency_starts_another_history(settings: Settings) -> None:
    prices_of_gold("13000", "13200")
    settings.BASE_CURRENCY = "USD"
    publication = record(in_dollars("137.5"))
    assert publication.changes == ()
    assert publication.quotes[0].day == figures("137.5", "137.5", "137.5", None)
    assert record(in_dollars("138", NOW + MINUTE)).quotes[0].day.low == Decimal("137.5")

    settings.BASE_CURRENCY = "INR"
    back = record(quote(price="13100", at=NOW + HOUR))
    assert back.quotes[0].day == figures("13000", "13200", "13000", None)


def test_a_fallback_is_of_the_currency_that_is_shown(settings: Settings) -> None:
    settings.BASE_CURRENCY = "USD"
    assert fallen_back(NOW) == set()
    FallbackPrice.objects.create(metal_id="gold", currency="USD", price=130)
    assert fallen_back(NOW) == {"gold"}


def test_an_older_quote_is_logged_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    record(quote(price="100"))
    assert ingest.record([quote(price="99", at=NOW - HOUR)], now=NOW) is None
    assert "gives gold an older quote, of 2026-09-24T07:00:00Z; that of 2026-09-24T08:00:00Z stays" in caplog.text


def test_a_simulated_price_is_neither_shown_nor_a_reason_to_wait_where_none_is_simulated(settings: Settings) -> None:
    record(quote(price="100"))
    settings.PRICE_PROVIDERS = [SIMULATED]
    assert record(quote(price="90", source=SIMULATED, at=NOW + MINUTE)) is not None
    settings.PRICE_PROVIDERS = ["gold_api_com"]
    current = snapshot.read(START)
    assert current.quotes[Metal.GOLD].quote.price == 100
    sources = [[published.quote.source for published in each.quotes] for each in current.publications]
    assert sources == [["gold_api_com"], []]
    assert ingest.fall_back_where_due(now=NOW + HOUR) is not None


def test_a_slip_in_a_fallback_that_was_mended_is_no_high_of_the_day() -> None:
    for price in ("132000", "13200"):
        FallbackPrice.objects.filter(metal="gold").update(price=price)
        publication = ingest.fall_back_where_due(now=NOW)
    assert publication is not None
    (gold,) = (published for published in publication.quotes if published.quote.metal == "gold")
    assert gold.day == figures("13200", "13200", "13200", None)
    assert gold.change == 0


@committed
def test_prices_go_on_while_a_client_reads_an_export_slowly() -> None:
    prices_of_gold("9000", "9003")
    lines = export.ticks([Metal.GOLD], NOW - HOUR, NOW + HOUR)
    assert [next(lines)[:5] for _ in range(2)] == ["metal", "gold,"]

    def publish_another(_: int) -> bool:
        if connection.vendor == "sqlite":
            connection.cursor().execute("PRAGMA busy_timeout = 100")
        return ingest.record([quote(price="9111", at=NOW + HOUR)], now=NOW + HOUR) is not None

    assert at_once(publish_another, 1) == [True]
    assert len(list(lines)) == 1
