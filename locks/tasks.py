"""The worker's tasks."""

import logging

from celery import shared_task
from django.db import Error as DatabaseError

from locks import retention

logger = logging.getLogger(__name__)


@shared_task
def clean_locks() -> None:
    """Delete locks and answers that are older than they are kept."""
    try:
        retention.clean()
    except DatabaseError as error:
        logger.error("old locks are not deleted; the next try is in an hour: %s", str(error).partition("\n")[0])
