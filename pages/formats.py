"""Numbers, times and names as people read them, in one language and locale. Pure; imports no Django.

clients/js/client/format.js writes the same, so that a page's script changes only what has changed:
tests/support/format_cases.json has the cases of both.
"""

import datetime as dt
import gettext
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from babel import Locale, dates

from prices.domain.fineness import purity_label
from prices.domain.quotes import FALLBACK, SIMULATED, Metal

LOCALE_DIR: Final = Path(__file__).resolve().parent.parent / "locale"
NOTHING: Final = "—"
_NO_BREAK_SPACE: Final = "\N{NO-BREAK SPACE}"
_SIX_DAYS: Final = dt.timedelta(days=6)


def N_(text: str) -> str:  # noqa: N802  # gettext's name
    """Mark a text for translation that is passed to `_` later."""
    return text


UNITS: Final[Mapping[str, str]] = {
    "gram": N_("g"),
    "8gram": N_("8 g"),
    "10gram": N_("10 g"),
    "100gram": N_("100 g"),
    "tola": N_("tola"),
    "kg": N_("kg"),
    "troy_ounce": N_("troy oz"),
}
_PER: Final[Mapping[str, str]] = {
    "gram": N_("per g"),
    "8gram": N_("per 8 g"),
    "10gram": N_("per 10 g"),
    "100gram": N_("per 100 g"),
    "tola": N_("per tola"),
    "kg": N_("per kg"),
    "troy_ounce": N_("per troy oz"),
}
_METALS: Final[Mapping[Metal, str]] = {
    Metal.GOLD: N_("Gold"),
    Metal.SILVER: N_("Silver"),
    Metal.PLATINUM: N_("Platinum"),
    Metal.PALLADIUM: N_("Palladium"),
}
_SOURCES: Final[Mapping[str, str]] = {FALLBACK: N_("set by staff"), SIMULATED: N_("from a simulated market")}
# Short signs of currencies; others are written by their code.
_SIGNS: Final[Mapping[str, str]] = {"EUR": "€", "GBP": "£", "INR": "₹", "USD": "$"}


class Formats:
    """Formats in one language: texts by `_` and `plural`, with values in place of their names in braces."""

    def __init__(self, language: str, locale: str, zone: dt.tzinfo) -> None:
        """`locale` is a tag such as `hi-IN`; times are written as of `zone`."""
        self.language = language
        self._locale = Locale.parse(locale, sep="-")
        self._zone = zone
        self._texts = gettext.translation("django", LOCALE_DIR, [language], fallback=True)

    def _(self, english: str, /, **values: object) -> str:
        """A text in the language."""
        return self._texts.gettext(english).format_map(values) if values else self._texts.gettext(english)

    def plural(self, one: str, other: str, count: int, /, **values: object) -> str:
        """The form of a text for a number, which is `{count}` in it."""
        return self._texts.ngettext(one, other, count).format_map({"count": count, **values})

    # --- numbers -----------------------------------------------------------------------------------------------------

    @cached_property
    def _grouping(self) -> tuple[int, int]:
        """The digits in the last group of thousands, and in those before it."""
        last, before = self._locale.decimal_formats[None].grouping
        return last, before

    def _decimal(self, value: Decimal, most_decimals: int, *, is_signed: bool = False) -> str:
        # By hand: Babel's own way takes several times as long, and rounds halves to even, which no browser does.
        step = Decimal(1).scaleb(-most_decimals)
        rounded = value.quantize(step, ROUND_HALF_UP)
        whole, _, decimals = f"{abs(rounded):.{most_decimals}f}".partition(".")
        decimals = decimals[:2] + decimals[2:].rstrip("0")
        sign = "-" if rounded < 0 else "+" if is_signed and rounded > 0 else ""
        return f"{sign}{self._grouped(whole)}.{decimals}"

    def _grouped(self, digits: str) -> str:
        last, before = self._grouping
        head, groups = digits[:-last], [digits[-last:]]
        while head:
            groups.append(head[-before:])
            head = head[:-before]
        return ",".join(reversed(groups))

    def amount(self, value: Decimal | None) -> str:
        """An amount without its currency; a dash for none."""
        return NOTHING if value is None else self._decimal(value, _decimals(value))

    def money(self, value: Decimal | None, currency: str) -> str:
        """An amount with its currency, as "₹13,221.39"."""
        if value is None:
            return NOTHING
        return f"{_SIGNS.get(currency, currency + _NO_BREAK_SPACE)}{self.amount(value)}"

    def difference(self, value: Decimal, price: Decimal) -> str:
        """A difference, with its sign and as many decimals as its price."""
        return self._decimal(value, _decimals(price), is_signed=True)

    def percent(self, value: Decimal) -> str:
        """Percent as on the wire, with its sign: 1.08 means 1.08 %."""
        return f"{self._decimal(value, 2, is_signed=True)}%"

    # --- times -------------------------------------------------------------------------------------------------------

    def date(self, at: dt.datetime) -> str:
        """The date of a moment, as "26 Sept 2026"."""
        return dates.format_skeleton("yMMMd", at, self._zone, locale=self._locale)

    def time_of_day(self, at: dt.datetime) -> str:
        """The time to the second."""
        return self._clock(at, "medium")

    def date_and_time(self, at: dt.datetime) -> str:
        """A date with the time to the second."""
        return f"{self.date(at)}, {self.time_of_day(at)}"

    def weekday_and_time(self, at: dt.datetime, now: dt.datetime) -> str:
        """A moment within six days, such as "Fri, 5:00 pm"; another with its date."""
        day = self._weekday(at) if abs(at - now) < _SIX_DAYS else self.date(at)
        return f"{day}, {self._clock(at, 'short')}"

    def as_of(self, at: dt.datetime, now: dt.datetime) -> str:
        """The time at which a last close was quoted, in words."""
        return self._("as of {time}", time=self.weekday_and_time(at, now))

    @cached_property
    def zone(self) -> str:
        """The name of the time zone that times are written in, as "India Standard Time"."""
        winter, summer = (self._zone.utcoffset(dt.datetime(2026, month, 1)) for month in (1, 7))  # noqa: DTZ001
        return dates.get_timezone_name(
            self._zone, zone_variant="standard" if winter == summer else "generic", locale=self._locale
        )

    def _weekday(self, at: dt.datetime) -> str:
        return dates.format_datetime(at, "EEE", self._zone, self._locale)

    def _clock(self, at: dt.datetime, length: str) -> str:
        text = dates.format_time(at, length, self._zone, self._locale)
        # Locale data of different years has AM or am, and one of three spaces before it.
        return " ".join(text.replace("AM", "am").replace("PM", "pm").split())

    # --- names -------------------------------------------------------------------------------------------------------

    def metal(self, metal: Metal) -> str:
        """A metal's name."""
        return self._(_METALS[metal])

    def metal_names(self, metals: Iterable[Metal]) -> str:
        """The names of one or several metals, as "Gold, Silver and Platinum"."""
        *others, last = [self.metal(metal) for metal in metals]
        return self._("{metals} and {metal}", metals=", ".join(others), metal=last) if others else last

    def unit(self, unit: str) -> str:
        """A unit's name."""
        return self._(UNITS[unit])

    def per(self, unit: str) -> str:
        """The unit of a price: "per 10 g"."""
        return self._(_PER[unit])

    def purity(self, metal: Metal, purity: str) -> str:
        """A purity: "22K · 916", "925"; where it is a carat to the digit, "22/24"."""
        carat, _, fineness = purity_label(metal, purity).partition("K · ")
        return self._("{carat}K · {fineness}", carat=carat, fineness=fineness) if fineness else carat

    def origin(
        self,
        source: str,
        *,
        is_example: bool = False,
        contributors: int | None = None,
        dispersion_percent: Decimal | None = None,
    ) -> str:
        """The source of a quote, as "from gold-api.com" of "gold_api_com"; of several, "3 sources, ±0.05%"."""
        if is_example:
            return self._("not set by staff")
        if contributors:
            percent = f"{self._decimal(dispersion_percent or Decimal(0), 2)}%"
            return self.plural(
                "{count} source, ±{percent}", "{count} sources, ±{percent}", contributors, percent=percent
            )
        if source in _SOURCES:
            return self._(_SOURCES[source])
        name, dot, domain = source.rpartition("_")
        site = f"{name}.{domain}" if dot and domain in ("com", "io", "dev") else source
        return self._("from {source}", source=site.replace("_", "-"))


@cache
def formats(language: str, locale: str, zone: dt.tzinfo) -> Formats:
    """The formats of a language and locale, made once; there are no more of them than languages."""
    return Formats(language, locale, zone)


def _decimals(price: Decimal) -> int:
    """The most decimals of a price: below ten, two would hide its moves."""
    return 4 if abs(price) < 10 else 2
