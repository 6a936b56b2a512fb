"""The prices of some rows, for a frame in pages of others. It reads no cookie, and changes nothing."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from infra import clock
from pages import languages, memory, rendering
from pages.cards import card_of
from pages.languages import Language
from pages.live_state import MODULES, live_state
from pages.memory import Current
from pages.notices import notices
from pages.rows import written
from pages.sheets import ListedSheet, address_notices, sheet_of


def embed(request: HttpRequest) -> HttpResponseBase:
    """The prices of the rows that the address names; of the usual ones where it names none."""
    current = memory.current(request)
    language = languages.chosen(request)
    sheet = sheet_of(request, current.stored.listed)
    return rendering.respond(
        request, "pages/embed.html", current, language, sheet, lambda: context(current, sheet, language)
    )


def context(current: Current, sheet: ListedSheet, language: Language) -> dict[str, Any]:
    """All that the template shows."""
    now, f = clock.read().wall, language.format
    return {
        "cards": [card_of(row, current, settings.BASE_CURRENCY, f, now) for row in sheet.rows],
        "notices": notices(current, sheet.metals, f, now),
        "address_notices": list(address_notices(sheet, f)),
        "rows": written(sheet.rows),
        "modules": MODULES,
        "state": live_state(current),
    }
