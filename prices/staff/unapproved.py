"""The recent edits of one editor that nobody approved: edits are measured from the prices before that.

Else a large edit could be made in small steps, each within the limit.
"""

import datetime as dt
from decimal import Decimal
from typing import Final

from django.contrib.auth.models import User
from django.db.models import QuerySet

from prices.audit import StaffChange
from prices.models import FallbackPrice, ListedMetal, Premium, ProposedEdit

_OF_LATE: Final = dt.timedelta(hours=24)
# The end of a sentence on a price or a premium before those changes.
BEFORE: Final = "before their own edits of the last 24 hours"


def fallback_before(key: int | None, by: User | None, now: dt.datetime) -> FallbackPrice | None:
    """The fallback price of this key without what `by` changed; None where it did not exist."""
    if key is None:
        return None
    versions = FallbackPrice.history.filter(id=key)
    own = _changes(by, now)
    if not versions.filter(change__in=own).exists():
        return FallbackPrice.objects.filter(pk=key).first()
    last = versions.exclude(change__in=own).order_by("-history_id").first()
    return last.instance if last and last.history_type != "-" else None


def multiplier_before(metal: ListedMetal, by: User | None, now: dt.datetime) -> Decimal | None:
    """The current multiplier of a metal without what `by` changed; None where that is none of its premiums."""
    own = _changes(by, now)
    touched = set(Premium.history.filter(metal=metal, change__in=own).values_list("id", flat=True))
    if not touched:
        return None
    rows = list(Premium.objects.filter(metal=metal).exclude(pk__in=touched))
    for key in touched:
        last = Premium.history.filter(id=key).exclude(change__in=own).order_by("-history_id").first()
        if last and last.history_type != "-" and last.metal_id == metal.pk:
            rows.append(last.instance)
    begun = [premium for premium in rows if premium.effective_from <= now]
    return max(begun, key=lambda premium: premium.effective_from).multiplier if begun else Decimal(1)


def _changes(by: User | None, now: dt.datetime) -> "QuerySet[StaffChange]":
    if by is None:
        return StaffChange.objects.none()
    of_late = StaffChange.objects.filter(by=by, at__gt=now - _OF_LATE)
    return of_late.exclude(proposal__decision=ProposedEdit.Decision.APPROVED)
