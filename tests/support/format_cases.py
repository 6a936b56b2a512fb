"""Numbers, times and names as pages/formats.py and clients/js/client/format.js both have to write them."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from pages.formats import Formats
from prices.domain.quotes import Metal
from tests.support.product import ROOT

ZONE: Final = ZoneInfo("Asia/Kolkata")


class Case(NamedTuple):
    """A call by its name in JavaScript, with its arguments as in JSON, in a locale; and the text that it gives."""

    call: str
    of: list[Any]
    locale: str
    text: str


def cases() -> list[Case]:
    """The cases of format_cases.json; there, `*` is any locale."""
    found = json.loads((ROOT / "tests/support/format_cases.json").read_text())
    return [
        Case(case["call"], case["of"], "te-IN" if locale == "*" else locale, text)
        for case in found
        for locale, text in case["texts"].items()
    ]


def called(formats: Formats, call: str, of: list[Any]) -> str:
    """The text that Python gives to a call of JavaScript."""
    match call:
        case "amount":
            return formats.amount(_price(of[0]))
        case "money":
            return formats.money(_price(of[0]), of[1])
        case "difference":
            return formats.difference(Decimal(of[0]), Decimal(of[1]))
        case "percent":
            return formats.percent(Decimal(of[0]))
        case "date":
            return formats.date(_time(of[0]))
        case "timeOfDay":
            return formats.time_of_day(_time(of[0]))
        case "dateAndTime":
            return formats.date_and_time(_time(of[0]))
        case "weekdayAndTime":
            return formats.weekday_and_time(_time(of[0]), _time(of[1]))
        case "asOf":
            return formats.as_of(_time(of[0]), _time(of[1]))
        case "metal":
            return formats.metal(Metal(of[0]))
        case "metalNames":
            return formats.metal_names(map(Metal, of[0]))
        case "unit":
            return formats.unit(of[0])
        case "per":
            return formats.per(of[0])
        case "purity":
            return formats.purity(Metal(of[0]), of[1])
        case "origin":
            quote = of[0]
            return formats.origin(
                quote["source"],
                is_example=quote.get("example", False),
                contributors=quote.get("contributors"),
                dispersion_percent=Decimal(str(quote.get("dispersionPercent", 0))),
            )
    raise ValueError(f"Python has no {call}")


def _price(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
