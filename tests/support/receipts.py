"""Receipts made by hand, for tests, and the script of docs/examples that recomputes prices from receipts."""

import datetime as dt
import importlib.util
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from pytest_django import Settings

from infra.formats import to_ms
from prices.domain.quotes import Metal
from prices.domain.receipt_data import PublicationData
from prices.domain.receipts import Method, Receipt
from prices.domain.source_quotes import Exchange, Exclusion, RawUnit, SourceQuote
from prices.models import Price
from prices.models import Receipt as ReceiptRow
from tests.support.product import ROOT
from tests.support.quotes import NOW

SCRIPT = ROOT / "docs/examples/recompute.py"
_spec = importlib.util.spec_from_file_location("recompute", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
recompute = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(recompute)

SECOND = dt.timedelta(seconds=1)


def part(source: str, raw: str, spot: str, **changes: Any) -> SourceQuote:
    """A source's part: a price in rupees per troy ounce, quoted 40 s ago and fetched a second ago."""
    usual: dict[str, Any] = {
        "quoted_ms": to_ms(NOW - 40 * SECOND),
        "fetched_ms": to_ms(NOW - SECOND),
        "raw_currency": "INR",
        "raw_unit": RawUnit.TROY_OUNCE,
    }
    return SourceQuote(source=source, raw_price=Decimal(raw), spot=Decimal(spot), **usual | changes)


# Of gold: three that agree, and one that does not; and one without a price.
GOLD_API = part("gold_api_com", "286877.2", "9223.3161", deviation_percent=Decimal("-0.0054"))
METALS_DEV = part("metals_dev", "9223.8162", "9223.8162", raw_unit=RawUnit.GRAM, deviation_percent=Decimal("0"))
SWISSQUOTE = part(
    "swissquote",
    "2989.95",
    "9224.5508",
    raw_currency="USD",
    exchange=Exchange(Decimal("95.96"), "frankfurter", to_ms(NOW - dt.timedelta(hours=18))),
    deviation_percent=Decimal("0.0080"),
)
GOLDAPI_IO = part(
    "goldapi_io", "293500", "9436.2443", deviation_percent=Decimal("2.3029"), excluded_by=Exclusion.TOLERANCE
)
METALPRICEAPI = SourceQuote(source="metalpriceapi", excluded_by=Exclusion.ERROR, fetched_ms=to_ms(NOW - SECOND))


def receipt(**changes: Any) -> Receipt:
    """A receipt of gold, on which three of five sources agreed, with a premium of 6 %."""
    usual: dict[str, Any] = {
        "metal": Metal.GOLD,
        "currency": "INR",
        "epoch": "epoch",
        "seq": 1,
        "published_ms": to_ms(NOW),
        "price": Decimal("9777.2452"),
        "spot": Decimal("9223.8162"),
        "bid": None,
        "ask": None,
        "open": Decimal("9777.2452"),
        "high": Decimal("9777.2452"),
        "low": Decimal("9777.2452"),
        "previous_close": None,
        "source": "consensus",
        "quoted_ms": to_ms(NOW - 40 * SECOND),
        "method": Method.CONSENSUS,
        "premium": Decimal("1.06"),
        "is_premium_included": False,
        "age_ms": 40_000,
        "limit_ms": 300_000,
        "sources": (GOLD_API, METALS_DEV, SWISSQUOTE, GOLDAPI_IO, METALPRICEAPI),
    }
    return Receipt(**usual | changes)


def recomputed(publication: PublicationData | bytes | str) -> dict[str, Decimal]:
    """The prices of a publication's receipt, as JSON, once more by the script. Raises ValueError where one differs."""
    text = msgspec.json.encode(publication) if isinstance(publication, PublicationData) else publication
    found: dict[str, Decimal] = recompute.recompute(recompute.parse(text))
    return found


@pytest.fixture
def each_price_recomputes(db: None, settings: Settings) -> Iterator[None]:
    """Expect, after a test, that the script makes each published price once more of its receipt."""
    yield
    receipts: dict[int, list[Receipt]] = {}
    for row in ReceiptRow.objects.all():
        receipts.setdefault(row.seq, []).append(row.value())
    published: dict[int, dict[str, Decimal]] = {}
    for tick in Price.objects.filter(seq__isnull=False):
        assert tick.seq is not None
        published.setdefault(tick.seq, {})[tick.metal_id] = tick.price
    assert {seq: recomputed(PublicationData.of(found)) for seq, found in receipts.items()} == published
