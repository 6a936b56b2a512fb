"""A lock from its grant to its end.

Each function is one step, in a transaction of its caller: whatever ends the process, all of a step is done or nothing.
Catch RefusalError within that transaction, and commit: what a refused step has stored, such as that the lock was found
expired, has to stay.
"""

import datetime as dt
from collections.abc import Container
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from infra import clock, database_clock
from locks import rules
from locks.metrics import counts
from locks.models import LockSettings, PriceLock
from locks.refusals import Code, RefusalError
from locks.rules import Reason, Side
from prices.domain.quotes import LARGEST_PRICE, Metal, PriceKind, PublishedQuote, usual_kind
from prices.domain.receipts import encode
from prices.models import FallbackPrice, ListedMetal
from prices.publishing import receipts, snapshot
from prices.publishing.snapshot import Snapshot

_HOUR: Final = dt.timedelta(hours=1)
_DETAILS: Final = {
    Reason.OFF: "{metal} is switched off. GET metals/ lists the metals that are not.",
    Reason.DOWN: "There is no price of {metal} now. Try again once prices/ has one.",
    Reason.SIMULATED: "The price of {metal} is simulated, and no market's. Only a demo locks such prices.",
    Reason.FALLBACK: "The price of {metal} is a fallback, which is not locked. Try again once a source gives one.",
    Reason.QUARANTINED: "A newer price of {metal} waits for staff's decision. Try again once they have decided.",
    Reason.STALE: "The price of {metal} is stale. Try again once there is a newer one.",
}


class TooLargeError(ValueError):
    """A price per unit that has more digits than every database keeps exactly."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The lock that a client wants; `quantity` is in units."""

    metal: Metal
    unit: str
    purity: str
    side: Side
    quantity: Decimal | None = None
    reference: str = ""


def grant(wanted: Wanted, *, user: User, known_stale: Container[Metal] = ()) -> PriceLock:
    """Lock a current price for a user.

    The stream is locked until the transaction ends, so that no publication comes between the price and the lock.
    `known_stale` are metals that this process knows to be stale, whatever the wall clock says. Raises RefusalError, and
    TooLargeError.
    """
    policy = LockSettings.load()
    if not policy.enabled:
        raise _refused(Code.PRICE_UNAVAILABLE, "Locks are switched off.", Reason.OFF)
    _expect_room(user, policy)
    current = snapshot.locked()
    published = _lockable(current, wanted.metal, known_stale, allows_fallback=policy.allows_fallback)
    if isinstance(published, Reason):
        detail = _DETAILS[published].format(metal=wanted.metal.capitalize())
        raise _refused(Code.PRICE_UNAVAILABLE, detail, published)
    price = rules.price_for(published, wanted.side, unit=wanted.unit, purity=wanted.purity)
    if price > LARGEST_PRICE:
        raise TooLargeError(f"{price:,} is too large")
    receipt = receipts.current(wanted.metal)
    assert receipt is not None
    # As clients see them, so that `expiresAt` is the very moment.
    issued_at = _to_the_millisecond(database_clock.now())
    lock = PriceLock.objects.create(
        user=user,
        metal=wanted.metal,
        unit=wanted.unit,
        purity=wanted.purity,
        side=wanted.side,
        quantity=wanted.quantity,
        reference=wanted.reference,
        currency=published.quote.currency,
        price=price,
        epoch=current.position.epoch,
        seq=current.position.seq,
        issued_at=issued_at,
        expires_at=issued_at + dt.timedelta(seconds=policy.ttl_seconds),
        receipt=encode(receipt),
        tolerance_percent=policy.tolerance_percent,
        passes_on=policy.passes_on,
    )
    transaction.on_commit(counts.granted)
    return lock


def redeem(key: Any, *, user: User, known_stale: Container[Metal] = ()) -> PriceLock:
    """Redeem a user's lock, once. Raises PriceLock.DoesNotExist, also for another's, and RefusalError.

    A lock that has expired is marked as such, before the refusal is raised.
    """
    lock = _locked(user=user, key=key)
    now = database_clock.now()
    _settle(lock, now)
    _expect_held(lock)
    price: Decimal | None = lock.price
    if lock.tolerance_percent is not None or lock.passes_on:
        current = _current_price(lock, known_stale)
        price = rules.redeemed_price(
            Side(lock.side),
            lock.price,
            current,
            tolerance_percent=lock.tolerance_percent,
            passes_on=lock.passes_on,
        )
        if price is None:
            raise RefusalError(
                Code.PRICE_MOVED,
                f"The market has moved by more than {lock.tolerance_percent} %. The lock stays: lock the new price, or "
                "try again with another Idempotency-Key before it expires.",
                newPrice=current,
            )
    _end(lock, PriceLock.Status.REDEEMED, now, redeemed_price=price)
    transaction.on_commit(counts.redeemed)
    return lock


def release(**which: Any) -> PriceLock:
    """Release a lock, by its user or by staff. Raises PriceLock.DoesNotExist, and RefusalError for a redeemed one.

    One that has ended otherwise stays as it is.
    """
    lock = _locked(**which)
    now = database_clock.now()
    _settle(lock, now)
    if lock.status == PriceLock.Status.REDEEMED:
        _expect_held(lock)
    if lock.status == PriceLock.Status.HELD:
        _end(lock, PriceLock.Status.RELEASED, now)
    return lock


def of(user: User) -> QuerySet[PriceLock]:
    """A user's locks, newest first."""
    return PriceLock.objects.filter(user=user)


def settle(**which: Any) -> None:
    """Mark those of these locks that have expired, before anybody is shown them.

    A lock once seen expired stays so, even when the database's clock steps back.
    """
    now = database_clock.now()
    over = PriceLock.objects.filter(PriceLock.over(now), status=PriceLock.Status.HELD, **which)
    if over.exists():
        with transaction.atomic():
            # In the order in which staff release several: else each could wait for the other.
            keys = list(over.select_for_update().order_by("pk").values_list("pk", flat=True))
            PriceLock.objects.filter(pk__in=keys).update(status=PriceLock.Status.EXPIRED, ended_at=now)


def _settle(lock: PriceLock, now: dt.datetime) -> None:
    """Mark a lock, whose row is locked, if it has expired."""
    if lock.status == PriceLock.Status.HELD and lock.is_over(now):
        lock.status, lock.ended_at = PriceLock.Status.EXPIRED, now
        # Not by save(), which would tell the audit of a change by the staff who meant to release it.
        PriceLock.objects.filter(pk=lock.pk).update(status=lock.status, ended_at=now)


def _end(lock: PriceLock, status: PriceLock.Status, now: dt.datetime, *, redeemed_price: Decimal | None = None) -> None:
    """Store the end of a held lock, whose row is locked."""
    lock.status, lock.ended_at, lock.redeemed_price = status, now, redeemed_price
    lock.save(update_fields=["status", "ended_at", "redeemed_price"])


def _locked(**which: Any) -> PriceLock:
    """A lock, whose row nobody else changes until the transaction ends."""
    return PriceLock.objects.select_for_update().get(**which)


def _expect_held(lock: PriceLock) -> None:
    """Raise RefusalError for a lock that has ended."""
    match lock.status:
        case PriceLock.Status.REDEEMED:
            raise RefusalError(Code.LOCK_REDEEMED, "This lock has been redeemed. Lock a price anew.")
        case PriceLock.Status.RELEASED:
            raise RefusalError(Code.LOCK_RELEASED, "This lock was released. Lock a price anew.")
        case PriceLock.Status.EXPIRED:
            raise RefusalError(Code.LOCK_EXPIRED, "This lock has expired. Lock a price anew.")


def _expect_room(user: User, policy: LockSettings) -> None:
    """Raise RefusalError for a user with as many locks as a user may hold, or take in an hour.

    Until the transaction ends, the same user's other requests for locks wait here.
    """
    list(User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk"))
    now = database_clock.now()
    held = Q(status=PriceLock.Status.HELD, expires_at__gt=now)
    of_late = Q(issued_at__gt=now - _HOUR)
    # A lock that was issued in the future, by a clock that was ahead, is no lock any more.
    mine = PriceLock.objects.filter(user=user, expires_at__gt=now - _HOUR, issued_at__lte=now + clock.TOLERANCE)
    found = mine.aggregate(
        held=Count("pk", filter=held),
        first_expires=Min("expires_at", filter=held),
        taken=Count("pk", filter=of_late),
        first_issued=Min("issued_at", filter=of_late),
    )
    if found["held"] >= policy.most_held:
        detail = f"You hold {found['held']} locks, as many as you may. Redeem or release one."
        raise _refused(Code.TOO_MANY_LOCKS, detail, "held", until=found["first_expires"] - now)
    if found["taken"] >= policy.most_in_an_hour:
        detail = f"You have taken {found['taken']} locks in an hour, as many as you may. Try again later."
        raise _refused(Code.TOO_MANY_LOCKS, detail, "hour", until=found["first_issued"] + _HOUR - now)


def _lockable(
    current: Snapshot, metal: Metal, known_stale: Container[Metal], *, allows_fallback: bool
) -> PublishedQuote | Reason:
    """A metal's current price, or why it may not be locked now."""
    published = current.quotes.get(metal)
    if published is None:
        return Reason.DOWN if ListedMetal.objects.filter(name=metal, enabled=True).exists() else Reason.OFF
    now = timezone.now()
    reason = rules.unavailable(
        published,
        is_stale=metal in known_stale or current.is_stale(published, now),
        allows_fallback=allows_fallback and not _has_expired(published, now),
        allows_simulated=settings.DEBUG or usual_kind(settings.PRICE_PROVIDERS) is PriceKind.SIMULATED,
    )
    return reason or published


def _has_expired(published: PublishedQuote, now: dt.datetime) -> bool:
    """Return True for a fallback that has expired: it may still be shown, until a task withdraws it within a minute."""
    is_fallback = published.quote.kind is PriceKind.FALLBACK
    return is_fallback and not FallbackPrice.valid(now).filter(metal=published.quote.metal).exists()


def _refused(code: Code, detail: str, reason: str, *, until: dt.timedelta | None = None) -> RefusalError:
    """A counted refusal of a new lock; `until` is the time until which it is useless to try again."""
    counts.refused(reason)
    return RefusalError(code, detail, wait=None if until is None else until.total_seconds(), reason=reason)


def _current_price(lock: PriceLock, known_stale: Container[Metal]) -> Decimal | None:
    """The price at which the same could be locked now; None where none could be."""
    allows_fallback = LockSettings.load().allows_fallback
    published = _lockable(snapshot.locked(), Metal(lock.metal), known_stale, allows_fallback=allows_fallback)
    if isinstance(published, Reason) or published.quote.currency != lock.currency:
        return None
    return rules.price_for(published, Side(lock.side), unit=lock.unit, purity=lock.purity)


def _to_the_millisecond(at: dt.datetime) -> dt.datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
