"""Examples for the API's page."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

from infra.rest.problems import CONTENT_TYPE, problem

_LOCK: Final[dict[str, Any]] = {
    "id": "6f1b2c9e-0d6a-4a53-9d0f-1c8a4f5e7b21",
    "metal": "gold",
    "unit": "gram",
    "purity": "916",
    "side": "sell",
    "quantity": 8.25,
    "reference": "order 4711",
    "price": 12111.81,
    "currency": "INR",
    "epoch": "q7Vb2xWk",
    "seq": 18231,
    "issuedAt": "2026-09-24T08:00:00.000Z",
    "expiresAt": "2026-09-24T08:07:00.000Z",
    "status": "held",
    "tolerancePercent": None,
    "passesOn": False,
    "jws": "eyJhbGciOiJFZDI1NTE5Iiwia2lkIjoi….eyJpc3MiOiJzd2FybmEi….1Yh0…",
}
_DONE: Final = {
    **_LOCK,
    "status": "redeemed",
    "redeemedAt": "2026-09-24T08:03:12.004Z",
    "redeemedPrice": 12111.81,
}


def _answer(name: str, value: Any, status: str = "200") -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True, status_codes=[status])


def _refusal(name: str, status: int, detail: str, code: str, **members: Any) -> OpenApiExample:
    value = problem(status, detail, members={"code": code, **members})
    return OpenApiExample(name, value, response_only=True, status_codes=[str(status)], media_type=CONTENT_TYPE)


WANTED: Final = OpenApiExample(
    "8.25 g of 22K gold for a customer",
    {"metal": "gold", "unit": "gram", "purity": "916", "side": "sell", "quantity": 8.25, "reference": "order 4711"},
    request_only=True,
)
GRANTED: Final = _answer("A lock", _LOCK, "201")
LOCK: Final = _answer("A lock", _LOCK)
LOCKS: Final = _answer("Locks", {"data": [_LOCK], "next": None})
REDEEMED: Final = _answer("Redeemed", _DONE)
UNAVAILABLE: Final = _refusal(
    "A stale price",
    409,
    "The price of Gold is stale. Try again once there is a newer one.",
    "price-unavailable",
    reason="stale",
)
TOO_MANY: Final = _refusal(
    "Too many locks",
    429,
    "You hold 20 locks, as many as you may. Redeem or release one.",
    "too-many-locks",
    reason="held",
)
REUSED: Final = _refusal(
    "Another body",
    422,
    "This Idempotency-Key was sent here with another body. Send a new key with this one.",
    "idempotency-key-reused",
)
REDEEMED_ALREADY: Final = _refusal(
    "Redeemed already", 409, "This lock has been redeemed. Lock a price anew.", "lock-redeemed"
)
MOVED: Final = _refusal(
    "The market has moved",
    409,
    "The market has moved by more than 1 %. The lock stays: lock the new price, or try again with another "
    "Idempotency-Key before it expires.",
    "price-moved",
    newPrice=12262.5,
)
EXPIRED: Final = _refusal("Expired", 410, "This lock has expired. Lock a price anew.", "lock-expired")
