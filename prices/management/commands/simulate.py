"""`manage.py simulate`: a simulated market at any pace, for benches and demonstrations."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from prices.domain.quotes import SIMULATED
from prices.models import ListedMetal
from prices.publishing import simulation

LONGEST_MS: Final = 86_400_000


class Command(BaseCommand):
    help = (
        "Publish simulated prices of all metals at a steady pace, as the worker publishes fetched ones. "
        "PRICE_PROVIDERS has to name simulated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--interval-ms", type=int, default=1000, help="milliseconds between publications (%(default)s)"
        )
        parser.add_argument(
            "--count", type=int, default=0, help="how many publications; 0 is until Ctrl-C (%(default)s)"
        )
        parser.add_argument(
            "--stamps",
            action="store_true",
            help="print each publication's seq and the CLOCK_MONOTONIC nanosecond at which it began",
        )

    def handle(self, *args: Any, interval_ms: int, count: int, stamps: bool, **options: Any) -> None:
        if not 1 <= interval_ms <= LONGEST_MS:
            raise CommandError(
                f"--interval-ms is the time between publications: from 1 to {LONGEST_MS} milliseconds, a day."
            )
        if count < 0:
            raise CommandError("--count is a number of publications: 1 or more, or 0 to go on until Ctrl-C.")
        if SIMULATED not in settings.PRICE_PROVIDERS:
            raise CommandError("Simulated prices are not shown here: add simulated to PRICE_PROVIDERS.")
        if not ListedMetal.objects.filter(enabled=True).exists():
            raise CommandError("The database lists no metal: run manage.py seed first.")
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        pace = simulation.run(interval_ms / 1000, count or None, stop=stop, stamped=self._print if stamps else None)
        late = f", {pace.missed} left out: this machine could not keep up" if pace.missed else ""
        self.stdout.write(f"{pace.publications} publications in {pace.seconds:.1f} s, one each {interval_ms} ms{late}")

    def _print(self, seq: int, at: int) -> None:
        self.stdout.write(f"{seq} {at}")
        self.stdout.flush()
