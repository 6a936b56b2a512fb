"""The refusals of requests for locks, which programs tell apart by their codes."""

import enum
from typing import Any


class Code(enum.StrEnum):
    """The codes of refusals, as REST has them."""

    PRICE_UNAVAILABLE = "price-unavailable"
    TOO_MANY_LOCKS = "too-many-locks"
    LOCK_REDEEMED = "lock-redeemed"
    LOCK_RELEASED = "lock-released"
    LOCK_EXPIRED = "lock-expired"
    PRICE_MOVED = "price-moved"
    KEY_REUSED = "idempotency-key-reused"
    STILL_RUNNING = "request-still-running"


class RefusalError(Exception):
    """A request that is refused; the message is for people, and says what to do next.

    `members` are further ones of the answer, such as `reason`; `wait`, in seconds, is when to try again, if known.
    """

    def __init__(self, code: Code, detail: str, *, wait: float | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.wait = wait
        self.members = members
