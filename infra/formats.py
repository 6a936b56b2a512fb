"""Amounts, times and texts as programs read them: on the stream, by REST, by `manage.py prices`. Pure."""

import datetime as dt
from decimal import Decimal
from typing import Final

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
# Signs without a width that letters of India are written with.
_JOINERS: Final = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"


def number(amount: Decimal) -> Decimal:
    """The amount without the zeros that a database pads it with, never in exponent form."""
    text = f"{amount:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text) + 0  # + 0: there is no -0 on the wire


def time(at: dt.datetime) -> str:
    """UTC with milliseconds and `Z`."""
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(span: dt.timedelta) -> int:
    """Whole milliseconds, rounded down."""
    return span // _MILLISECOND


def to_ms(at: dt.datetime) -> int:
    """A moment as Unix milliseconds, rounded down as by `time`."""
    return milliseconds(at - EPOCH)


def from_ms(unix: int) -> dt.datetime:
    """The moment of Unix milliseconds, in UTC."""
    return EPOCH + unix * _MILLISECOND


def clipped(text: str) -> str:
    """The first 40 characters of a client's text, for an error message."""
    return text if len(text) <= 40 else f"{text[:40]}…"


def one_line(text: str) -> str:
    """A client's text in one line, without what cannot be printed, such as signs that turn the order of all letters."""
    return " ".join("".join(each if each.isprintable() or each in _JOINERS else " " for each in text).split())
