"""`manage.py healthy`: whether a part of the product does its work, for a container's health check."""

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from prices import schedule
from swarna import addresses, probe

_PATIENCE = 5.0  # seconds


class Command(BaseCommand):
    help = (
        "Exit with 0 while the web process answers here (web), or while refreshes happen on time, whatever the clock "
        "says (refreshes)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("part", choices=["web", "refreshes"])

    def handle(self, *args: Any, part: str, **options: Any) -> None:
        if part == "refreshes":
            if not schedule.is_on_time(timezone.now()):
                raise CommandError("No refresh for more than three intervals: see the logs of worker and beat.")
            return
        host, port = settings.BIND_ADDRESS, settings.WEBSOCKET_PORT
        where = f"The web process at http://{addresses.authority(host, port)}/"
        try:
            status, _ = asyncio.run(probe.answer(host, port, "/healthz", patience=_PATIENCE))
        except OSError as error:
            raise CommandError(f"{where} does not answer: {error}") from error
        if status != 200:
            raise CommandError(f"{where} answers {status}.")
