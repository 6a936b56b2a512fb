"""The schedule's tasks: thin shells around functions that a test can call too."""

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
    """Fetch and publish prices, if this slot is still to be had."""
    try:
        refresh_if_due()
    except DatabaseError as error:
        # The next refresh may fare better; a traceback a second, meanwhile, would tell nobody more.
        logger.error("no refresh: the database cannot be used: %s", str(error).partition("\n")[0])


@shared_task
def apply_premiums() -> None:
    """Publish the shown prices with the premiums whose time has come: the next refresh may be hours away."""
    try:
        ingest.apply_premiums(now=timezone.now())
    except DatabaseError as error:
        logger.error("premiums are not looked at, and will be in a minute: %s", str(error).partition("\n")[0])


@shared_task(time_limit=3600)  # where rows are deleted one by one, a first time may take long
def keep_history() -> None:
    """Make the months of history that are to come, and take away what is older than ticks are kept."""
    try:
        with long_work():
            make_and_drop(now=timezone.now())
    except DatabaseError as error:
        logger.error("history is not looked after, and will be tomorrow: %s", str(error).partition("\n")[0])
