"""Swarna: live precious-metal prices over WebSocket."""

from swarna.celery import app as celery_app

__all__ = ["celery_app"]
