"""Deletion of old locks and answers. Redeemed locks are kept for good."""

import datetime as dt
import logging
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet

from infra import database_clock
from locks.models import KeptAnswer, PriceLock

logger = logging.getLogger(__name__)

# Clients may send the same Idempotency-Key for so long.
_ANSWERS_KEPT_FOR: Final = dt.timedelta(hours=24)
# In one transaction.
_MOST_ROWS: Final = 1000


def clean() -> None:
    """Delete locks that were never redeemed, LOCKS_KEPT_FOR after they ended, and the answers of a day ago."""
    now = database_clock.now()
    unredeemed = PriceLock.objects.exclude(status=PriceLock.Status.REDEEMED)
    locks = _delete(unredeemed.filter(expires_at__lte=now - settings.LOCKS_KEPT_FOR))
    answers = _delete(KeptAnswer.objects.filter(kept_at__lte=now - _ANSWERS_KEPT_FOR))
    if locks or answers:
        logger.info("deleted %d locks that were never redeemed, and %d answers", locks, answers)


def _delete(rows: QuerySet[Any]) -> int:
    """Delete rows, some at a time; return their number."""
    deleted = 0
    while keys := list(rows.values_list("pk", flat=True)[:_MOST_ROWS]):
        deleted += rows.filter(pk__in=keys).delete()[1].get(rows.model._meta.label, 0)
    return deleted
