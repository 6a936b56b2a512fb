"""The day's figures as they go out: made of its quotes under the current premium, however they came about."""

import datetime as dt
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as by_examples
from hypothesis import strategies as st
from pytest_django import Settings

from prices.domain.quotes import SIMULATED, DayFigures, PriceKind, Publication, Quote
from prices.models import Candle, LatestPrice, Premium
from prices.publishing import ingest
from streaming import publish
from tests.support.quotes import NOW, quote
from tests.support.world import forget_prices

SECOND = dt.timedelta(seconds=1)
MINUTE = 60 * SECOND


@pytest.fixture(autouse=True)
def fresh(either_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database without any tick, of each kind."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    forget_prices()


def say(price: str, at: dt.datetime = NOW, *, source: str = "gold_api_com", **figures: Any) -> DayFigures:
    """Gold's day on the screens after a quote."""
    return day_of(ingest.record([quote(price=price, at=at, source=source, **figures)], now=at))


def charge(multiplier: str, at: dt.datetime = NOW, metal: str = "gold") -> DayFigures:
    """The day on the screens after another premium."""
    Premium.objects.update_or_create(metal_id=metal, defaults={"multiplier": multiplier, "effective_from": NOW})
    return day_of(ingest.apply_premiums(now=at))


def day_of(publication: Publication | None) -> DayFigures:
    assert publication is not None
    (published,) = publication.quotes
    assert published.day.low <= published.day.open <= published.day.high
    assert published.day.low <= published.quote.price <= published.day.high
    return published.day


def figures(open: str, high: str, low: str, previous_close: str | None = None) -> DayFigures:
    close = None if previous_close is None else Decimal(previous_close)
    return DayFigures(open=Decimal(open), high=Decimal(high), low=Decimal(low), previous_close=close)


def day_candle() -> tuple[Decimal, Decimal, Decimal]:
    """Open, high and low of gold's newest day candle."""
    day = Candle.objects.filter(metal="gold", interval="1d").order_by("start").last()
    assert day is not None
    return day.open, day.high, day.low


# --- corrections -----------------------------------------------------------------------------------------------------


def test_a_slip_that_is_corrected_at_the_same_moment_stays_in_no_figure_as_in_no_candle() -> None:
    say("9000")
    say("9300", NOW + MINUTE)
    day = say("9010", NOW + MINUTE)
    assert day == figures("9000", "9010", "9000")
    assert day_candle() == (day.open, day.high, day.low)
    assert say("9005", NOW + 2 * MINUTE) == day


def test_a_slip_that_opens_the_day_is_neither_its_open_nor_its_low_when_it_is_corrected() -> None:
    say("9000", NOW - 24 * 60 * MINUTE)
    say("8700")
    day = say("9010")
    assert day == figures("9010", "9010", "9010", "9000")
    assert day_candle() == (day.open, day.high, day.low)


def test_another_sources_word_on_the_same_moment_is_no_correction() -> None:
    say("9000")
    say("9300", NOW + MINUTE)
    say("9200", NOW + MINUTE, source="metals_dev")
    day = say("9010", NOW + MINUTE)
    assert day == figures("9000", "9200", "9000")
    assert day_candle() == (day.open, day.high, day.low)


def test_a_slip_is_corrected_under_another_premium_too() -> None:
    say("9000")
    say("9300", NOW + MINUTE)
    charge("1.1", NOW + 2 * MINUTE)
    assert say("9010", NOW + MINUTE) == figures("9900", "9911", "9900")


def test_a_day_that_a_wrong_clock_put_ahead_ends_with_today() -> None:
    say("9000", NOW + 24 * 60 * MINUTE)
    assert say("9010", NOW) == figures("9000", "9010", "9000")
    assert say("9020", NOW + 12 * 60 * MINUTE) == figures("9020", "9020", "9020", "9010")


# --- premiums --------------------------------------------------------------------------------------------------------


def test_changes_of_premium_leave_no_mark_on_the_day(settings: Settings) -> None:
    settings.BASE_CURRENCY = "KWD"
    for seconds, price in ((0, "0.3137"), (1, "0.2501")):
        silver = replace(quote("silver", price, at=NOW + seconds * SECOND), currency="KWD")
        day = day_of(ingest.record([silver], now=silver.quoted_at))
    for number, multiplier in enumerate(("1.15", "1", "1.06", "0.995", "1.15", "1"), 2):
        last = charge(multiplier, NOW + number * SECOND, "silver")
    assert last == day == figures("0.3137", "0.3137", "0.2501")


def test_each_figure_is_rounded_once_from_what_the_source_gave() -> None:
    say("0.3333", high="0.3335", low="0.3331", open="0.3332", previous_close="0.3334")
    charge("0.1")
    assert charge("1.000001", NOW + SECOND) == figures("0.3332", "0.3335", "0.3331", "0.3334")


def test_a_figure_that_differs_by_less_than_a_premium_shows_is_there_under_the_next_one() -> None:
    Premium.objects.create(metal_id="gold", multiplier="0.1", effective_from=NOW - MINUTE)
    say("0.3333", high="0.3336")
    say("0.3333", high="0.3337")
    assert charge("1", NOW + SECOND).high == Decimal("0.3337")


def test_a_premium_that_begins_after_midnight_opens_no_day() -> None:
    say("9000", NOW)
    tomorrow = NOW.replace(hour=18, minute=30)  # in India
    assert charge("1.1", tomorrow) == figures("9900", "9900", "9900")
    assert say("9050", tomorrow + MINUTE) == figures("9955", "9955", "9955", "9900")


# --- what a source gives ---------------------------------------------------------------------------------------------


def test_an_open_outside_the_range_that_the_source_leaves_out_widens_it_and_the_refreshes_after_it() -> None:
    assert say("9223.3162", open="9500.0157") == figures("9500.0157", "9500.0157", "9223.3162")
    assert say("9224", NOW + MINUTE) == figures("9500.0157", "9500.0157", "9223.3162")
    assert say("9225", NOW + 2 * MINUTE, source="metals_dev", high="9300") == figures(
        "9500.0157", "9500.0157", "9223.3162"
    )


# --- anything that can happen, against all of it added up by hand ----------------------------------------------------

LIVE = ("gold_api_com", "metals_dev")
amounts = st.none() | st.decimals("0.3", "0.4", places=4)


@dataclass(frozen=True)
class Happening:
    """After so many seconds: a quote of a source, with its figures; or, without a source, another premium."""

    seconds: int
    source: str
    price: Decimal
    high: Decimal | None
    low: Decimal | None
    open: Decimal | None
    multiplier: Decimal


happenings = st.lists(
    st.builds(
        Happening,
        seconds=st.sampled_from([0, 0, 1, 5000, 40_000]),
        source=st.sampled_from(["", *LIVE, *LIVE, SIMULATED]),
        price=st.decimals("0.3", "0.4", places=4),
        high=amounts,
        low=amounts,
        open=amounts,
        multiplier=st.sampled_from([Decimal(each) for each in ("1", "1.15", "1.06", "0.995", "0.333333")]),
    ),
    min_size=1,
    max_size=10,
)


def added_up(quotes: list[Quote], zone: dt.tzinfo, multiplier: Decimal) -> DayFigures:
    """The last day of these quotes of one price kind, in the order in which they were recorded, under a premium."""
    lasting = [
        each
        for number, each in enumerate(quotes)
        if not any((each.source, each.quoted_at) == (other.source, other.quoted_at) for other in quotes[number + 1 :])
    ]
    today = lasting[-1].quoted_at.astimezone(zone).date()
    of_day = [each for each in lasting if each.quoted_at.astimezone(zone).date() == today]
    before = lasting[: len(lasting) - len(of_day)]
    opened = high = low = None
    for each in of_day:
        opened = each.open or opened or each.price
        high = max(filter(None, (each.high or high, opened, each.price)))
        low = min(filter(None, (each.low or low, opened, each.price)))

    def shown(amount: Decimal | None) -> Decimal:
        assert amount
        return (amount * multiplier).quantize(Decimal("0.0001"), ROUND_HALF_EVEN)

    return DayFigures(
        open=shown(opened),
        high=shown(high),
        low=shown(low),
        previous_close=shown(before[-1].price) if before else None,
    )


@by_examples(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happened=happenings, zone=st.sampled_from(["Asia/Kolkata", "America/New_York"]))
def test_the_day_is_made_of_its_quotes_under_the_current_premium(happened: list[Happening], zone: str) -> None:
    with override_settings(TIME_ZONE=zone, PRICE_PROVIDERS=[*LIVE, SIMULATED]):
        forget_prices()
        Premium.objects.all().delete()
        said: dict[PriceKind, list[Quote]] = {}
        shown_under: dict[PriceKind, Decimal] = {}
        now, multiplier = NOW, Decimal(1)
        for each in happened:
            now += each.seconds * SECOND
            if each.source:
                offered = replace(
                    quote(price=str(each.price), at=now, source=each.source),
                    high=each.high,
                    low=each.low,
                    open=each.open,
                )
                publication = ingest.record([offered], now=now)
                said.setdefault(offered.kind, []).append(offered)
            else:
                multiplier = each.multiplier
                values = {"multiplier": multiplier, "effective_from": NOW}
                Premium.objects.update_or_create(metal_id="gold", defaults=values)
                publication = ingest.apply_premiums(now=now)
            if publication:
                shown_under[publication.quotes[0].quote.kind] = multiplier
                day_of(publication)
        found = {PriceKind(row.lane): row.day() for row in LatestPrice.objects.filter(metal="gold")}
        assert found == {kind: added_up(quotes, ZoneInfo(zone), shown_under[kind]) for kind, quotes in said.items()}


@by_examples(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(
        st.tuples(
            st.sampled_from([0, 1, 60, 20_000, 50_000]),
            st.sampled_from([*LIVE, "consensus"]),
            st.integers(1, 9),
            st.sampled_from([0, 0, 1, 60, 3600]),
        ),
        min_size=1,
        max_size=12,
    ),
    zone=st.sampled_from(["Asia/Kolkata", "America/New_York"]),
)
def test_the_day_and_its_candle_say_the_same(said: list[tuple[int, str, int, int]], zone: str) -> None:
    """Of quotes that are behind by so many seconds, repeated and corrected, in refreshes of their own."""
    with override_settings(TIME_ZONE=zone):
        forget_prices()
        now = NOW
        for refresh, (seconds, source, price, behind) in enumerate(said, 1):
            now += seconds * SECOND
            offered = quote(price=str(9000 + price), at=now - behind * SECOND, source=source)
            ingest.offer([offered], now=now, refresh=refresh)
            row = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)
            assert day_candle() == (row.open, row.high, row.low)
