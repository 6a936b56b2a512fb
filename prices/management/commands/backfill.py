"""`manage.py backfill`: fill history in from a provider's past days, or from a file."""

import contextlib
import datetime as dt
import io
import os
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from infra.postgresql import long_work
from prices.domain.provider_table import ARCHIVE_TABLE, PROVIDER_TABLE
from prices.history import backfill, csv_import
from prices.history.backfill import QuotaEndsError
from prices.history.csv_format import CsvError
from prices.history.filling import Filled
from prices.history.sanity import MOST
from prices.management import arguments
from prices.providers.errors import ProviderError, QuotaError
from prices.publishing import ingest

# The most violations or failures that are printed.
_NAMED: Final = 10
_AS_UTF_8: Final = 'It has to be CSV in UTF-8; of a spreadsheet: save as "CSV UTF-8".'
_OTHERS: Final = {
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"PK\x03\x04": "a workbook",
    b"\xd0\xcf\x11\xe0": "a workbook",
}


class Command(BaseCommand):
    help = (
        "Fill history in from a provider's past days, which become day candles, or from a file of ticks or candles as "
        "manage.py export writes it. Existing candles and ticks stay, so the same command goes on from where it was "
        "interrupted. No price changes; one that is shown without a previous close is published again with it, if "
        "there is one now. Calls count against the provider's quota; some are left to refreshes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--provider", choices=list(ARCHIVE_TABLE), help="the provider of the past days")
        arguments.add_days(parser, "of UTC", "yesterday at most")
        arguments.add_metal(parser)
        parser.add_argument(
            "--days-per-call", type=int, metavar="N", help="fewer than usual, if your plan allows no more"
        )
        parser.add_argument(
            "--leave", type=int, default=10, metavar="N", help="calls of the quota to leave to refreshes (%(default)s)"
        )
        parser.add_argument("--again", action="store_true", help="also fetch days that the provider had no data for")
        parser.add_argument("--csv", metavar="FILE", help="a file instead of a provider; - reads standard input")
        parser.add_argument(
            "--replace", action="store_true", help="write over existing candles, also those made of ticks"
        )
        parser.add_argument(
            "--confirm",
            action="store_true",
            help="apply no sanity rule: fill in all prices as they are, also those not printed before",
        )

    @long_work()
    def handle(self, *args: Any, provider: str | None, csv: str | None, **options: Any) -> None:
        if (provider is None) == (csv is None):
            raise CommandError("Say where from: --provider NAME --from DATE --to DATE, or --csv FILE.")
        if csv is not None:
            filled = self._from_csv(csv, options["replace"], options["confirm"])
        else:
            filled = self._from_provider(str(provider), options)
        ingest.take_closes(now=timezone.now())
        no_data = f", {filled.no_data} without data at {provider}" if filled.no_data else ""
        self.stdout.write(
            f"{filled.written} written, {filled.there} there already, {len(filled.failures)} unusable{no_data}"
        )
        for failure in filled.failures[:_NAMED]:
            self.stderr.write(failure)
        if filled.violations:
            raise CommandError(
                f"{_cannot_be_believed(filled.violations, 'day')}\nThe others are filled in. Give the same command "
                "with --confirm to fill these in as they are."
            )

    def _from_csv(self, name: str, replace: bool, confirmed: bool) -> Filled:
        try:
            with _opened(name) as file:
                now = timezone.now()
                with _sized(file, "checked") as bar:
                    validator = csv_import.validated(_counted(file, bar), now=now)
                found = validator.violations()
                if found and not confirmed:
                    raise CommandError(
                        f"{name}: {_cannot_be_believed(found, 'line')}\nNothing is filled in. Mend them, or give "
                        "--confirm to fill in all of the file as it is."
                    )
                file.seek(0)
                with _sized(file, "filled in") as bar:
                    filled = csv_import.from_csv(_counted(file, bar), replace=replace, now=now)
                for point in validator.compared_with_nothing:
                    self.stderr.write(
                        f"{point.place}: {point.price:,} was compared with nothing: there is no fallback price, "
                        f"sanity band or history of it in {settings.BASE_CURRENCY} yet. Is it per gram?"
                    )
                return filled
        except CsvError as error:
            raise CommandError(f"{name}, {error} Nothing is filled in before all of it can be read.") from error
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error}.") from error
        except UnicodeDecodeError as error:
            raise CommandError(f"{name} cannot be read: {error}. {_AS_UTF_8}") from error

    def _from_provider(self, name: str, options: dict[str, Any]) -> Filled:
        archive, now = ARCHIVE_TABLE[name], timezone.now()
        first, last, per_call = options["first"], options["last"], options["days_per_call"] or archive.days_per_call
        yesterday = now.astimezone(dt.UTC).date() - dt.timedelta(days=1)
        if first is None or last is None:
            raise CommandError("Say which days: --from DATE --to DATE.")
        if first > last:
            raise CommandError(f"--from {first} is after --to {last}.")
        if last > yesterday:
            raise CommandError(f"--to {last}: a day is filled in when it is over in UTC, so {yesterday} at most.")
        if not 1 <= per_call <= archive.days_per_call:
            raise CommandError(f"--days-per-call: from 1 to {archive.days_per_call} for {name}.")
        if options["leave"] < 0:
            raise CommandError("--leave is a number of calls: 0 or more.")
        row = PROVIDER_TABLE[archive.provider]
        if row.needs_key and not getattr(settings, key := row.setting("KEY")):
            raise CommandError(f"{key} is empty: {row.name} gives nothing without its key.")
        metals = arguments.metals(options["metal"])
        missing = backfill.missing_days(archive, metals, first, last, replace=options["replace"])
        filled = Filled(there=sum(len(metals) - len(without) for without in missing.values()))
        if not options["again"]:
            filled.no_data = backfill.leave_out_no_data(archive, missing, now=now)
        requests = list(backfill.plan(missing, days_per_call=per_call, brings_all=archive.brings_all))
        with arguments.bar(len(requests), "call") as bar:
            for request in requests:
                try:
                    some = backfill.fill(
                        archive,
                        request,
                        leave=options["leave"],
                        replace=options["replace"],
                        now=timezone.now(),
                        confirmed=options["confirm"],
                    )
                except QuotaEndsError as error:
                    raise CommandError(f"{filled.written} days written. {error}.") from error
                except QuotaError as error:
                    raise CommandError(
                        f"{filled.written} days written. {name} {error}: give the same command when its quota begins "
                        "anew, and it goes on."
                    ) from error
                except ProviderError as error:
                    raise CommandError(
                        f"{filled.written} days written, until {request.first}. {name} {error}. The same command goes "
                        "on from there."
                    ) from error
                filled.written += some.written
                filled.there += some.there
                filled.no_data += some.no_data
                filled.failures += some.failures
                filled.violations += some.violations
                bar.update()
        return filled


def _cannot_be_believed(found: Sequence[object], unit: str) -> str:
    """The violations for people; of many, the first."""
    many = f"{len(found):,} {unit}{'s' if len(found) > 1 else ''}{' and more' if len(found) >= MOST else ''}"
    rest = [f"and {len(found) - _NAMED:,} more"] if len(found) > _NAMED else []
    return "\n  ".join([f"{many} cannot be believed:", *map(str, found[:_NAMED]), *rest])


def _sized(file: IO[str], what: str) -> "tqdm[Any]":
    bar = arguments.bar(os.fstat(file.fileno()).st_size, "B", scaled=True)
    bar.set_description(what)
    return bar


@contextlib.contextmanager
def _opened(name: str) -> Iterator[IO[str]]:
    """Open a file as text that can be read twice. Raises CommandError if it begins as a workbook or UTF-16 does."""
    with contextlib.ExitStack() as files:
        binary: IO[bytes]
        if name == "-":
            binary = files.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(sys.stdin.buffer, binary)
            binary.seek(0)
        else:
            binary = files.enter_context(Path(name).open("rb"))
        begins = binary.read(4)
        for signature, what in _OTHERS.items():
            if begins.startswith(signature):
                raise CommandError(f"{name} is {what}. {_AS_UTF_8}")
        binary.seek(0)
        yield files.enter_context(io.TextIOWrapper(binary, encoding="utf-8-sig", newline=""))


def _counted(file: IO[str], bar: "tqdm[Any]") -> Iterator[str]:
    for line in file:
        yield line
        bar.update(len(line.encode()))
