"""The texts of a metal's page, in its reader's language, unit and purity."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from infra import formats as numbers
from pages.amounts import Amount, Amounts
from pages.cards import card_of, direction_of
from pages.formats import N_, NOTHING, UNITS
from pages.history import DAYS_SHOWN, History
from pages.languages import Language
from pages.live_state import MODULES, live_state
from pages.memory import Current
from pages.notices import market_text, misunderstood, notices
from pages.ranges import ChartRange, RangeFigures, path, range_figures
from pages.rows import Row
from prices.api.serializers import MOST_PER_PAGE
from prices.domain.candles import Interval, ZonedCandle
from prices.domain.fineness import WEIGHTS_OF, finenesses
from prices.domain.quotes import PERCENT_STEP, Metal, percent
from prices.domain.units import converted

_MODULES: Final = (
    *MODULES,
    "pages/amounts.js",
    "pages/board-card.js",
    "pages/candles.js",
    "pages/metal-history.js",
    "pages/range-figures.js",
    "pages/reader-choice.js",
    "pages/rest-candles.js",
)
# The box of the path that is there before the chart, or in its place; metal.css gives it its size on the page.
_PATH_BOX: Final = (1000, 300)
_RANGES: Final[Mapping[ChartRange, tuple[str, str]]] = {
    ChartRange.DAY: (N_("1D"), N_("The last day")),
    ChartRange.WEEK: (N_("1W"), N_("The last week")),
    ChartRange.MONTH: (N_("1M"), N_("The last month")),
    ChartRange.YEAR: (N_("1Y"), N_("The last year")),
    ChartRange.ALL: (N_("All"), N_("All that is kept")),
}


class Chosen(NamedTuple):
    """An address's choices, and those of its texts that are not understood, clipped."""

    row: Row
    range: ChartRange
    mistakes: tuple[str, ...]


class Day(NamedTuple):
    """A row of the table of the last days."""

    date: str
    iso: str
    close: Amount
    change: Amount
    percent: str
    direction: str
    high: Amount
    low: Amount


class Link(NamedTuple):
    """A choice among several: its name in addresses, its text, its address, and whether it is the chosen one."""

    name: str
    text: str
    href: str
    is_chosen: bool
    title: str = ""


class Figure(NamedTuple):
    """A figure of the chart's range, with the name by which the page's script finds it.

    A change has its percentage; an extreme, the beginning of its candle, for people and for programs.
    """

    name: str
    term: str
    amount: Amount
    percent: str | None = None
    when: str | None = None
    at: str = ""


def context(
    current: Current, chosen: Chosen, history: History | None, language: Language, now: dt.datetime
) -> dict[str, Any]:
    """All that the template of a metal's page needs but the answer to a question about a moment."""
    f, metal = language.format, chosen.row.metal
    page = _Page(chosen, language, now)
    return {
        "metal": metal,
        "card": card_of(chosen.row, current, settings.BASE_CURRENCY, f, now),
        "currency": settings.BASE_CURRENCY,
        "range": chosen.range,
        "is_language_named": page.is_named,
        "canonical": reverse("metal", args=[metal]),
        "metals": [Link(each, f.metal(each), page.link(each), each is metal) for each in current.stored.listed],
        "as_of": f.date_and_time(current.published_at) if current.published_at else "",
        "market": market_text(current, f, now),
        "state": live_state(current),
        "modules": _MODULES,
        "notices": notices(current, [metal], f, now),
        "address_notices": [misunderstood(", ".join(chosen.mistakes), f)] if chosen.mistakes else [],
        "languages": [
            Link(code, name, page.link(metal, lang=code), code == language.code) for code, name in settings.LANGUAGES
        ],
        "units": page.units(),
        "purities": page.purities(),
        "ranges": page.ranges(),
        "is_readable": history is not None,
        "path": path([each.candle.close for each in history.candles], width=_PATH_BOX[0], height=_PATH_BOX[1])
        if history
        else "",
        "figures": page.figures(range_figures([each.candle for each in history.candles]) if history else None),
        "csv": page.csv(),
        "csv_text": page.csv_text(len(history.candles) if history else 0),
        "most_by_rest": MOST_PER_PAGE,
        "days": page.days(history.days) if history else [],
        "weights": [f.unit(unit) for unit in UNITS],
        "measures": page.measures(current),
    }


class _Page:
    """The texts of a page in one language and measure."""

    def __init__(self, chosen: Chosen, language: Language, now: dt.datetime) -> None:
        self._row = chosen.row
        self._chosen = chosen
        self._f = language.format
        self._amounts = Amounts(chosen.row, language.format)
        self._language = language
        self._now = now

    @property
    def is_named(self) -> bool:
        """True if the address names the language: then the page's links do too."""
        return not self._language.varies_on

    # --- now -----------------------------------------------------------------------------------------------------

    def measures(self, current: Current) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """The current price in each purity and each weight: rows of a purity, its name, and its amounts by unit."""
        f, metal = self._f, self._row.metal
        published = current.quotes.get(metal)
        price = published.quote.price if published else None

        def amount(unit: str, purity: str) -> str:
            return f.amount(None if price is None else converted(price, unit=unit, purity=purity))

        return [
            (purity, f.purity(metal, purity), [(unit, amount(unit, purity)) for unit in UNITS])
            for purity in finenesses(metal)
        ]

    # --- history -------------------------------------------------------------------------------------------------

    def figures(self, found: RangeFigures | None) -> list[Figure]:
        """The figures of the chosen range; dashes where there are none."""
        f = self._f
        change = self._amounts.difference(found.last, found.first) if found else Amount(NOTHING)
        return [
            Figure("first", f._("First"), self._amounts.amount(found.first if found else None)),
            Figure("last", f._("Last"), self._amounts.amount(found.last if found else None)),
            Figure("change", f._("Change"), change, percent=f.percent(found.change_percent) if found else ""),
            self._extreme("high", f._("Highest"), (found.high, found.high_at) if found else None),
            self._extreme("low", f._("Lowest"), (found.low, found.low_at) if found else None),
            Figure("average", f._("Average"), self._amounts.amount(found.average if found else None)),
        ]

    def _extreme(self, name: str, term: str, found: tuple[Decimal, dt.datetime] | None) -> Figure:
        if found is None:
            return Figure(name, term, Amount(NOTHING), when="")
        amount, at = found
        return Figure(name, term, self._amounts.amount(amount), when=self._when(at), at=numbers.time(at))

    def _when(self, at: dt.datetime) -> str:
        is_day = self._chosen.range.interval is Interval.DAY
        return self._f.date(at) if is_day else self._f.weekday_and_time(at, self._now)

    def days(self, found: Sequence[ZonedCandle]) -> list[Day]:
        """The last days, newest first, each compared with the one before it."""
        closes = [each.candle.close for each in found]
        return [self._day(day, before) for day, before in zip_longest(found, closes[1:])][:DAYS_SHOWN]

    def _day(self, day: ZonedCandle, before: Decimal | None) -> Day:
        candle, f = day.candle, self._f
        change = Decimal(0) if before is None else candle.close - before
        return Day(
            date=f.date(candle.start),
            iso=day.date.isoformat() if day.date else "",
            close=self._amounts.amount(candle.close),
            change=self._amounts.difference(candle.close, before),
            percent="" if before is None else f.percent(percent(change, before).quantize(PERCENT_STEP)),
            direction=direction_of(change),
            high=self._amounts.amount(candle.high),
            low=self._amounts.amount(candle.low),
        )

    # --- choices -------------------------------------------------------------------------------------------------

    def link(self, metal: Metal, **changed: str) -> str:
        """The address of a metal's page; of this one with the choices of this one, and others in their place."""
        chosen = self._chosen
        own = {"unit": self._row.unit, "purity": self._row.purity, "range": chosen.range.value}
        language = {"lang": self._language.code} if self.is_named else {}
        query = (own if metal is self._row.metal else {}) | language | changed
        return f"{reverse('metal', args=[metal])}{'?' if query else ''}{urlencode(query)}"

    def ranges(self) -> list[tuple[ChartRange, Link]]:
        """The ranges of the chart, and the links to them."""
        f, metal, chosen = self._f, self._row.metal, self._chosen.range
        return [
            (each, Link(each, f._(text), self.link(metal, range=each), each is chosen, f._(title)))
            for each, (text, title) in _RANGES.items()
        ]

    def units(self) -> list[tuple[str, list[tuple[str, str, bool]]]]:
        """Groups of units: their name, and each unit with its text, and whether it is the chosen one."""
        usual = WEIGHTS_OF[self._row.metal]
        groups = {
            self._f._("Usual"): usual,
            self._f._("Others"): [unit for unit in UNITS if unit not in usual],
        }
        return [
            (group, [(unit, self._f.unit(unit), unit == self._row.unit) for unit in units])
            for group, units in groups.items()
        ]

    def purities(self) -> list[tuple[str, str, bool]]:
        """Each purity with its text, and whether it is the chosen one."""
        metal = self._row.metal
        return [(each, self._f.purity(metal, each), each == self._row.purity) for each in finenesses(metal)]

    def csv(self) -> str:
        """The address of the range's candles as a table for a spreadsheet."""
        interval = self._chosen.range.interval
        query = {"interval": interval.value, "unit": self._row.unit, "purity": self._row.purity, "format": "csv"}
        most = self._chosen.range.most_candles
        return f"{reverse('candles', args=[self._row.metal])}?{urlencode({**query, 'limit': most or MOST_PER_PAGE})}"

    def csv_text(self, candles: int) -> str:
        """The text of the link to that table, which has no more candles than one answer of the API."""
        if candles > MOST_PER_PAGE:
            count = f"{MOST_PER_PAGE:,}"
            return self._f._("The newest {count} candles as CSV", count=count)
        return self._f._("These candles as CSV")
