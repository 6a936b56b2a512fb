"""Quarantined prices: none is published by itself, and each waits for a confirmation or for staff."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from pytest_django import Settings

from prices.domain.provider_table import PROVIDER_TABLE
from prices.domain.quotes import Metal, PriceKind
from prices.domain.sanity import Release
from prices.models import (
    Configuration,
    FallbackPrice,
    Head,
    HeldPrice,
    LatestPrice,
    ListedMetal,
    Premium,
    SanityBand,
    SignificantChange,
)
from prices.publishing import ingest
from tests.support.quotes import NOW, quote
from tests.support.world import enter_fallbacks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]

MINUTE = dt.timedelta(minutes=1)
PENDING, CONFIRMED, APPROVED, REJECTED, SUPERSEDED = HeldPrice.Decision


def offer(price: str, minutes: int, source: str = "gold_api_com", **figures: str) -> bool:
    """Offer a price of gold of so many minutes after the start. Returns True if it was quarantined."""
    at = NOW + minutes * MINUTE
    return Metal.GOLD in ingest.offer([quote(price=price, at=at, source=source, **figures)], now=at)


def live() -> Decimal | None:
    found = LatestPrice.objects.filter(metal="gold", lane=PriceKind.LIVE).first()
    return found.price if found else None


def decisions() -> list[tuple[Decimal, str, str]]:
    """Each quarantined price, oldest first, with its decision and who made it."""
    return [(row.price, row.decision, row.decided_by) for row in HeldPrice.objects.order_by("pk")]


def test_a_price_like_the_last_one_goes_out() -> None:
    assert not offer("10000", 0)
    assert not offer("10400", 1)
    assert live() == 10400
    assert decisions() == []


def test_a_jump_is_quarantined_and_logged_once(log: Callable[[], list[str]]) -> None:
    offer("10000", 0)
    publications = Head.current().seq
    assert offer("11000", 1)
    assert ingest.offer([quote(price="11000", at=NOW + MINUTE)], now=NOW + 2 * MINUTE) == {Metal.GOLD}
    assert (live(), Head.current().seq) == (Decimal(10000), publications)
    assert decisions() == [(Decimal(11000), PENDING, "")]
    assert log() == [
        "gold_api_com: gold of INR is quarantined: 11,000.0000 is +10.0 % from 10,000.0000, the last price"
    ]


def test_the_same_source_confirms_a_jump_that_it_still_gives_after_ten_minutes() -> None:
    offer("10000", 0)
    offer("11000", 1)
    assert offer("11050", 10)
    assert not offer("11050", 11)
    assert live() == 11050
    assert decisions() == [(Decimal(11000), CONFIRMED, "gold_api_com")]


def test_a_second_source_confirms_a_jump_at_once() -> None:
    offer("10000", 0)
    offer("11000", 1)
    assert not offer("11050", 1, "metals_dev")
    assert live() == 11050
    assert decisions() == [(Decimal(11000), CONFIRMED, "metals_dev")]


def test_a_second_source_that_does_not_confirm_a_jump_shows_it_for_what_it_was() -> None:
    offer("10000", 0)
    offer("11000", 1)
    assert not offer("10010", 1, "metals_dev")
    assert live() == 10010
    assert decisions() == [(Decimal(11000), SUPERSEDED, "metals_dev")]


def test_the_time_to_decide_begins_anew_with_another_price() -> None:
    offer("10000", 0)
    offer("11000", 1)
    assert offer("12000", 8)
    assert offer("12000", 17)
    assert not offer("12000", 18)


@pytest.mark.parametrize(("release", "others"), [(Release.SECOND_SOURCE, True), (Release.STAFF, False)])
def test_the_deployment_may_leave_it_to_a_second_source_or_to_staff_alone(
    settings: Settings, release: Release, others: bool
) -> None:
    settings.QUARANTINE_RELEASE = release
    offer("10000", 0)
    for minutes in (1, 12, 60):
        assert offer("11000", minutes)
    assert offer("11000", 61, "metals_dev") is not others
    assert offer("10010", 62) is others  # by now a jump back; else what breaks no rule


def test_a_price_that_began_to_wait_by_a_clock_that_was_ahead_begins_anew() -> None:
    offer("10000", 0)
    offer("11000", 1)
    in_a_year = NOW + dt.timedelta(days=365)
    HeldPrice.objects.update(waiting_since=in_a_year, waiting_by="another machine")
    assert offer("11000", 20)
    assert not offer("11000", 30)


def test_two_sources_that_jump_apart_are_both_quarantined() -> None:
    offer("10000", 0)
    assert offer("11000", 1)
    assert offer("9000", 1, "metals_dev")
    assert live() == 10000
    assert [price for price, *_ in decisions()] == [11000, 9000]


def test_a_source_does_not_confirm_itself_while_another_says_otherwise() -> None:
    """After weeks without prices, say: the market has gone up by 6 %, and the first source is mad."""
    offer("10000", 0)
    for minutes in (1, 12):
        assert offer("12000", minutes)
        assert offer("10600", minutes, "metals_dev")
    assert live() == 10000
    assert not offer("10610", 12, "swissquote")
    assert live() == 10610


def test_who_gives_ounces_for_grams_keeps_no_other_source_from_confirming_itself() -> None:
    offer("10000", 0)
    assert offer("311034.768", 1, "metals_dev")
    assert offer("10600", 1)
    assert not offer("10610", 11)


def test_a_price_beyond_its_band_is_for_staff_alone_to_let_out() -> None:
    """A source that gives ounces for grams says so again and again."""
    offer("10000", 0)
    for minutes in range(1, 50, 12):
        assert offer("311034.768", minutes)
    assert offer("311034.768", 50, "metals_dev")
    assert live() == 10000
    assert decisions() == [(Decimal("311034.768"), PENDING, "")] * 2  # one to decide, however often it is said


def test_a_source_that_says_much_the_same_leaves_staff_what_they_are_deciding() -> None:
    offer("10000", 0)
    offer("45000", 1)
    seen = HeldPrice.objects.get().pk
    offer("45010", 2)
    ingest.decide(seen, approve=True, by="asha", now=NOW + 3 * MINUTE)
    assert live() == 45000
    assert HeldPrice.objects.count() == 1


def test_another_price_of_the_same_source_is_quarantined_anew() -> None:
    offer("10000", 0)
    offer("45000", 1)
    offer("60000", 2)
    assert decisions() == [(Decimal(45000), SUPERSEDED, "gold_api_com"), (Decimal(60000), PENDING, "")]


def test_a_first_price_has_to_be_within_the_band_around_staffs_fallback() -> None:
    assert FallbackPrice.objects.get(metal="gold").price == Decimal("9223.3162")
    assert offer("286877.2", 0)
    assert live() is None


def test_without_staffs_fallback_the_band_is_around_the_last_live_price() -> None:
    """As in any currency that no staff have written a fallback price in."""
    FallbackPrice.objects.all().delete()
    assert not offer("10000", 0)
    for minutes in range(1, 40, 12):
        assert offer("311034.768", minutes)
    assert live() == 10000


def test_staffs_own_band_counts_for_more() -> None:
    SanityBand.objects.create(metal_id="gold", lowest=Decimal(9000), highest=Decimal(9500))
    assert offer("9600", 0)
    assert not offer("9400", 0)


def test_staff_may_allow_a_larger_jump() -> None:
    Configuration.load()
    Configuration.objects.update(max_jump_percent=Decimal(20))
    offer("10000", 0)
    assert not offer("11000", 1)


def test_a_price_that_staff_approve_goes_out() -> None:
    offer("10000", 0)
    offer("45000", 1)
    ingest.decide(HeldPrice.objects.get().pk, approve=True, by="asha", now=NOW + 2 * MINUTE)
    assert live() == 45000
    assert decisions() == [(Decimal(45000), APPROVED, "asha")]


def test_with_one_price_of_a_metal_that_staff_approve_its_others_are_decided() -> None:
    offer("10000", 0)
    offer("45000", 1)
    offer("1000", 1, "metals_dev")
    ingest.decide(HeldPrice.objects.get(source="gold_api_com").pk, approve=True, by="asha", now=NOW + 2 * MINUTE)
    assert decisions() == [(Decimal(45000), APPROVED, "asha"), (Decimal(1000), SUPERSEDED, "asha")]


def test_a_price_that_staff_reject_is_not_confirmed_by_its_source() -> None:
    offer("10000", 0)
    offer("11000", 1)
    ingest.decide(HeldPrice.objects.get().pk, approve=False, by="asha", now=NOW + 2 * MINUTE)
    assert offer("11010", 3)
    assert offer("11020", 14)
    assert live() == 10000
    assert not offer("10010", 15)
    assert live() == 10010


def test_what_was_decided_is_not_decided_again() -> None:
    offer("10000", 0)
    offer("11000", 1)
    quarantined = HeldPrice.objects.get().pk
    offer("11000", 11)
    with pytest.raises(ValueError, match="it was confirmed by gold_api_com already"):
        ingest.decide(quarantined, approve=True, by="asha", now=NOW + 12 * MINUTE)


def test_a_price_of_a_metal_that_is_switched_off_is_not_published() -> None:
    offer("10000", 0)
    offer("11000", 1)
    ListedMetal.objects.filter(name="gold").update(enabled=False)
    with pytest.raises(ValueError, match="the metal is switched off"):
        ingest.decide(HeldPrice.objects.get().pk, approve=True, by="asha", now=NOW + 2 * MINUTE)


def test_a_quarantined_price_is_not_published_over_a_newer_one() -> None:
    offer("10000", 0)
    offer("11000", 1)
    ingest.record([quote(price="10020", at=NOW + 5 * MINUTE)], now=NOW + 5 * MINUTE)
    with pytest.raises(ValueError, match="a newer price of this metal is out"):
        ingest.decide(HeldPrice.objects.get().pk, approve=True, by="asha", now=NOW + 6 * MINUTE)


def test_a_jump_back_is_a_jump_too() -> None:
    offer("10000", 0)
    offer("11000", 1)
    offer("11000", 11)
    assert offer("10000", 12)


def test_a_simulated_market_may_jump() -> None:
    assert not offer("10000", 0, "simulated")
    assert not offer("90000", 1, "simulated")


def test_a_premium_is_no_jump_and_spot_is_kept_apart(settings: Settings) -> None:
    offer("10000", 0)
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.2"), effective_from=NOW + MINUTE)
    assert not offer("10100", 2)
    row = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)
    assert (row.price, row.spot) == (Decimal(12120), Decimal(10100))
    assert not offer("10200", 3)
    assert live() == 12240


def test_a_premium_goes_out_with_the_price_that_is_shown() -> None:
    offer("10000", 0)
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=NOW + MINUTE)
    assert ingest.apply_premiums(now=NOW) is None
    publication = ingest.apply_premiums(now=NOW + MINUTE)
    assert publication is not None
    assert [(each.quote.price, each.quote.spot, each.quote.quoted_at) for each in publication.quotes] == [
        (Decimal(10600), Decimal(10000), NOW)
    ]
    assert ingest.apply_premiums(now=NOW + 2 * MINUTE) is None


def test_a_premium_is_on_the_days_figures_that_a_source_gives() -> None:
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.1"), effective_from=NOW)
    offer("10000", 0, open="9900", high="10100", low="9800", previous_close="9700")
    row = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)
    figures = (row.price, row.open, row.high, row.low, row.previous_close)
    assert figures == tuple(map(Decimal, (11000, 10890, 11110, 10780, 10670)))


def test_bid_and_ask_go_along_with_a_premium_that_changes() -> None:
    premium = Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=NOW)
    offer("10000", 0, bid="9990", ask="10010")
    premium.multiplier = Decimal("1.1")
    premium.save()
    ingest.apply_premiums(now=NOW + MINUTE)
    row = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)
    assert (row.price, row.bid, row.ask, row.spot) == tuple(map(Decimal, (11000, 10989, 11011, 10000)))


def test_a_premium_that_changes_is_no_move_of_the_market_nor_of_its_day() -> None:
    offer("10000", -26 * 60)
    offer("10300", 0)
    offer("10200", 1)
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.1"), effective_from=NOW + 2 * MINUTE)
    publication = ingest.apply_premiums(now=NOW + 2 * MINUTE)
    assert publication is not None
    assert publication.changes == ()
    (gold,) = publication.quotes
    day = gold.day
    assert (gold.quote.price, day.open, day.high, day.low) == tuple(map(Decimal, (11220, 11330, 11330, 11220)))
    assert (day.previous_close, gold.change_percent) == (Decimal(11000), Decimal("2.00"))


def test_the_days_after_a_premium_changed_compare_with_a_close_under_it() -> None:
    offer("10000", -26 * 60)
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.1"), effective_from=NOW)
    offer("10300", 0)
    row = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)
    assert (row.price, row.low, row.previous_close) == tuple(map(Decimal, (11330, 11330, 11000)))
    move = SignificantChange.objects.get(seq=row.seq or 0)
    assert (move.old_price, move.new_price, move.change_percent) == tuple(map(Decimal, (11000, 11330, 3)))


def test_a_premium_that_ends_leaves_spot() -> None:
    premium = Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=NOW)
    offer("10000", 0)
    premium.delete()
    ingest.apply_premiums(now=NOW + MINUTE)
    row = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)
    assert (row.price, row.spot) == (Decimal(10000), None)


def test_a_premium_does_not_keep_a_dead_source_alive(settings: Settings) -> None:
    enter_fallbacks()
    offer("10000", 0)
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=NOW)
    for minutes in range(1, 60):
        ingest.apply_premiums(now=NOW + minutes * MINUTE)
    ingest.fall_back_where_due(now=NOW + settings.FALLBACK_AFTER)
    assert LatestPrice.shown().filter(metal="gold")[0].lane == PriceKind.FALLBACK
    assert ingest.apply_premiums(now=NOW + 2 * settings.FALLBACK_AFTER) is None


def test_of_several_premiums_the_newest_that_has_begun_counts() -> None:
    for days, multiplier in ((3, "1.15"), (-10, "1.06"), (-2, "1.1")):
        Premium.objects.create(
            metal_id="gold", multiplier=Decimal(multiplier), effective_from=NOW + dt.timedelta(days=days)
        )
    offer("10000", 0, bid="9990", ask="10010")
    row = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)
    assert (row.price, row.bid, row.ask, row.spot) == tuple(map(Decimal, (11000, 10989, 11011, 10000)))


def test_staffs_fallback_goes_out_as_they_wrote_it() -> None:
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=NOW)
    ingest.fall_back_where_due(now=NOW + MINUTE)
    row = LatestPrice.objects.get(metal="gold", lane=PriceKind.FALLBACK)
    assert (row.price, row.spot) == (Decimal("9223.3162"), None)


# --- a slow drift --------------------------------------------------------------------------------------------------


def drift(source: str = "gold_api_com", begin: int = 1) -> int:
    """Let gold rise by half a percent a minute until that is quarantined; returns the minute in which it was."""
    for minute in range(begin, begin + 60):
        price = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE).quote().at_spot().price
        if offer(f"{price * Decimal('1.005'):.4f}", minute, source):
            return minute
    raise AssertionError("nothing stopped it")


def test_a_drift_that_no_step_betrays_is_quarantined_and_let_out_as_a_jump_is(log: Callable[[], list[str]]) -> None:
    offer("10000", 0)
    minute = drift()
    assert live() == Decimal("11498.7262")
    detail = "11,556.2198 is +15.6 % from 10,000.0000, the price within 24 hours of open market"
    assert log() == [f"gold_api_com: gold of INR is quarantined: {detail}"]
    assert HeldPrice.pending().get().doubt == "drift"
    assert offer("11560", minute + 9)  # the same source has to wait
    assert not offer("11560", minute + 9, "metals_dev")
    assert not offer("11600", minute + 10)  # from there on the bound counts anew
    assert live() == 11600


def test_staff_alone_let_a_drift_out_where_the_deployment_says_so(settings: Settings) -> None:
    settings.QUARANTINE_RELEASE = Release.STAFF
    offer("10000", 0)
    minute = drift()
    assert offer("11560", minute + 1, "metals_dev")
    waiting = HeldPrice.pending().get(source="gold_api_com")
    ingest.decide(waiting.pk, approve=True, by="asha", now=NOW + (minute + 2) * MINUTE)
    assert not offer("11600", minute + 3)


def test_the_bound_on_a_drift_is_staffs_by_metal() -> None:
    Configuration.load()
    Configuration.objects.update(max_drift_percent_gold=8)
    offer("10000", 0)
    drift()
    assert 10700 < (live() or 0) <= 10800
    Configuration.objects.update(max_drift_percent_gold=None, max_drift_percent_silver=8)
    drift(begin=120)
    assert (live() or 0) > 11400


def test_a_premium_is_no_drift() -> None:
    offer("10000", 0)
    for minutes, multiplier in enumerate(("1.1", "1.3", "0.9"), start=1):
        at = NOW + minutes * MINUTE
        Premium.objects.create(metal_id="gold", multiplier=Decimal(multiplier), effective_from=at)
        ingest.apply_premiums(now=at)
        assert not offer("10010", minutes)
    assert live() == 9009


def test_a_premium_that_was_a_slip_and_is_mended_leaves_no_mark() -> None:
    premium = Premium.objects.create(metal_id="gold", multiplier=Decimal("1.6"), effective_from=NOW)
    offer("10000", 0)
    premium.multiplier = Decimal("1.06")
    premium.save()
    ingest.apply_premiums(now=NOW + MINUTE)
    assert not offer("10010", 2)


def test_after_a_drift_the_right_price_is_believed_as_soon_as_another_source_gives_it() -> None:
    offer("10000", 0)
    minute = drift()
    assert offer("10005", minute + 1)
    assert not offer("10006", minute + 1, "metals_dev")
    assert live() == 10006


# --- a provider that includes duty: metals_dev, with 10 % ------------------------------------------------------------


@pytest.fixture
def duty(seeded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with_duty = replace(PROVIDER_TABLE["metals_dev"], includes_premium=True)
    monkeypatch.setattr("prices.premiums.PROVIDER_TABLE", {**PROVIDER_TABLE, "metals_dev": with_duty})
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.1"), effective_from=NOW)


@pytest.mark.usefixtures("duty")
def test_duty_is_no_jump() -> None:
    offer("10000", 0)
    assert not offer("11000", 1, "metals_dev")
    assert live() == 11000
    assert not offer("10010", 2)
    assert live() == 11011


@pytest.mark.usefixtures("duty")
def test_a_jump_is_one_before_duty(log: Callable[[], list[str]]) -> None:
    offer("10000", 0)
    assert offer("10000", 1, "metals_dev")
    assert live() == 11000
    detail = "less its premium, 9,090.9091 is -9.1 % from 10,000.0000, the last price"
    assert log() == [f"metals_dev: gold of INR is quarantined: {detail}"]


@pytest.mark.usefixtures("duty")
def test_a_band_is_of_prices_before_duty() -> None:
    SanityBand.objects.create(metal_id="gold", lowest=9000, highest=10500)
    assert not offer("11000", 0, "metals_dev")
    assert offer("11600", 1, "metals_dev")


@pytest.mark.usefixtures("duty")
def test_what_comes_with_duty_is_in_the_days_range_that_comes_with_it() -> None:
    assert not offer("11000", 0, "metals_dev", low="10900", high="11100")
    assert offer("11000", 1, "metals_dev", low="11050", high="11100")


@pytest.mark.usefixtures("duty")
def test_a_source_with_duty_confirms_one_without_and_the_other_way_round() -> None:
    offer("10000", 0)
    assert offer("12000", 1)
    assert not offer("13200", 1, "metals_dev")
    assert live() == 13200
    assert offer("11000", 2, "metals_dev")
    assert not offer("10000", 2)
    assert live() == 11000
    assert [decision for _, decision, _ in decisions()] == [CONFIRMED, CONFIRMED]


@pytest.mark.usefixtures("duty")
def test_a_price_with_duty_that_staff_approve_goes_out_as_it_came() -> None:
    offer("10000", 0)
    offer("49500", 1, "metals_dev", bid="49400", ask="49600")
    ingest.decide(HeldPrice.objects.get().pk, approve=True, by="asha", now=NOW + 2 * MINUTE)
    row = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)
    assert (row.price, row.bid, row.ask, row.spot) == (Decimal(49500), Decimal(49400), Decimal(49600), None)


@pytest.fixture
def dearer(duty: None) -> None:
    """From the second minute on duty is 20 %."""
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.2"), effective_from=NOW + 2 * MINUTE)


@pytest.mark.usefixtures("dearer")
def test_a_change_of_duty_is_no_jump_no_move_and_no_high() -> None:
    offer("11000", 1, "metals_dev")
    assert not offer("12000", 2, "metals_dev")
    row = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)
    assert (row.price, row.low, row.high) == (Decimal(12000), Decimal(12000), Decimal(12000))
    assert not SignificantChange.objects.exists()


@pytest.mark.usefixtures("dearer")
def test_a_change_of_duty_makes_no_quote_that_is_repeated_news() -> None:
    offer("11000.0005", 1, "metals_dev")
    publications = Head.current().seq
    for minutes in (2, 3):
        repeated = [quote(price="11000.0005", at=NOW + MINUTE, source="metals_dev")]
        ingest.offer(repeated, now=NOW + minutes * MINUTE)
    assert Head.current().seq == publications


@pytest.mark.usefixtures("dearer")
def test_a_source_that_does_not_know_a_change_of_duty_yet_is_quarantined_and_the_next_one_counts() -> None:
    offer("11000", 1, "metals_dev")
    assert offer("11000", 2, "metals_dev")
    assert not offer("10000", 2)
    assert live() == 12000


@pytest.mark.usefixtures("dearer")
def test_a_change_of_duty_does_not_let_a_wrong_price_pass_for_right() -> None:
    offer("11000", 1, "metals_dev")
    assert offer("9170", 2)  # as if 11,000 included the new duty
    assert live() == 11000


@pytest.mark.usefixtures("dearer")
def test_what_staff_rejected_before_a_change_of_duty_is_rejected_after_it() -> None:
    offer("10000", 0)
    offer("13200", 1, "metals_dev")
    ingest.decide(HeldPrice.objects.get().pk, approve=False, by="asha", now=NOW + MINUTE)
    assert offer("14400", 2, "metals_dev")
    assert offer("14400", 13, "metals_dev")
    assert live() == 10000 * Decimal("1.1")
