"""The price on which several sources agree, and when it is decided."""

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prices.domain.consensus import CONSENSUS, Agreement, agreement, decision
from prices.domain.quotes import Members, Quote, percent
from prices.domain.units import PRICE_STEP
from tests.support.quotes import NOW, quote

MINUTE = dt.timedelta(minutes=1)
ONE = dict.fromkeys("abcdef", Decimal(1))


def quotes_of(*prices: str) -> list[Quote]:
    """Quotes of sources a, b, c, …, each a minute older than the one before it."""
    return [
        quote(price=price, source=source, at=NOW - position * MINUTE)
        for position, (source, price) in enumerate(zip("abcdef", prices, strict=False))
    ]


def agreed(*prices: str, minimum: int = 2, tolerance: str = "1") -> Agreement:
    """The agreement of sources a, b, c, …"""
    return agreement(quotes_of(*prices), minimum=minimum, tolerance_percent=lambda source: Decimal(tolerance))


def decide(*prices: str, missing: int) -> Agreement | None:
    """The decision while so many answers are missing, if two sources have to agree."""
    return decision(quotes_of(*prices), missing=missing, minimum=2, tolerance_percent=ONE.__getitem__)


def decided(*prices: str, missing: int) -> str | None:
    """The price that goes out."""
    found = decide(*prices, missing=missing)
    return None if found is None or found.quote is None else f"{found.quote.price.normalize():f}"


@pytest.mark.parametrize(
    ("prices", "price", "outliers"),
    [
        (["100", "100.4"], "100.2", ()),
        (["100", "100.4", "100.5"], "100.4", ()),
        (["100", "100.4", "3110"], "100.2", ("c",)),
        (["1", "100.4", "100", "100.2"], "100.2", ("a",)),
        (["100", "103"], None, ("a", "b")),
        (["100"], None, ()),
        (["100", "110", "120"], None, ("a", "c")),
    ],
)
def test_the_median_of_those_that_agree(prices: list[str], price: str | None, outliers: tuple[str, ...]) -> None:
    found = agreed(*prices)
    assert (found.quote.price if found.quote else None) == (Decimal(price) if price else None)
    assert tuple(found.excluded) == outliers


@pytest.mark.parametrize(
    ("prices", "minutes"),
    [
        (["100", "100.4"], 1),  # the earlier one of two
        (["100", "100.4", "100.2"], 1),
        (["3110", "100", "100.4"], 2),
        (["3110", "100", "100.4", "100.2"], 2),
    ],
)
def test_an_agreed_price_says_so_and_is_of_a_time_that_half_of_those_in_it_had_reached(
    prices: list[str], minutes: int
) -> None:
    found = agreed(*prices)
    assert found.quote is not None
    assert (found.quote.source, found.quote.bid, found.quote.high) == (CONSENSUS, None, None)
    assert found.quote.quoted_at == NOW - minutes * MINUTE
    assert found.contributors == {
        each.source: each.quoted_at for each in quotes_of(*prices) if each.source not in found.excluded
    }


def test_an_agreed_price_says_how_many_agree_and_how_far_the_farthest_of_them_is_from_it() -> None:
    found = agreed("100", "100.4", "100.5", "3110")
    assert found.quote is not None
    assert (found.quote.price, found.quote.members) == (Decimal("100.4"), Members(3, Decimal("0.398")))
    alike = agreed("100", "100")
    assert alike.quote is not None
    assert alike.quote.members == Members(2, Decimal(0))


def market(source: str, price: str, bid: str | None = None, ask: str | None = None) -> Quote:
    """A quote of a source with its bid and ask, if it gives them."""
    given = {name: Decimal(amount) for name, amount in (("bid", bid), ("ask", ask)) if amount}
    return replace(quote(price=price, source=source), **given)  # type: ignore[arg-type]  # the two amounts alone


@pytest.mark.parametrize(
    ("quotes", "bid", "ask"),
    [
        ([market("a", "100", "99.9", "100.1"), market("b", "100.2", "100.1", "100.4")], "100", "100.25"),
        ([market("a", "100", "99.9", "100.1"), market("b", "100.2")], "99.9", "100.1"),
        ([market("a", "100", "99.9", "100.1"), market("b", "100.2", "100.1"), market("c", "100")], "99.9", "100.1"),
        # The excluded one's do not count.
        (
            [market("a", "100", "99.9", "100.1"), market("b", "100.2"), market("c", "140", "139", "141")],
            "99.9",
            "100.1",
        ),
        # The others have moved the price beyond them.
        ([market("a", "100", "99.9", "100.1"), market("b", "100.4"), market("c", "100.4")], "99.9", "100.4"),
        ([market("a", "100", "99.9", "100.1"), market("b", "99.4"), market("c", "99.4")], "99.4", "100.1"),
        ([market("a", "100", "99.9"), market("b", "100.2", ask="100.4")], None, None),
    ],
    ids=["both", "one", "one with both", "not an outlier's", "below the price", "above the price", "none with both"],
)
def test_bid_and_ask_are_the_medians_of_those_that_gave_both(
    quotes: list[Quote], bid: str | None, ask: str | None
) -> None:
    found = agreement(quotes, minimum=2, tolerance_percent=lambda source: Decimal(1)).quote
    assert found is not None
    assert (found.bid, found.ask) == (bid and Decimal(bid), ask and Decimal(ask))


_AMOUNTS = st.decimals(Decimal(99), Decimal(101), places=4)


@given(
    st.lists(st.tuples(_AMOUNTS, st.booleans(), _AMOUNTS, _AMOUNTS), min_size=2, max_size=6),
    st.sampled_from(["1", "1.0607", "0.1003"]),
)
def test_nobody_buys_above_an_agreed_price_nor_sells_below_it_under_any_premium(
    given: list[tuple[Decimal, bool, Decimal, Decimal]], premium: str
) -> None:
    quotes = [
        market(source, f"{price}", *map(str, sorted([one, other]))) if has_market else market(source, f"{price}")
        for source, (price, has_market, one, other) in zip("abcdef", given, strict=False)
    ]
    found = agreement(quotes, minimum=2, tolerance_percent=lambda source: Decimal(3)).quote
    assert found is not None
    shown = found.with_premium(Decimal(premium))
    assert (shown.bid is None) == (shown.ask is None) == (not any(has_market for _, has_market, _, _ in given))
    if shown.bid is not None and shown.ask is not None:
        assert shown.bid <= shown.price <= shown.ask
    assert shown.members == found.members


@given(st.lists(st.decimals(Decimal(1), Decimal(10**6), places=4), min_size=1, max_size=6), st.integers(1, 4))
def test_an_agreed_price_is_within_the_tolerance_of_as_many_as_were_wanted(prices: list[Decimal], minimum: int) -> None:
    found = agreed(*map(str, prices), minimum=minimum).quote
    if found:
        # Each is within 1 % of the common median, so within 2 % and a little of the median of those that are.
        near = [price for price in prices if abs(price - found.price) * 100 <= found.price * Decimal("2.1")]
        assert len(near) >= minimum


# --- when it is decided --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prices", "missing", "price"),
    [
        (["140", "140"], 2, None),  # the others may say 100, and none agree
        (["103", "103"], 2, None),
        (["140", "140"], 1, "140"),
        (["100", "100.8"], 1, "100.4"),
        (["100", "101.2"], 1, None),
        (["100.95", "100", "99.5"], 1, None),  # with 99.4 the first one is out, and the price another one
        (["100.2", "100", "99.9"], 1, "100"),
        (["100.2", "100", "140"], 1, None),  # two to two, if the last one says 140 too
        (["100.2", "100", "99.9", "140"], 1, "100"),
        (["100.2", "100", "99.9"], 2, "100"),
        (["100.2", "100", "99.9"], 3, None),
        (["100"], 1, None),
        (["100"], 0, None),
        (["100", "103"], 0, None),
        (["100", "101"], 0, "100.5"),
    ],
)
def test_a_price_goes_out_where_no_answer_that_is_missing_could_overturn_it(
    prices: list[str], missing: int, price: str | None
) -> None:
    assert decided(*prices, missing=missing) == price


def test_what_has_to_wait_is_not_yet_a_disagreement() -> None:
    assert decide("100", "103", missing=1) is None
    final = decide("100", "103", missing=0)
    assert final is not None
    assert (final.quote, final.is_final, tuple(final.excluded)) == (None, True, ("a", "b"))
    early = decide("100", "100", missing=1)
    assert early is not None
    assert not early.is_final


# --- prices that stand still ---------------------------------------------------------------------------------------


def among(*prices: str, standing: str) -> Agreement:
    """The agreement of sources a, b, c, …, of which these stand still."""
    return agreement(
        quotes_of(*prices), minimum=2, tolerance_percent=lambda source: Decimal(1), standing=frozenset(standing)
    )


@pytest.mark.parametrize(
    ("prices", "standing", "price", "excluded"),
    [
        (["100", "100.4", "100.2"], "a", "100.2", {}),  # nobody has moved away
        (["100", "100", "100"], "abc", "100", {}),
        (["100", "103", "103"], "a", "103", {"a": "standing"}),
        (["100", "100", "103", "103.2"], "ab", "103.1", {"a": "standing", "b": "standing"}),
        (["100", "102.4", "103", "103.2"], "ab", "103", {"a": "standing"}),  # what died later is near enough still
        (["100", "100", "103"], "ab", None, {"a": "standing", "b": "standing"}),  # no majority of the dead
        (["100", "103", "103", "140"], "a", "103", {"a": "standing", "d": "tolerance"}),
    ],
)
def test_a_price_that_stands_still_is_excluded_once_others_have_moved_beyond_the_tolerance(
    prices: list[str], standing: str, price: str | None, excluded: dict[str, str]
) -> None:
    found = among(*prices, standing=standing)
    assert (found.quote and found.quote.price) == (price and Decimal(price))
    assert found.excluded == excluded
    if found.quote:
        told = {part.source: part.excluded_by for part in found.quote.sources if part.excluded_by}
        assert told == excluded  # as its receipt will say


# --- whatever is missing -------------------------------------------------------------------------------------------

# Together, at the edges of a tolerance of 1 % and of ½ %, beyond them, and out of this world.
_PRICES = ("99", "99.4", "99.5", "100", "100.2", "100.95", "101", "101.0001", "103", "140", "0.0001", "99999")
_TOLERANCES = st.fixed_dictionaries(
    {source: st.sampled_from([Decimal(1), Decimal("0.5"), Decimal(3)]) for source in ONE}
)


def _contradicts(early: Agreement, whole: Agreement, tolerances: Mapping[str, Decimal]) -> bool:
    assert early.quote is not None
    if whole.quote is None:
        return True
    off = abs(whole.quote.price - early.quote.price) - PRICE_STEP  # both are rounded
    return percent(off, early.quote.price) > min(tolerances[source] for source in early.contributors)


def _tolerances(*percents: str) -> dict[str, Decimal]:
    return dict(zip("abcdef", map(Decimal, percents), strict=True))


# What chance seldom finds: who agrees now may not agree in the end, and too few be left or another price.
@example(["99", "100.95", "100", "99.5"], 1, 3, _tolerances("1", "1", "3", "0.5", "3", "0.5"), set())
@example(["100", "101.0001", "100.95", "100"], 1, 4, ONE, set())
@example(["100", "99.4"], 1, 2, _tolerances("0.5", "1", "0.5", "3", "3", "1"), set())
# An answer that moved would exclude both.
@example(["100", "100"], 1, 2, ONE, {"a", "b"})
@given(
    st.lists(st.sampled_from(_PRICES), min_size=1, max_size=4),
    st.integers(1, 2),
    st.integers(2, 4),
    _TOLERANCES | st.just(ONE),
    st.sets(st.sampled_from("abcdef")),
)
def test_nothing_that_is_missing_contradicts_what_went_out_before(
    prices: list[str], missing: int, minimum: int, tolerances: dict[str, Decimal], standing: set[str]
) -> None:
    """The decision holds, whatever any of the missing ones say: tried one by one, without the rule's reasoning."""
    answered = quotes_of(*prices)
    rule: dict[str, Any] = {"minimum": minimum, "tolerance_percent": tolerances.__getitem__, "standing": standing}
    early = decision(answered, missing=missing, **rule)
    if early is None:
        return
    for others in itertools.product([None, *_PRICES], repeat=missing):
        more = [quote(price=price, source=source) for source, price in zip("ef", others, strict=False) if price]
        whole = agreement([*answered, *more], **rule)
        assert not _contradicts(early, whole, tolerances)


@given(
    st.lists(st.sampled_from(_PRICES) | st.none(), min_size=2, max_size=5).flatmap(
        lambda prices: st.tuples(st.just(prices), st.permutations(range(len(prices))))
    ),
    st.integers(2, 3),
    _TOLERANCES,
    st.sets(st.sampled_from("abcde")),
)
def test_in_whatever_order_answers_come_the_last_word_is_that_on_all_of_them_at_once(
    said: tuple[Sequence[str | None], Sequence[int]],
    minimum: int,
    tolerances: dict[str, Decimal],
    standing: set[str],
) -> None:
    prices, order = said
    every = {
        number: quote(price=price, source="abcde"[number], at=NOW - number * MINUTE)
        for number, price in enumerate(prices)
        if price
    }
    if not every:
        return
    rule: dict[str, Any] = {"minimum": minimum, "tolerance_percent": tolerances.__getitem__, "standing": standing}
    whole = agreement([every[number] for number in sorted(every)], **rule)
    last = None
    for answers in range(1, len(order) + 1):
        answered = [every[number] for number in order[:answers] if number in every]
        if not answered:
            continue
        missing = len(order) - answers
        if found := decision(answered, missing=missing, **rule):
            assert found.is_final or not _contradicts(found, whole, tolerances)
            last = found
    assert last is not None
    assert last.is_final
    assert (last.quote, last.contributors, set(last.excluded)) == (
        whole.quote,
        whole.contributors,
        set(whole.excluded),
    )
