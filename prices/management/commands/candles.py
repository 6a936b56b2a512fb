"""`manage.py candles rebuild`: rebuild candles from ticks."""

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from infra.postgresql import long_work
from prices.domain.quotes import PriceKind
from prices.history import candle_store
from prices.history.candle_store import Series
from prices.management import arguments


class Command(BaseCommand):
    help = (
        "Rebuild candles: minutes from the ticks that are kept, longer ones from minutes. Needed after TIME_ZONE "
        "changed, or after ticks were written by hand. No candle is made of a part of its ticks. Publications go on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["rebuild"])
        arguments.add_days(parser, "else the oldest there is", "else today")
        arguments.add_metal(parser)
        parser.add_argument(
            "--given", action="store_true", help="also those that a provider or a file gave whole, if there are ticks"
        )

    @long_work()
    def handle(
        self,
        *args: Any,
        first: dt.date | None,
        last: dt.date | None,
        metal: list[str] | None,
        given: bool,
        **options: Any,
    ) -> None:
        if first and last and first > last:
            raise CommandError(f"--from {first} is after --to {last}.")
        end = candle_store.midnight(last) if last else timezone.now()
        days = 0
        for name in arguments.metals(metal):
            for kind in (PriceKind.LIVE, PriceKind.SIMULATED):
                series = Series(name, settings.BASE_CURRENCY, kind)
                oldest = candle_store.oldest(series)
                if oldest is None:
                    continue
                start = max(oldest, candle_store.midnight(first)) if first else oldest
                with arguments.bar(max(0, (end - start).days + 1), "day") as bar:
                    bar.set_description(f"{name}, {kind}")
                    for _ in candle_store.rebuild(series, start, end, given_too=given):
                        bar.update()
                        days += 1
        self.stdout.write(f"{days} days rebuilt")
