"""A receipt in words and figures, as its page shows it to people."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.formats import to_ms
from prices.domain.quotes import Metal
from prices.domain.receipt_data import PublicationData
from prices.domain.receipts import DecidedBy, Decision, Method, Receipt
from prices.domain.source_quotes import Exchange, Exclusion, RawUnit, SourceQuote
from prices.domain.units import per_gram, rounded
from prices.why import calculation
from prices.why.words import COLUMNS, story
from tests.support.quotes import NOW
from tests.support.receipts import GOLD_API, METALPRICEAPI, part, receipt, recomputed

FIRST: dict[str, Any] = {
    "source": "gold_api_com",
    "method": Method.FIRST,
    "sources": (GOLD_API,),
    "spot": Decimal("9223.3161"),
    "price": Decimal("9776.7151"),
}
NO_PREMIUM: dict[str, Any] = {"premium": Decimal(1), "price": Decimal("9223.3161")}
FALLBACK: dict[str, Any] = {
    "source": "fallback",
    "method": Method.FALLBACK,
    "sources": (part("fallback", "9000", "9000", raw_unit=RawUnit.GRAM),),
    "spot": Decimal(9000),
    "price": Decimal(9000),
    "premium": Decimal(1),
}
ASHA = DecidedBy(Decision.APPROVED, "approver", "asha", to_ms(NOW - dt.timedelta(seconds=5)))

ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "some of the sources agreed": (
        {},
        "Three of five sources agreed on 9,223.8162 INR per gram, the median of their prices; with a premium of 6 % "
        "that was 9,777.2452. goldapi.io was left out, being too far from the median (+2.30 %). metalpriceapi gave no "
        "price.",
    ),
    "the first source": (
        FIRST,
        "gold-api.com quoted 9,223.3161 INR per gram at 13:29:20: the first source, in staff's order, with a price to "
        "show; with a premium of 6 % that was 9,776.7151.",
    ),
    "the next source, and no premium": (
        FIRST | NO_PREMIUM | {"sources": (GOLD_API, METALPRICEAPI)},
        "gold-api.com quoted 9,223.3161 INR per gram at 13:29:20: the first source, in staff's order, with a price to "
        "show; no premium was on it. metalpriceapi gave no price.",
    ),
    "a source that includes its premium": (
        FIRST | {"is_premium_included": True},
        "gold-api.com quoted 9,223.3161 INR per gram at 13:29:20: the first source, in staff's order, with a price to "
        "show; its own price, 9,776.7151, includes a premium.",
    ),
    "a stale price": (
        FIRST | NO_PREMIUM | {"age_ms": 900_000},
        "gold-api.com quoted 9,223.3161 INR per gram at 13:29:20: the first source, in staff's order, with a price to "
        "show; no premium was on it. It was shown as stale: 15 min old, stale by the limit of 5 min.",
    ),
    "a price that staff approved": (
        FIRST | NO_PREMIUM | {"method": Method.APPROVED, "decided_by": ASHA},
        "A price of 9,223.3161 INR per gram by gold-api.com, quoted at 13:29:20, was kept back until staff approved "
        "it; no premium was on it. A member of staff (approver) approved this price at 13:29:55.",
    ),
    "a price that was confirmed": (
        FIRST | NO_PREMIUM | {"method": Method.CONFIRMED},
        "A price of 9,223.3161 INR per gram by gold-api.com, quoted at 13:29:20, was kept back until another quote "
        "confirmed it; no premium was on it.",
    ),
    "another premium": (
        {"method": Method.PREMIUM, "sources": (SourceQuote(source="consensus", spot=Decimal("9223.8162")),)},
        "The premium changed, so a price of 9,223.8162 INR per gram by the sources that agreed, quoted at 13:29:20, "
        "was shown anew; with a premium of 6 % that was 9,777.2452.",
    ),
    "staff's fallback": (
        FALLBACK,
        "No source had confirmed a price, so screens showed the one that staff had set, 9,000 INR per gram.",
    ),
    "an example": (
        FALLBACK | {"example": True},
        "No source had confirmed a price, so screens showed an example, 9,000 INR per gram.",
    ),
    "a price that is shown again": (
        FIRST | NO_PREMIUM | {"method": Method.RESTORED},
        "A price of 9,223.3161 INR per gram by gold-api.com, quoted at 13:29:20, was shown again, as a fallback had "
        "ended, or history had brought its previous close; no premium was on it.",
    ),
    "a made-up market": (
        FIRST | NO_PREMIUM | {"source": "simulated", "method": Method.SIMULATED},
        "A simulated market made up 9,223.3161 INR per gram; no premium was on it.",
    ),
    "before receipts": (
        FIRST | dict.fromkeys(("method", "premium", "age_ms", "limit_ms", "epoch")) | {"sources": ()},
        "The price was 9,223.3161 INR per gram by gold-api.com, quoted at 13:29:20, from before receipts were kept; "
        "with a premium that was 9,776.7151.",
    ),
}


@pytest.mark.parametrize(("changes", "answer"), ANSWERS.values(), ids=list(ANSWERS))
def test_each_way_to_a_price_is_told_in_plain_words(changes: dict[str, Any], answer: str) -> None:
    assert story(receipt(**changes)).answer == answer


def test_every_method_has_its_words() -> None:
    told = {receipt(**changes).method for changes, _ in ANSWERS.values()}
    assert told == {*Method, None}


def test_a_fallback_an_example_and_a_made_up_price_are_said_to_be_that_before_all() -> None:
    def said(**changes: Any) -> tuple[str, bool]:
        its = story(receipt(**changes))
        return its.label, bool(its.warning)

    assert said() == ("Live", False)
    assert said(age_ms=900_000) == ("Stale", False)
    assert said(**FALLBACK) == ("Fallback", True)
    assert said(**FALLBACK, example=True) == ("Example", True)
    assert said(source="simulated") == ("Simulated", True)
    saturday = to_ms(NOW + dt.timedelta(days=2))
    assert said(published_ms=saturday, quoted_ms=to_ms(NOW + dt.timedelta(days=1)), age_ms=0) == ("Last close", False)


def test_the_name_of_who_decided_is_for_staff_alone() -> None:
    decided = receipt(**FIRST, decided_by=ASHA)
    assert "asha" not in f"{story(decided)}"
    named = story(decided, with_name=True)
    assert "asha (approver) approved this price at 13:29:55." in named.answer
    assert ("Decided", "asha (approver) approved this price at 13:29:55") in named.facts


def test_a_moment_after_the_publication_is_told_with_the_age_of_then() -> None:
    later = receipt(**FIRST | NO_PREMIUM)
    assert story(later, at=NOW + dt.timedelta(minutes=1)).answer.endswith(
        "At 13:31:00 it was still the newest, 100 s old."
    )
    assert story(later, at=NOW + dt.timedelta(minutes=20)).answer.endswith(
        "At 13:50:00 it was still the newest, 21 min old, and so was stale."
    )


def test_sources_are_side_by_side_with_all_that_is_known_of_each() -> None:
    rows = {row.name: dict(row.cells) for row in story(receipt()).sources}
    assert rows["swissquote"] == {
        "It said": "2,989.95 USD per troy ounce",
        "Quoted": "13:29:20",
        "Fetched": "13:29:59",
        "Exchange rate": "95.96 INR for 1 USD, by frankfurter as of 2026-09-23 19:30:00",
        "Spot per gram": "9,224.5508",
        "From the median": "+0.01 %",
        "Counted": "yes",
    }
    assert rows["goldapi.io"]["Counted"] == "no: too far from the median"
    assert rows["metalpriceapi"] == dict.fromkeys(COLUMNS[1:], "—") | {
        "Fetched": "13:29:59",
        "Counted": "no: it gave no price",
    }
    assert [row.is_used for row in story(receipt()).sources] == [True, True, True, False, False]


@pytest.mark.parametrize("rule", Exclusion)
def test_every_rule_that_excludes_a_source_has_its_words(rule: Exclusion) -> None:
    excluded = story(receipt(sources=(GOLD_API, part("metals_dev", "1", "1", excluded_by=rule))))
    assert "metals.dev" in excluded.answer
    assert excluded.sources[1].texts[-1].startswith("no: ")


def test_the_figures_lead_a_person_with_a_calculator_to_the_price() -> None:
    assert [(step.of, step.sum, step.exact, step.rounded) for step in story(receipt()).steps] == [
        ("gold-api.com", "286877.2 ÷ 31.1034768", "9223.31615351…", "9223.3161"),
        ("metals.dev", "9223.8162", "", ""),
        ("swissquote", "2989.95 × 95.96 ÷ 31.1034768", "9224.55080648…", "9224.5508"),
        ("The median of 9223.3161, 9223.8162, 9224.5508", "9223.8162", "", ""),
        ("With the premium", "9223.8162 × 1.06", "9777.245172", "9777.2452"),
    ]


def test_a_median_of_two_is_their_mean_and_a_reciprocal_is_turned_round() -> None:
    turned = part("metalpriceapi", "0.0000034858", "9223.3480", raw_unit=RawUnit.RECIPROCAL_TROY_OUNCE)
    steps = story(receipt(sources=(GOLD_API, turned), spot=Decimal("9223.332"))).steps
    assert [step.sum for step in steps[1:3]] == [
        "1 ÷ 0.0000034858 ÷ 31.1034768",
        "(9223.3161 + 9223.348) ÷ 2",
    ]
    assert steps[2].rounded == "9223.332"


amounts = st.decimals("100", "999999", places=2)
premiums = st.sampled_from([Decimal(1), Decimal("1.06"), Decimal("1.1575"), Decimal("0.97")])
rates = st.sampled_from([None, Decimal("95.96"), Decimal("0.011937")])


@st.composite
def consistent_receipts(draw: st.DrawFn) -> Receipt:
    """Receipts of one to four sources, as the product's own arithmetic makes them."""
    parts = []
    for number in range(draw(st.integers(1, 4))):
        raw, rate, unit = draw(amounts), draw(rates), draw(st.sampled_from([RawUnit.GRAM, RawUnit.TROY_OUNCE]))
        grams = Decimal(1) if unit is RawUnit.GRAM else Decimal("31.1034768")
        exchange = None if rate is None else Exchange(rate, "frankfurter", 0)
        spot = per_gram(raw, grams, exchange_rate=rate or Decimal(1))
        parts.append(part(f"source_{number}", f"{raw}", f"{spot}", raw_unit=unit, exchange=exchange))
    spots = sorted(each.spot for each in parts if each.spot)
    middle = len(spots) // 2
    spot = rounded(spots[middle] if len(spots) % 2 else (spots[middle - 1] + spots[middle]) / 2)
    premium = draw(premiums)
    return receipt(
        metal=draw(st.sampled_from(Metal)),
        sources=tuple(parts),
        spot=spot,
        premium=premium,
        price=rounded(spot * premium),
        method=Method.CONSENSUS if len(parts) > 1 else Method.FIRST,
    )


@given(consistent_receipts())
def test_page_and_script_come_to_the_published_price(made: Receipt) -> None:
    last = calculation.steps(made)[-1]
    assert Decimal(last.rounded or last.exact or last.sum) == made.price
    assert recomputed(PublicationData.of([made])) == {made.metal.value: made.price}


@pytest.mark.parametrize(
    "damage",
    [
        {"price": Decimal("9777.2453")},
        {"spot": Decimal("9223.8163")},
        {"premium": Decimal("1.0600001")},
        {"sources": (part("gold_api_com", "286877.3", "9223.3161"),)},
    ],
    ids=["price", "spot", "premium", "raw price"],
)
def test_the_script_notices_a_figure_that_the_others_do_not_make(damage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="in the receipt, and its figures make"):
        recomputed(PublicationData.of([receipt(**damage)]))
