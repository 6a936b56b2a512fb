"""Which of two quotes is newer, and from when on one is the price, by tables."""

import datetime as dt
from decimal import Decimal

import pytest

from prices.domain.quotes import Metal, Quote
from prices.domain.succession import Arrival, Last, Order, effective_from, order, repeats
from tests.support.quotes import NOW, quote

SECOND = dt.timedelta(seconds=1)
EARLIER, LATER = NOW - 30 * SECOND, NOW + 30 * SECOND


def last(
    source: str = "a", at: dt.datetime = NOW, *, refresh: int = 5, confirmed_at: dt.datetime | None = None
) -> Last:
    """The last quote, of `at`, which came in refresh 5 and went out a second later."""
    published_at = at + SECOND
    return Last(quote(source=source, at=at), at, published_at, confirmed_at or published_at, refresh)


def arrival(refresh: int | None = 6, *, now: dt.datetime = NOW + 60 * SECOND) -> Arrival:
    return Arrival(now, refresh, newest_refresh=6)


@pytest.mark.parametrize(
    ("source", "at", "refresh", "has_newer", "expected"),
    [
        # Of one source, by its own clock.
        ("a", LATER, 6, False, Order.NEXT),
        ("a", NOW, 6, False, Order.NEXT),
        ("a", EARLIER, 6, False, Order.OLDER),
        ("a", LATER, 4, False, Order.NEXT),  # a slow answer, yet its newest word
        ("a", NOW, 4, False, Order.SUPERSEDED),  # what it corrected since
        # Of different sources, by the refresh.
        ("b", LATER, 6, False, Order.NEXT),
        ("b", EARLIER, 6, False, Order.NEXT),
        ("b", EARLIER, 6, True, Order.OLDER),  # b itself has said something newer before a did
        ("b", LATER, 4, False, Order.SUPERSEDED),
        # What several agree on has no clock of its own.
        ("consensus", EARLIER, 6, True, Order.NEXT),
        ("consensus", LATER, 4, True, Order.SUPERSEDED),
        # Without a refresh, by time alone: staff's approval, a price after a night switched off.
        ("b", LATER, None, False, Order.NEXT),
        ("b", EARLIER, None, False, Order.OLDER),
        # Staff may go back in time.
        ("fallback", EARLIER, None, True, Order.NEXT),
    ],
)
def test_a_quote_is_after_the_last_one_superseded_or_older(
    source: str, at: dt.datetime, refresh: int | None, has_newer: bool, expected: Order
) -> None:
    assert order(quote(source=source, at=at), last(), arrival(refresh), has_newer=lambda: has_newer) is expected


def test_the_first_quote_of_a_price_kind_is_next() -> None:
    assert order(quote(), None, arrival(), has_newer=lambda: True) is Order.NEXT


def test_a_last_quote_of_the_future_binds_no_other() -> None:
    by_a_wrong_clock = last(at=NOW + dt.timedelta(hours=5))
    assert order(quote(source="a"), by_a_wrong_clock, arrival(), has_newer=lambda: True) is Order.NEXT


def test_agreements_of_one_source_set_are_ordered_by_refresh_though_the_time_is_earlier() -> None:
    agreed = quote(source="consensus", at=EARLIER)
    assert order(agreed, last("consensus"), arrival(6), has_newer=lambda: True) is Order.NEXT


@pytest.mark.parametrize(
    ("source", "at", "of_refresh", "expected"),
    [
        ("a", NOW, 6, True),
        ("a", LATER, 6, False),
        ("b", NOW, 6, False),
    ],
)
def test_a_source_repeats_or_corrects_by_the_same_time(
    source: str, at: dt.datetime, of_refresh: int, expected: bool
) -> None:
    assert repeats(quote(source=source, at=at), last(), arrival(of_refresh)) is expected


def test_an_agreement_is_corrected_within_its_refresh_and_repeated_after_it() -> None:
    more_have_answered = quote("gold", "13300", source="consensus", at=LATER)
    before = last("consensus", refresh=6)
    assert repeats(more_have_answered, before, arrival(6))
    assert not repeats(more_have_answered, before, arrival(7))
    assert repeats(before.quote, before, arrival(7))
    confirmed_since = last("consensus", refresh=6, confirmed_at=LATER)
    assert not repeats(more_have_answered, confirmed_since, arrival(6))


def of(price: str, source: str, at: dt.datetime) -> Quote:
    return Quote(metal=Metal.GOLD, price=Decimal(price), currency="INR", source=source, quoted_at=at)


@pytest.mark.parametrize(
    ("source", "at", "is_under_another_premium", "is_market_open", "expected"),
    [
        ("a", LATER, False, True, LATER),
        ("a", NOW, False, True, NOW),  # a correction is of the same moment
        ("b", LATER, False, True, LATER),
        ("b", NOW, False, True, NOW),
        ("b", EARLIER, False, True, "now"),  # a was the price by then
        ("b", EARLIER, False, False, NOW),  # nothing moves while the market is closed
        ("a", LATER, True, True, "now"),  # another premium begins now
        ("a", NOW, True, False, "now"),
        ("consensus", NOW, False, True, "now"),
    ],
)
def test_a_quote_is_the_price_from_its_own_time_or_from_now_where_another_was_by_then(
    source: str, at: dt.datetime, is_under_another_premium: bool, is_market_open: bool, expected: dt.datetime | str
) -> None:
    found = effective_from(
        of("13300", source, at),
        last(),
        arrival(),
        is_under_another_premium=is_under_another_premium,
        is_market_open=is_market_open,
    )
    assert found == (arrival().now if expected == "now" else expected)


def test_no_moment_lies_before_that_of_the_last_quote() -> None:
    ahead = last(at=NOW + dt.timedelta(minutes=3))
    found = effective_from(of("13300", "b", NOW), ahead, arrival(), is_under_another_premium=False, is_market_open=True)
    assert found == ahead.at


@pytest.mark.parametrize("before", [None, last(at=NOW + dt.timedelta(hours=5))], ids=["none", "of the future"])
def test_without_a_last_moment_that_can_be_a_quotes_own_time_counts(before: Last | None) -> None:
    found = effective_from(of("13300", "a", NOW), before, arrival(), is_under_another_premium=True, is_market_open=True)
    assert found == NOW


def test_a_publication_that_only_put_another_premium_on_says_nothing_of_the_quote() -> None:
    put_a_premium_on = last(at=NOW, confirmed_at=NOW)  # before it was published: no source has said it since
    found = effective_from(
        of("13300", "b", EARLIER), put_a_premium_on, arrival(), is_under_another_premium=False, is_market_open=True
    )
    assert found == NOW
