"""The worker's tasks: each calls one function, which a test can call too."""

import logging

from celery import shared_task
from django.db import Error as DatabaseError
from django.utils import timezone

from infra.postgresql import long_work
from prices.history.retention import keep_history as make_and_drop
from prices.publishing import ingest
from prices.refresh import refresh_if_due

logger = logging.getLogger(__name__)


@shared_task
def refresh_prices() -> None:
    """Fetch and publish prices, unless another worker has claimed the slot."""
    try:
        refresh_if_due()
    except DatabaseError as error:
        # The next refresh may succeed; a traceback with each failure would help no one.
        logger.error("no refresh: the database cannot be used: %s", str(error).partition("\n")[0])


@shared_task
def apply_premiums() -> None:
    """Publish the shown prices under premiums that have begun: the next refresh may be hours away."""
    try:
        ingest.apply_premiums(now=timezone.now())
    except DatabaseError as error:
        logger.error("premiums are not applied; the next try is in a minute: %s", str(error).partition("\n")[0])


@shared_task
def expire_fallbacks() -> None:
    """Publish the next best price in place of each shown fallback that has expired, or is to give way to a price."""
    try:
        ingest.withdraw_fallbacks(now=timezone.now())
    except DatabaseError as error:
        logger.error("fallbacks do not expire; the next try is in a minute: %s", str(error).partition("\n")[0])


@shared_task(time_limit=3600)  # where rows are deleted one by one, the first run may take long
def keep_history() -> None:
    """Make the coming months of history, and delete ticks that are older than they are kept."""
    try:
        with long_work():
            make_and_drop(now=timezone.now())
    except DatabaseError as error:
        logger.error("history is not maintained; the next try is tomorrow: %s", str(error).partition("\n")[0])
