"""`manage.py newepoch`: another epoch for a database that was put back unnoticeably."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from prices.models import Head
from prices.publishing import ingest


class Command(BaseCommand):
    help = (
        "Draw a new epoch: clients that come back get a snapshot, and no moves of another history. For a database that "
        "was put back by a snapshot of its disk or to a point in time; every other copy is noticed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            head = Head.locked()
            head.draw_epoch("manage.py newepoch was run")
        ingest.reload()
        self.stdout.write(f"The epoch is {head.epoch} from here on, after publication {head.seq}.")
