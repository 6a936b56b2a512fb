"""A lock, and a refusal, as answers."""

from http import HTTPStatus
from typing import Any, Final

from infra import formats
from infra.rest.problems import CodedError
from locks.models import PriceLock
from locks.refusals import Code, RefusalError
from prices.api.answers import fields
from prices.domain.receipt_data import PublicationData
from prices.domain.receipts import decode
from signing import documents
from signing.documents import Kind

STATUSES: Final = {
    Code.PRICE_UNAVAILABLE: HTTPStatus.CONFLICT,
    Code.TOO_MANY_LOCKS: HTTPStatus.TOO_MANY_REQUESTS,
    Code.LOCK_REDEEMED: HTTPStatus.CONFLICT,
    Code.LOCK_RELEASED: HTTPStatus.CONFLICT,
    Code.LOCK_EXPIRED: HTTPStatus.GONE,
    Code.PRICE_MOVED: HTTPStatus.CONFLICT,
    Code.KEY_REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.STILL_RUNNING: HTTPStatus.CONFLICT,
}


def of(lock: PriceLock) -> dict[str, Any]:
    """The fields of LockSerializer, and what is signed of them."""
    terms = _terms(lock)
    reference = {"reference": lock.reference} if lock.reference else {}
    return {**terms, **reference, "jws": _signed(terms)}


def signed(lock: PriceLock) -> str:
    """The lock as it is now, as a compact JWS."""
    return _signed(_terms(lock))


def _signed(terms: dict[str, Any]) -> str:
    return documents.sign(Kind.LOCK, terms)


def _terms(lock: PriceLock) -> dict[str, Any]:
    """The fields that are signed: not the client's own `reference`, which may name a person."""
    tolerance, quantity = lock.tolerance_percent, lock.quantity
    return {
        "id": str(lock.key),
        "metal": lock.metal,
        "unit": lock.unit,
        "purity": lock.purity,
        "side": lock.side,
        **({} if quantity is None else {"quantity": formats.number(quantity)}),
        "price": formats.number(lock.price),
        "currency": lock.currency,
        "epoch": lock.epoch,
        "seq": lock.seq,
        "issuedAt": formats.time(lock.issued_at),
        "expiresAt": formats.time(lock.expires_at),
        "status": str(lock.status),
        "tolerancePercent": None if tolerance is None else formats.number(tolerance),
        "passesOn": lock.passes_on,
        **_redemption(lock),
    }


def with_receipt(lock: PriceLock) -> dict[str, Any]:
    """The fields of LockSerializer, with the copy of the price's receipt."""
    return {**of(lock), "receipt": fields(PublicationData.of([decode(lock.receipt)]))}


def _redemption(lock: PriceLock) -> dict[str, Any]:
    if lock.redeemed_price is None:
        return {}
    assert lock.ended_at is not None
    return {"redeemedAt": formats.time(lock.ended_at), "redeemedPrice": formats.number(lock.redeemed_price)}


def refused(refusal: RefusalError) -> CodedError:
    """A refusal as REST's error."""
    return CodedError(
        STATUSES[refusal.code], str(refusal), code=refusal.code.value, wait=refusal.wait, members=refusal.members
    )
