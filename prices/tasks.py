"""The schedule's tasks: thin shells around functions that a test can call too."""

from celery import shared_task

from prices.refresh import refresh_if_due


@shared_task
def refresh_prices() -> None:
    """Fetch and publish prices, if this slot is still to be had."""
    refresh_if_due()
