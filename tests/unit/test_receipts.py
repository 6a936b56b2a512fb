"""Receipts by themselves: a source's part computes to its spot once more, and a text says what was written into it."""

import datetime as dt
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.formats import from_ms, to_ms
from prices.domain import receipts
from prices.domain.quotes import Metal, Quote
from prices.domain.receipt_data import PublicationData, SourceData
from prices.domain.receipts import DecidedBy, Decision, Method, Receipt
from prices.domain.source_quotes import Exchange, Exclusion, RawUnit, SourceQuote
from prices.providers import fx, gold_api_com, metalpriceapi, metals_dev, swissquote
from tests.support.quotes import NOW

# As docs/api.md says it, and not as our code does.
GRAMS = {"gram": "1", "kg": "1000", "tonne": "1000000", "troy_ounce": "31.1034768"}
RATE = fx.Rate(Decimal("95.960012"), NOW, "frankfurter")
GOLD = Metal.GOLD


def per_gram(part: dict[str, Any]) -> Decimal:
    """A source's price per gram, by a receipt's JSON alone."""
    precise = Context(prec=60)
    raw, unit = Decimal(part["rawPrice"]), part["rawUnit"]
    if unit == "reciprocal_troy_ounce":
        raw, unit = precise.divide(Decimal(1), raw), "troy_ounce"
    amount = precise.divide(precise.multiply(raw, Decimal(part.get("exchangeRate", 1))), Decimal(GRAMS[unit]))
    return amount.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)


def part_of(quote: Quote) -> dict[str, Any]:
    """The part of a quote's one source, as in a signed payload."""
    (part,) = quote.sources
    return dict(msgspec.json.decode(msgspec.json.encode(SourceData.of(part))))


def of_gold_api_com() -> Quote:
    answer = {
        "symbol": "XAU",
        "currency": "INR",
        "price": Decimal("411231.201172"),
        "updatedAt": "2026-09-24T07:59:00Z",
    }
    return gold_api_com.parse(answer, metal=GOLD, currency="INR", now=NOW)


def of_metals_dev(unit: str, price: str) -> Quote:
    answer = {
        "status": "success",
        "currency": "INR",
        "unit": unit,
        "metals": {"gold": Decimal(price)},
        "timestamps": {"metal": "2026-09-24T07:59:00.000Z"},
    }
    found = metals_dev.parse(answer, metals=[GOLD], currency="INR", now=NOW)[GOLD]
    assert isinstance(found, Quote)
    return found


def of_metalpriceapi(name: str, rate: str) -> Quote:
    answer = {"success": True, "base": "INR", "timestamp": Decimal(1790236740), "rates": {name: Decimal(rate)}}
    found = metalpriceapi.parse(answer, metals=[GOLD], currency="INR", now=NOW)[GOLD]
    assert isinstance(found, Quote)
    return found


def of_swissquote(bid: str, ask: str, rate: fx.Rate = RATE) -> Quote:
    offer = {"bid": Decimal(bid), "ask": Decimal(ask)}
    answer = [{"ts": Decimal(to_ms(NOW)), "spreadProfilePrices": [offer]}]
    return swissquote.parse(answer, metal=GOLD, currency="INR", rate=rate, now=NOW)


@pytest.mark.parametrize(
    ("quote", "raw"),
    [
        (of_gold_api_com(), ("411231.201172", "INR", "troy_ounce")),
        (of_metals_dev("g", "13221.39"), ("13221.39", "INR", "gram")),
        (of_metals_dev("kg", "13221390.00725"), ("13221390.00725", "INR", "kg")),
        (of_metals_dev("mt", "13221390007.25"), ("13221390007.25", "INR", "tonne")),
        (of_metalpriceapi("INRXAU", "411231.2"), ("411231.2", "INR", "troy_ounce")),
        (of_metalpriceapi("XAU", "0.0000024317"), ("0.0000024317", "INR", "reciprocal_troy_ounce")),
        (of_swissquote("4285.049", "4285.711"), ("4285.38", "USD", "troy_ounce")),
    ],
    ids=["an ounce", "a gram", "a kilogram", "a tonne", "a pair", "a reciprocal", "dollars"],
)
def test_a_sources_raw_price_computes_to_its_quote(quote: Quote, raw: tuple[str, str, str]) -> None:
    part = part_of(quote)
    assert (part["rawPrice"], part["rawCurrency"], part["rawUnit"]) == raw
    assert per_gram(part) == Decimal(part["spot"]) == quote.price
    assert part["used"] is True


def test_a_rate_of_exchange_says_whose_it_is_and_of_when() -> None:
    part = part_of(of_swissquote("4285.049", "4285.711"))
    assert (part["exchangeRate"], part["exchangeRateSource"]) == ("95.960012", "frankfurter")
    assert part["exchangeRateAsOf"] == "2026-09-24T08:00:00.000Z"
    in_dollars = part_of(of_swissquote("4285.049", "4285.711", fx.Rate(Decimal(1), NOW, "par")))
    assert "exchangeRate" not in in_dollars


@given(st.decimals("100", "100000", places=3), st.decimals("0", "1", places=3), st.decimals("0.5", "20000", places=6))
def test_any_price_in_dollars_computes_to_its_quote(bid: Decimal, spread: Decimal, rate: Decimal) -> None:
    quote = of_swissquote(str(bid), str(bid + spread), fx.Rate(rate, NOW, "frankfurter"))
    assert per_gram(part_of(quote)) == quote.price


# --- the text -------------------------------------------------------------------------------------------------------

AMOUNTS = st.decimals("0.0001", "99999999", places=4)
PARTS = st.builds(
    SourceQuote,
    source=st.sampled_from(["gold_api_com", "swissquote"]),
    excluded_by=st.none() | st.sampled_from(Exclusion),
    spot=st.none() | AMOUNTS,
    quoted_ms=st.none() | st.integers(0, 2**42),
    raw_unit=st.none() | st.sampled_from(RawUnit),
    exchange=st.none() | st.builds(Exchange, AMOUNTS, st.just("frankfurter"), st.integers(0, 2**42)),
)
RECEIPTS = st.builds(
    Receipt,
    metal=st.sampled_from(Metal),
    currency=st.just("INR"),
    **dict.fromkeys(("price", "spot", "open", "high", "low"), AMOUNTS),
    bid=st.none(),
    ask=st.none(),
    premium=st.none() | AMOUNTS,
    dispersion_percent=st.none() | AMOUNTS,
    previous_close=st.none() | AMOUNTS,
    method=st.none() | st.sampled_from(Method),
    sources=st.lists(PARTS, max_size=3).map(tuple),
    decided_by=st.none() | st.builds(DecidedBy, st.sampled_from(Decision), st.text(), st.text(), st.integers(0, 2**42)),
)


@given(RECEIPTS)
def test_a_text_says_what_was_written_into_it(receipt: Receipt) -> None:
    assert receipts.decode(receipts.encode(receipt)) == receipt
    assert receipts.decode_all(receipts.encode_all([receipt, receipt])) == (receipt, receipt)
    assert receipts.decode_sources(receipts.encode_sources(receipt.sources)) == receipt.sources


@given(RECEIPTS)
def test_a_text_from_before_a_field_was_added_can_be_read(receipt: Receipt) -> None:
    older = msgspec.json.encode(msgspec.json.decode(receipts.encode(receipt))[:21]).decode()
    read = receipts.decode(older)
    assert (read.price, read.sources, read.decided_by) == (receipt.price, receipt.sources, None)


@given(RECEIPTS, st.datetimes(timezones=st.just(dt.UTC)))
def test_a_persons_name_is_never_in_what_the_public_reads(receipt: Receipt, at: dt.datetime) -> None:
    named = DecidedBy(Decision.APPROVED, "Approver", "a name that is nowhere else", to_ms(at))
    decided = msgspec.structs.replace(receipt, decided_by=named, published_ms=0, quoted_ms=0)
    public, of_staff = (msgspec.json.encode(PublicationData.of([decided], with_name=name)) for name in (False, True))
    assert b"nowhere else" not in public
    assert b"Approver" in public
    assert b"nowhere else" in of_staff
    assert from_ms(to_ms(at)) == at.replace(microsecond=at.microsecond // 1000 * 1000)
