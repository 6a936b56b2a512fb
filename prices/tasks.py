"""The schedule's tasks: thin shells around functions that a test can call too."""

import logging

from celery import shared_task
from django.db import Error as DatabaseError

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
