"""What several commands take: days, metals, and a bar that shows how far they are."""

import datetime as dt
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any, Final

from tqdm import tqdm

from prices.domain.quotes import Metal

_EARLIEST: Final = dt.date(1900, 1, 1)
_LATEST: Final = dt.date(2999, 12, 31)


def date(text: str) -> dt.date:
    """A day, as `--from` and `--to` are given."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no date: write it as 2026-09-24") from error
    if not _EARLIEST <= day <= _LATEST:
        raise ArgumentTypeError(f"{day} is no day of prices: from {_EARLIEST} to {_LATEST}")
    return day


def add_days(parser: ArgumentParser, first: str, last: str) -> None:
    """`--from` and `--to`, as `first` and `last`, with what they mean where they are left out."""
    parser.add_argument("--from", dest="first", type=date, metavar="DATE", help=f"the first day, 2026-01-01; {first}")
    parser.add_argument("--to", dest="last", type=date, metavar="DATE", help=f"the last day, which is included; {last}")


def add_metal(parser: ArgumentParser) -> None:
    """`--metal`, once for each."""
    choices = [metal.value for metal in Metal]
    parser.add_argument("--metal", action="append", choices=choices, help="given once or several times; else all")


def metals(named: list[str] | None) -> list[Metal]:
    """Those that were named, or all."""
    return [metal for metal in Metal if named is None or metal in named]


def bar(total: int | None, unit: str, *, scaled: bool = False) -> "tqdm[Any]":
    """A bar that is seen on a terminal alone."""
    return tqdm(total=total, unit=unit, unit_scale=scaled, disable=None)
