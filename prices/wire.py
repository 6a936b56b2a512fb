"""How programs are told of amounts, moments and spans: on the stream, by REST, in `manage.py prices --json`. Pure."""

import datetime as dt
from decimal import Decimal


def number(amount: Decimal) -> Decimal:
    """The same amount without the zeros that a database pads it with, and never in exponent form."""
    text = f"{amount:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text) + 0  # + 0: there is no -0 on the wire


def time(at: dt.datetime) -> str:
    """UTC with milliseconds and `Z`."""
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(span: dt.timedelta) -> int:
    """Whole milliseconds, rounded down."""
    return span // dt.timedelta(milliseconds=1)
