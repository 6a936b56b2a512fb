"""`manage.py migrate`: Django's own, with time for long statements."""

from typing import Any

from django.core.management.commands import migrate

from infra.postgresql import long_work


class Command(migrate.Command):
    @long_work()
    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
