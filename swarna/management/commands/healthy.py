"""`manage.py healthy`: check a part of the product, as for a container's health check."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from infra.process import probe
from prices import schedule


class Command(BaseCommand):
    help = (
        "Exit with 0 if the web process of this machine answers (web), or if refreshes happen on time, whatever the "
        "clock says (refreshes)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("part", choices=["web", "refreshes"])

    def handle(self, *args: Any, part: str, **options: Any) -> None:
        if part == "refreshes":
            if not schedule.is_on_time(timezone.now()):
                raise CommandError("No refresh for more than three intervals: see the logs of worker and beat.")
        elif problem := probe.problem(settings.BIND_ADDRESS, settings.WEBSOCKET_PORT):
            raise CommandError(problem)
