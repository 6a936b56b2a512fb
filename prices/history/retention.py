"""Deletion of ticks and receipts older than TICKS_KEPT_FOR. Candles and significant moves are kept for good."""

import datetime as dt
import logging
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import Max

from prices.domain.quotes import PriceKind
from prices.history import partitions
from prices.history.candle_store import kept_from
from prices.models import Head, LatestPrice, Price, Receipt, ReceiptMonth

logger = logging.getLogger(__name__)

# Rows deleted in one statement: other writers wait for that long.
BATCH: Final = 2000
# Longer than any market is closed or all sources fail: a clock that is further ahead of the newest quote is wrong, and
# ticks that it deletes never come back.
_MOST_AHEAD: Final = dt.timedelta(days=7)


def keep_history(*, now: dt.datetime) -> int:
    """Create the months to come, and delete the days that are older than `TICKS_KEPT_FOR`.

    Returns the number of months deleted on PostgreSQL, of ticks elsewhere. Days, and on PostgreSQL months, go only as a
    whole: no candle is left with a part of its ticks. Any number of workers may run this at any time; the next run
    goes on where one was interrupted.
    """
    Head.expect_whole_database()
    partitions.create_ahead(now)
    if settings.TICKS_KEPT_FOR is None:
        return 0
    before = kept_from(_at_most(now))
    if connection.vendor == "postgresql":
        dropped = partitions.drop_before(before) or []
        ReceiptMonth.objects.filter(month__in=dropped).delete()
        return len(dropped)
    gone = _delete_before(before)
    _delete_receipts_before(before)
    return gone


def _at_most(now: dt.datetime) -> dt.datetime:
    """The time by which ticks are old: `now`, or if that cannot be true, a week after the newest quote."""
    newest: dt.datetime | None = LatestPrice.objects.filter(lane=PriceKind.LIVE).aggregate(at=Max("quoted_at"))["at"]
    if newest is None or now <= newest + _MOST_AHEAD:
        return now
    logger.warning(
        "no source has quoted since %s: is this machine's clock ahead? Ticks are deleted as of a week after that",
        f"{newest:%Y-%m-%d %H:%M}Z",
    )
    return newest + _MOST_AHEAD


def _delete_before(at: dt.datetime) -> int:
    """Delete in short transactions, between which publications are written."""
    gone = 0
    while batch := list(Price.objects.filter(at__lt=at).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        gone += Price.objects.filter(pk__in=batch).delete()[0]
    if gone:
        logger.info("deleted %d ticks from before %s", gone, f"{at:%Y-%m-%d %H:%M}Z")
    return gone


def _delete_receipts_before(at: dt.datetime) -> None:
    """Delete likewise, in the order of publications: their times rise with their numbers."""
    while True:
        oldest = list(Receipt.objects.order_by("seq").values_list("seq", "published_at")[:BATCH])
        old = {seq for seq, published_at in oldest if published_at < at}
        if not old:
            return
        Receipt.objects.filter(seq__in=old).delete()
        if len(old) < len({seq for seq, _ in oldest}):
            return
