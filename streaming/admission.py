"""The admission of a client, the same on every transport: descriptors, connections of one address, credentials."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from infra import addresses
from streaming.auth import Authenticator, End, Identity, RejectedError
from streaming.engine.descriptors import OUT_OF_DESCRIPTORS
from streaming.engine.reasons import RejectReason
from streaming.limits import ConnectionLimiter
from streaming.metrics import Metrics
from streaming.protocol import Close

FULL = "No room for another connection now. Come back later, and after a longer time whenever this is the answer."
_TOO_MANY = "Your address has as many connections as one may have: {}. Close one, or come back later."


class Gate:
    """Admits the clients of one process, by whichever transport they come. (The hub limits their number.)"""

    def __init__(self, auth: Authenticator, limiter: ConnectionLimiter, metrics: Metrics) -> None:
        self.auth = auth
        self.limiter = limiter
        self.metrics = metrics

    async def admit(self, scope: Mapping[str, Any], end: End, *, public: bool = False) -> "Guest":
        """Admit a client until `Guest.leave`, and call `end` if its credential becomes invalid before that.

        Waits only if a credential is presented; none has to be for what is `public`. Raises RejectedError, which has
        been counted.
        """
        if OUT_OF_DESCRIPTORS in scope.get("extensions", ()):
            raise self._rejected(RejectReason.DESCRIPTORS, Close.AT_CAPACITY, FULL)
        counted: str | None = None
        if self.limiter.limit and (address := addresses.of_scope(scope, settings.TRUSTED_PROXIES)):
            counted = addresses.client_key(address)
            if not self.limiter.acquire(counted):
                too_many = _TOO_MANY.format(self.limiter.limit)
                raise self._rejected(RejectReason.PER_IP, Close.AT_CAPACITY, too_many)
        guest = Guest(self, counted, end)
        try:
            guest.identity = await self.auth.identify(scope, public=public)
        except RejectedError as rejected:
            guest.leave()
            self.metrics.refused(RejectReason[rejected.close.name])
            raise
        except BaseException:
            guest.leave()
            raise
        if guest.identity is not None:
            self.auth.watch(guest.identity, end)
        return guest

    def _rejected(self, reason: RejectReason, close: Close, detail: str) -> RejectedError:
        self.metrics.refused(reason)
        return RejectedError(close, detail)


class Guest:
    """A client that was admitted; `identity` is None for an anonymous one."""

    __slots__ = ("_counted", "_end", "_gate", "identity")

    def __init__(self, gate: Gate, counted: str | None, end: End) -> None:
        self.identity: Identity | None = None
        self._gate = gate
        self._counted = counted  # the address, as the limiter counts it
        self._end = end

    def leave(self) -> None:
        """Give up its place, once."""
        self._gate.auth.forget(self.identity, self._end)
        if self._counted is not None:
            self._gate.limiter.release(self._counted)
