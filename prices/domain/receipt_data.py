"""Receipts as JSON for clients: by REST, and in signed payloads. Pure; imports no Django.

Amounts are Decimals: REST's encoder writes them as JSON numbers, that of signed payloads as strings.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from infra import formats
from infra.formats import from_ms
from prices.domain.quotes import Metal
from prices.domain.receipts import DecidedBy, Receipt
from prices.domain.source_quotes import SourceQuote

_Amount = Decimal | msgspec.UnsetType
_Text = str | msgspec.UnsetType


class SourceData(msgspec.Struct, frozen=True, kw_only=True):
    """One source's part, for clients; fields without a value are absent."""

    source: str
    used: bool
    excludedBy: _Text = msgspec.UNSET
    rawPrice: _Amount = msgspec.UNSET
    rawCurrency: _Text = msgspec.UNSET
    rawUnit: _Text = msgspec.UNSET
    quotedAt: _Text = msgspec.UNSET
    fetchedAt: _Text = msgspec.UNSET
    exchangeRate: _Amount = msgspec.UNSET
    exchangeRateSource: _Text = msgspec.UNSET
    exchangeRateAsOf: _Text = msgspec.UNSET
    premiumIncluded: _Amount = msgspec.UNSET
    spot: _Amount = msgspec.UNSET
    bid: _Amount = msgspec.UNSET
    ask: _Amount = msgspec.UNSET
    deviationPercent: _Amount = msgspec.UNSET

    @classmethod
    def of(cls, source: SourceQuote) -> "SourceData":
        exchange = source.exchange
        return cls(
            source=source.source,
            used=source.is_used,
            excludedBy=source.excluded_by.value if source.excluded_by else msgspec.UNSET,
            rawPrice=_amount(source.raw_price),
            rawCurrency=source.raw_currency or msgspec.UNSET,
            rawUnit=source.raw_unit.value if source.raw_unit else msgspec.UNSET,
            quotedAt=_time(source.quoted_ms),
            fetchedAt=_time(source.fetched_ms),
            exchangeRate=_amount(exchange.rate if exchange else None),
            exchangeRateSource=exchange.source if exchange else msgspec.UNSET,
            exchangeRateAsOf=_time(exchange.as_of_ms if exchange else None),
            premiumIncluded=_amount(source.included),
            spot=_amount(source.spot),
            bid=_amount(source.bid),
            ask=_amount(source.ask),
            deviationPercent=_amount(source.deviation_percent),
        )


class DecidedByData(msgspec.Struct, frozen=True, kw_only=True):
    """The person behind a price, for clients; `name` for staff alone."""

    decision: str
    role: str
    at: str
    name: _Text = msgspec.UNSET


class ReceiptData(msgspec.Struct, frozen=True, kw_only=True):
    """One metal's receipt, for clients. Null: not kept when the price was published, before there were receipts."""

    price: Decimal
    spot: Decimal
    source: str
    kind: str
    method: str | None
    quotedAt: str
    ageMs: int | None
    freshnessLimitMs: int | None
    stale: bool | None
    premium: Decimal | None
    premiumIncludedBySource: bool
    sources: list[SourceData]
    bid: _Amount = msgspec.UNSET
    ask: _Amount = msgspec.UNSET
    example: bool | msgspec.UnsetType = msgspec.UNSET
    contributors: int | msgspec.UnsetType = msgspec.UNSET
    dispersionPercent: _Amount = msgspec.UNSET
    decidedBy: DecidedByData | msgspec.UnsetType = msgspec.UNSET
    basedOn: int | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, receipt: Receipt, *, with_name: bool = False) -> "ReceiptData":
        """A receipt for clients; `with_name`, for staff, with the name of the person who decided."""
        return cls(
            price=formats.number(receipt.price),
            spot=formats.number(receipt.spot),
            source=receipt.source,
            kind=receipt.kind.value,
            method=receipt.method and receipt.method.value,
            quotedAt=formats.time(from_ms(receipt.quoted_ms)),
            ageMs=receipt.age_ms,
            freshnessLimitMs=receipt.limit_ms,
            stale=None if receipt.limit_ms is None else receipt.is_stale,
            premium=None if receipt.premium is None else formats.number(receipt.premium),
            premiumIncludedBySource=receipt.is_premium_included,
            sources=[SourceData.of(source) for source in receipt.sources],
            bid=_amount(receipt.bid),
            ask=_amount(receipt.ask),
            example=receipt.example or msgspec.UNSET,
            contributors=receipt.contributors or msgspec.UNSET,
            dispersionPercent=_amount(receipt.dispersion_percent),
            decidedBy=_decided_by(receipt.decided_by, with_name=with_name),
            basedOn=msgspec.UNSET if receipt.based_on is None else receipt.based_on,
        )


class PublicationData(msgspec.Struct, frozen=True, kw_only=True):
    """The receipts of a publication, for clients; amounts per gram, each metal's by its name."""

    epoch: str | None
    seq: int
    publishedAt: str
    currency: str
    unit: str
    metals: Mapping[str, ReceiptData]

    @classmethod
    def of(cls, receipts: Iterable[Receipt], *, with_name: bool = False) -> "PublicationData":
        """The receipts, at least one, of one publication. `with_name`: for staff."""
        by_metal = {receipt.metal: receipt for receipt in receipts}
        first = next(iter(by_metal.values()))
        return cls(
            epoch=first.epoch,
            seq=first.seq,
            publishedAt=formats.time(from_ms(first.published_ms)),
            currency=first.currency,
            unit="gram",
            metals={
                metal.value: ReceiptData.of(by_metal[metal], with_name=with_name)
                for metal in Metal
                if metal in by_metal
            },
        )


def _amount(amount: Decimal | None) -> Any:
    return msgspec.UNSET if amount is None else formats.number(amount)


def _time(milliseconds: int | None) -> Any:
    return msgspec.UNSET if milliseconds is None else formats.time(from_ms(milliseconds))


def _decided_by(decided: DecidedBy | None, *, with_name: bool) -> Any:
    if decided is None:
        return msgspec.UNSET
    return DecidedByData(
        decision=decided.decision.value,
        role=decided.role,
        at=formats.time(from_ms(decided.at_ms)),
        name=decided.name if with_name and decided.name else msgspec.UNSET,
    )
