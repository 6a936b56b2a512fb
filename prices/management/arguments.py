"""Arguments that several commands take: days and metals; and their progress bar."""

import datetime as dt
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any, Final

from tqdm import tqdm

from prices.domain.quotes import FIRST_YEAR, LAST_YEAR, Metal

_EARLIEST: Final = dt.date(FIRST_YEAR, 1, 1)
_LATEST: Final = dt.date(LAST_YEAR, 12, 31)


def date(text: str) -> dt.date:
    """Parse a day of `--from` or `--to`."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no date: write it as 2026-09-24") from error
    if not _EARLIEST <= day <= _LATEST:
        raise ArgumentTypeError(f"{day} is no day of prices: from {_EARLIEST} to {_LATEST}")
    return day


def add_days(parser: ArgumentParser, first: str, last: str) -> None:
    """Add `--from` and `--to`, as `first` and `last`, each with its help for when it is left out."""
    parser.add_argument("--from", dest="first", type=date, metavar="DATE", help=f"the first day, 2026-01-01; {first}")
    parser.add_argument("--to", dest="last", type=date, metavar="DATE", help=f"the last day, which is included; {last}")


def add_metal(parser: ArgumentParser) -> None:
    """Add `--metal`, which may be given several times."""
    choices = [metal.value for metal in Metal]
    parser.add_argument("--metal", action="append", choices=choices, help="given once or several times; else all")


def metals(named: list[str] | None) -> list[Metal]:
    """The named metals, or all of them."""
    return [metal for metal in Metal if named is None or metal in named]


def bar(total: int | None, unit: str, *, scaled: bool = False) -> "tqdm[Any]":
    """A progress bar, shown only on a terminal."""
    return tqdm(total=total, unit=unit, unit_scale=scaled, disable=None)
