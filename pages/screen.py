"""The screen of a shop: prices as large as fits, for a device that nobody touches."""

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from infra import clock
from infra.formats import one_line
from pages import languages, memory, rendering
from pages.cards import card_of
from pages.formats import Formats
from pages.live_state import MODULES, live_state
from pages.memory import Current
from pages.notices import market_text, notices
from pages.sheets import ListedSheet, address_notices, sheet_of

# Of a shop's name, in characters: more do not fit in a line of the screen.
_LONGEST_NAME: Final = 60
# The rows up to which a screen has one column, two, and three.
_COLUMNS: Final = (3, 8, 15)
# The characters up to which a price is taken to be as wide as the style sheet says, in a script's absence.
_LENGTHS: Final = (10, 12, 14, 17)


def screen(request: HttpRequest) -> HttpResponseBase:
    """The rows of the address, or the usual ones, under the shop's name. Whatever an address holds, status 200."""
    current = memory.current(request)
    language = languages.chosen(request)
    sheet = sheet_of(request, current.stored.listed)
    name = shop_name(request.GET.get("name", ""))
    return rendering.respond(
        request,
        "pages/screen.html",
        current,
        language,
        (sheet, name),
        lambda: context(current, sheet, name, language.format),
    )


def shop_name(text: str) -> str:
    """A shop's name as an address has it: one line, without what cannot be printed, cut short where it is too long."""
    line = one_line(text)
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…"


def _last_prices(current: Current, f: Formats) -> str:
    if current.published_at is None:
        return f._("No prices have come yet.")
    time = f.date_and_time(current.published_at)
    return f._("These are the last prices, from {time}: do not price sales by them.", time=time)


def context(current: Current, sheet: ListedSheet, name: str, f: Formats) -> dict[str, Any]:
    """All that the template shows."""
    now = clock.read().wall
    rows = [card_of(row, current, settings.BASE_CURRENCY, f, now) for row in sheet.rows]
    longest = max((len(row.amount) for row in rows), default=0)
    return {
        "name": name,
        "rows": rows,
        "columns": 1 + sum(len(rows) > most for most in _COLUMNS),
        "length": 1 + sum(longest > most for most in _LENGTHS),
        "market": market_text(current, f, now),
        "last_prices": _last_prices(current, f),
        "notices": notices(current, sheet.metals, f, now),
        "address_notices": list(address_notices(sheet, f)),
        "modules": MODULES,
        "state": live_state(current),
    }
