"""`manage.py export`: history as a CSV file."""

import datetime as dt
import itertools
from argparse import ArgumentParser
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from infra.postgresql import long_work
from prices.domain.candles import Interval
from prices.history import candle_store, export
from prices.management import arguments

TICKS = "ticks"


class Command(BaseCommand):
    help = (
        "Write history as CSV, as manage.py backfill --csv reads it: candles of an interval, or ticks. Days are those "
        "of TIME_ZONE."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        arguments.add_days(parser, "needed", "needed")
        arguments.add_metal(parser)
        choices = [*(interval.value for interval in Interval), TICKS]
        parser.add_argument(
            "--interval", default="1m", choices=choices, help="the candles' interval, or ticks (%(default)s)"
        )
        parser.add_argument("--out", metavar="FILE", help="the file to write; else lines are printed")

    @long_work()
    def handle(
        self,
        *args: Any,
        first: dt.date | None,
        last: dt.date | None,
        metal: list[str] | None,
        interval: str,
        out: str | None,
        **options: Any,
    ) -> None:
        if first is None or last is None:
            raise CommandError("Say which days: --from DATE --to DATE.")
        if first > last:
            raise CommandError(f"--from {first} is after --to {last}.")
        start, end = candle_store.midnight(first), candle_store.midnight(last + dt.timedelta(days=1))
        metals = arguments.metals(metal)
        lines = (
            export.ticks(metals, start, end)
            if interval == TICKS
            else export.candles(metals, Interval(interval), start, end)
        )
        with closing(lines):
            if out is not None:
                self._write(Path(out), lines)
                return
            for line in lines:
                self.stdout.write(line, ending="")
            self.stdout.flush()

    def _write(self, out: Path, lines: Iterable[str]) -> None:
        """Write under another name until the file is whole, so that no part is taken for all of it."""
        part = out.with_name(f"{out.name}.part")
        try:
            with part.open("w", encoding="utf-8", newline="") as file, arguments.bar(None, "line", scaled=True) as bar:
                for some in iter(lambda: list(itertools.islice(lines, 1000)), []):
                    file.writelines(some)
                    bar.update(len(some))
            part.replace(out)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}. Name another --out.") from error
        finally:
            part.unlink(missing_ok=True)
