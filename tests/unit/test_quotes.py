"""Quotes: units and purities, amounts that are rejected, and the change since the day before."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain.fineness import PURITIES_OF, WEIGHTS_OF, purity_label, purity_labels
from prices.domain.quotes import LARGEST_PRICE, METAL_NAMES, DayFigures, Metal, PriceKind, PublishedQuote, kind_of
from prices.domain.units import GRAMS_PER_TROY_OUNCE, PRICE_STEP, PURITIES, UNITS, converted, per_gram
from tests.support.measures import (
    CARATS,
    FINE,
    FINENESSES,
    GRAMS,
    PAIRS,
    STEP,
    factor,
    pairs,
    prices,
    prices_halfway,
    published_digits,
)
from tests.support.quotes import NOW, quote

everyday_prices = st.decimals("0.01", "10000000", places=4)


def published(price: str, **day: str | None) -> PublishedQuote:
    """A published quote whose day is its price and nothing else, unless said."""
    given_day = {"open": price, "high": price, "low": price, "previous_close": None} | day
    figures: dict[str, Any] = {name: amount and Decimal(amount) for name, amount in given_day.items()}
    return PublishedQuote(
        seq=1,
        quote=quote(price=price),
        day=DayFigures(**figures),
    )


# --- names ---------------------------------------------------------------------------------------------------------


def test_a_metal_is_known_by_its_name_and_its_iso_code_alone() -> None:
    assert METAL_NAMES == {
        "gold": Metal.GOLD,
        "silver": Metal.SILVER,
        "platinum": Metal.PLATINUM,
        "palladium": Metal.PALLADIUM,
        "XAU": Metal.GOLD,
        "XAG": Metal.SILVER,
        "XPT": Metal.PLATINUM,
        "XPD": Metal.PALLADIUM,
    }


# --- units and purity ----------------------------------------------------------------------------------------------


def test_the_price_per_gram_is_what_goldapi_says_it_is() -> None:
    assert per_gram(Decimal("286877.2")) == Decimal("9223.3162")


@pytest.mark.parametrize(
    ("purity", "per_gram_said"), [("24k", "74.7714"), ("22k", "68.5404"), ("18k", "56.0785"), ("14k", "43.6166")]
)
def test_karats_are_what_goldapi_says_they_are(purity: str, per_gram_said: str) -> None:
    fine = per_gram(Decimal("2325.65"))
    assert abs(converted(fine, purity=purity) - Decimal(per_gram_said)) <= PRICE_STEP


@pytest.mark.parametrize(
    ("unit", "purity", "expected"),
    [
        ("gram", "24k", "9223.3162"),
        ("gram", "999", "9223.3162"),
        ("gram", "995", "9186.3860"),
        ("gram", "916", "8448.5576"),
        ("gram", "22k", "8454.7065"),
        ("gram", "750", "6917.4872"),  # 6917.48715: half to even
        ("gram", "585", "5395.6400"),
        ("gram", "375", "3458.7436"),
        ("8gram", "916", "67588.4611"),
        ("10gram", "24k", "92233.162"),
        ("10gram", "22k", "84547.0652"),
        ("tola", "24k", "107578.9505"),
        ("kg", "24k", "9223316.2"),
        ("troy_ounce", "24k", "286877.2014"),
    ],
)
def test_a_price_is_expressed_per_unit_of_a_purity(unit: str, purity: str, expected: str) -> None:
    assert converted(Decimal("9223.3162"), unit=unit, purity=purity) == Decimal(expected)


@given(prices)
def test_an_ounce_survives_the_way_through_the_gram(per_ounce: Decimal) -> None:
    assert abs(per_gram(per_ounce) * GRAMS_PER_TROY_OUNCE - per_ounce) <= PRICE_STEP / 2 * GRAMS_PER_TROY_OUNCE


def test_units_and_purities_are_what_the_trade_means_by_them() -> None:
    assert (dict(UNITS), dict(PURITIES)) == (GRAMS, FINE)


@pytest.mark.parametrize(
    ("purity", "published"), [("999", "69905"), ("995", "69625"), ("916", "64033"), ("750", "52429"), ("585", "40894")]
)
def test_finenesses_are_what_ibja_publishes_them_at(purity: str, published: str) -> None:
    per_ten = converted(Decimal("6990.5"), unit="10gram", purity=purity)
    assert per_ten.quantize(Decimal(1)) == Decimal(published)


def test_a_metal_has_the_purities_that_are_hallmarked_and_gold_alone_has_carats() -> None:
    for metal, finenesses in FINENESSES.items():
        assert PURITIES_OF[metal] == (*(CARATS if metal is Metal.GOLD else ("24k",)), *finenesses)
    assert {weight for weights in WEIGHTS_OF.values() for weight in weights} <= set(UNITS)


def test_a_label_names_the_fineness_also_where_the_trade_says_carat() -> None:
    labels = purity_labels(Metal.GOLD)
    assert [labels[name] for name in ("24k", "999", "995", "958", "916", "833", "750", "585", "375")] == [
        *("24K · 999", "24K · 999", "995", "23K · 958", "22K · 916", "20K · 833", "18K · 750", "14K · 585", "9K · 375")
    ]
    assert labels["22k"] == "22/24"
    assert set(purity_labels(Metal.SILVER).values()) == set(FINENESSES[Metal.SILVER])
    assert purity_label(Metal.PLATINUM, "24k") == "999"


@given(prices, pairs)
def test_a_conversion_is_right_to_the_last_published_digit(price: Decimal, pair: tuple[str, str]) -> None:
    unit, purity = pair
    shown = converted(price, unit=unit, purity=purity)
    assert shown == published_digits(Fraction(price) * factor(unit, purity))
    assert shown.as_tuple().exponent == -4


def test_the_largest_price_is_converted_to_the_last_digit() -> None:
    for unit, purity in PAIRS:
        exact = Fraction(LARGEST_PRICE) * factor(unit, purity)
        assert converted(LARGEST_PRICE, unit=unit, purity=purity) == published_digits(exact), (unit, purity)


def test_fourteen_karat_of_an_everyday_price_is_rounded_to_the_even_digit() -> None:
    # Exactly 89.11455, which 28 digits of 14/24 put just below it.
    assert converted(Decimal("152.7678"), purity="14k") == Decimal("89.1146")


def test_what_is_halfway_is_rounded_to_the_even_digit() -> None:
    tried = 0
    for unit, purity in PAIRS:
        for price in prices_halfway(unit, purity):
            tried += 1
            shown = Fraction(converted(price, unit=unit, purity=purity))
            assert abs(shown - Fraction(price) * factor(unit, purity)) == STEP / 2
            assert shown / STEP % 2 == 0
    assert tried > 50


@given(prices, pairs)
def test_a_price_comes_back_from_any_unit(price: Decimal, pair: tuple[str, str]) -> None:
    there = Fraction(converted(price, unit=pair[0], purity=pair[1]))
    back = published_digits(there / factor(*pair))
    # A gram of alloy has fewer steps than one of fine metal, and some of them are lost; whatever weighs more has more.
    assert abs(back - price) <= (PRICE_STEP if factor(*pair) < 1 else 0)


@given(prices, prices, pairs)
def test_a_dearer_price_is_dearer_in_any_unit(one: Decimal, other: Decimal, pair: tuple[str, str]) -> None:
    low, high = (converted(price, unit=pair[0], purity=pair[1]) for price in sorted((one, other)))
    assert low <= high
    # Half of the least price, or less, is nothing.
    assert low > 0 or Fraction(min(one, other)) * factor(*pair) <= STEP / 2


@given(st.lists(prices, min_size=3, max_size=3).map(sorted), prices, st.none() | prices, pairs)
def test_a_quote_is_in_order_and_adds_up_in_any_unit(
    in_order: list[Decimal], opened: Decimal, close: Decimal | None, pair: tuple[str, str]
) -> None:
    low, middle, high = in_order
    per_gram_of_fine = PublishedQuote(
        seq=1,
        quote=quote(price=str(middle), bid=str(low), ask=str(high)),
        day=DayFigures(open=opened, high=high, low=low, previous_close=close),
    )
    shown = per_gram_of_fine.in_units(unit=pair[0], purity=pair[1])
    assert shown.quote.bid is not None
    assert shown.quote.ask is not None
    assert shown.quote.bid <= shown.quote.price <= shown.quote.ask
    assert shown.day.low <= shown.quote.price <= shown.day.high
    assert shown.change == (0 if shown.day.previous_close is None else shown.quote.price - shown.day.previous_close)
    # Two figures were rounded, so their difference may be that of a step from the difference converted.
    exact = Fraction(per_gram_of_fine.change) * factor(*pair)
    assert abs(Fraction(shown.change) - exact) <= STEP
    assert shown.change_percent == per_gram_of_fine.change_percent


def test_a_share_is_the_same_in_any_unit_even_where_the_figures_are_coarse() -> None:
    cheap = published("0.0003", previous_close="0.0002").in_units(unit="gram", purity="585")
    assert (cheap.quote.price, cheap.day.previous_close) == (Decimal("0.0002"), Decimal("0.0001"))
    assert (cheap.change, cheap.change_percent) == (Decimal("0.0001"), Decimal("50.00"))


@given(st.sampled_from(["unit", "purity"]), st.text())
def test_an_unknown_unit_or_purity_is_refused(kind: str, name: str) -> None:
    if name not in UNITS and name not in PURITIES:
        with pytest.raises(KeyError):
            converted(Decimal(1), **{kind: name})


def test_a_published_quote_is_converted_with_all_its_amounts() -> None:
    per_gram_of_fine = PublishedQuote(
        seq=7,
        quote=quote(price="100", bid="99", ask="101", open="98"),
        day=DayFigures(open=Decimal(98), high=Decimal(102), low=Decimal(97), previous_close=Decimal(96)),
    )
    per_ten = per_gram_of_fine.in_units(unit="10gram", purity="18k")
    amounts = (per_ten.quote.price, per_ten.quote.bid, per_ten.quote.ask)
    assert amounts == (Decimal(750), Decimal("742.5"), Decimal("757.5"))
    assert per_ten.day == DayFigures(
        open=Decimal(735), high=Decimal(765), low=Decimal("727.5"), previous_close=Decimal(720)
    )
    assert per_ten.change == 30
    assert per_ten.change_percent == per_gram_of_fine.change_percent == Decimal("4.17")
    assert per_gram_of_fine.quote.price == 100


def test_even_a_kilogram_of_the_dearest_metal_has_a_price() -> None:
    assert published(str(LARGEST_PRICE)).in_units(unit="kg", purity="24k").quote.price == LARGEST_PRICE * 1000


# --- quotes --------------------------------------------------------------------------------------------------------


@given(prices)
def test_a_quote_has_the_decimals_that_are_published(price: Decimal) -> None:
    assert quote(price=str(price)).price == price


def test_a_quote_rounds_its_amounts_to_four_decimals() -> None:
    rounded = quote(price="1.00005", bid="0.99995", ask="1.00015")
    assert (rounded.price, rounded.bid, rounded.ask) == (Decimal("1.0000"), Decimal("1.0000"), Decimal("1.0002"))


@pytest.mark.parametrize("name", ["price", "bid", "ask", "open", "high", "low", "previous_close"])
@pytest.mark.parametrize(
    "amount", ["0", "-0", "-1", "NaN", "sNaN", "Infinity", "-Infinity", "100000000000", "1e999999"]
)
def test_a_quote_refuses_an_amount_that_cannot_be(name: str, amount: str) -> None:
    fields: dict[str, Any] = {"price": "1", name: amount}
    with pytest.raises(ValueError, match=name):
        quote(**fields)


def test_a_quote_refuses_a_price_that_rounds_to_nothing() -> None:
    with pytest.raises(ValueError, match="below 0.0001"):
        quote(price="0.00004")


def test_a_quote_refuses_a_bid_above_the_ask() -> None:
    with pytest.raises(ValueError, match="bid 100.0001 is above ask 100.0000"):
        quote(price="100", bid="100.0001", ask="100")


def test_a_quote_refuses_a_time_without_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        quote(at=NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("gold_api_com", PriceKind.LIVE),
        ("fallback", PriceKind.FALLBACK),
        ("simulated", PriceKind.SIMULATED),
        ("live", PriceKind.LIVE),
    ],
)
def test_only_fallback_and_simulated_prices_are_not_live(source: str, kind: PriceKind) -> None:
    assert kind_of(source) is kind
    assert quote(source=source).kind is kind


# --- what has changed since the day before -------------------------------------------------------------------------


def test_without_a_previous_close_nothing_has_changed() -> None:
    first = published("100")
    assert first.change == first.change_percent == 0


@pytest.mark.parametrize(
    ("price", "close", "change", "percent"),
    [
        ("13221.39", "13201.18", "20.21", "0.15"),
        ("99", "100", "-1", "-1.00"),
        ("100", "100", "0.0000", "0.00"),
        ("99.9999", "100", "-0.0001", "0.00"),
        ("99999999999.9999", "0.0001", "99999999999.9998", "99999999999999800.00"),
    ],
)
def test_change_is_against_the_previous_close(price: str, close: str, change: str, percent: str) -> None:
    now = published(price, previous_close=close)
    assert now.change == Decimal(change)
    assert str(now.change_percent) == percent


@given(everyday_prices, everyday_prices)
def test_change_and_its_percentage_agree_in_direction(price: Decimal, close: Decimal) -> None:
    now = published(str(price), previous_close=str(close))
    assert now.change == price - close
    assert now.change_percent * now.change >= 0


def test_metals_have_their_iso_codes() -> None:
    symbols = {metal: quote(metal).metal.symbol for metal in ("gold", "silver", "platinum", "palladium")}
    assert symbols == {"gold": "XAU", "silver": "XAG", "platinum": "XPT", "palladium": "XPD"}


def test_a_quotes_time_may_be_in_any_zone() -> None:
    india = dt.timezone(dt.timedelta(hours=5, minutes=30))
    assert quote(at=NOW.astimezone(india)) == quote(at=NOW)
