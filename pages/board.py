"""The board: live prices of the rows that its reader chose, in the address, or before, in the cookie."""

from collections.abc import Mapping
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from infra import clock, formats
from pages import languages, memory, rendering
from pages.cards import ARROWS, card_of
from pages.formats import Formats
from pages.live_state import MODULES, live_state
from pages.memory import Current, Move
from pages.notices import market_text, notices
from pages.reader_choice import reader_choice
from pages.rows import Row, written
from pages.sheets import ListedSheet, address_notices, sheet_of
from prices.domain.quotes import Metal
from prices.domain.units import converted
from prices.domain.wire import ChangeData


def board(request: HttpRequest) -> HttpResponseBase:
    """The page of the reader's rows; of the usual ones where none was chosen. Whatever an address holds, status 200."""
    current = memory.current(request)
    remembered = reader_choice(request)
    language = languages.chosen(request, remembered.language, reads_cookie=True)
    sheet = sheet_of(request, current.stored.listed, remembered.rows)
    response = rendering.respond(
        request,
        "pages/board.html",
        current,
        language,
        sheet,
        lambda: context(current, sheet, language.format),
    )
    if "rows" not in request.GET:
        patch_vary_headers(response, ["Cookie"])
    return response


def context(current: Current, sheet: ListedSheet, f: Formats) -> dict[str, Any]:
    """All that the template shows."""
    now, currency = clock.read().wall, settings.BASE_CURRENCY
    shown_as = {row.metal: row for row in reversed(sheet.rows)}
    return {
        "cards": [card_of(row, current, currency, f, now) for row in sheet.rows],
        "notices": notices(current, sheet.metals, f, now),
        "address_notices": list(address_notices(sheet, f)),
        "market": market_text(current, f, now),
        "as_of": f.date_and_time(current.published_at) if current.published_at else "",
        "moves": [_move(move, shown_as, f) for move in current.stored.moves],
        "threshold": f"{current.stored.threshold_percent.normalize():f}%",
        "rows": written(sheet.rows),
        "modules": (*MODULES, "pages/board-card.js", "pages/reader-choice.js"),
        "languages": settings.LANGUAGES,
        "state": live_state(current, _beside(current)),
    }


def _move(move: Move, shown_as: Mapping[Metal, Row], f: Formats) -> dict[str, str]:
    change = move.change
    row = shown_as.get(change.metal) or Row(change.metal, "999", "gram")
    old, new = (
        f.amount(converted(price, unit=row.unit, purity=row.purity)) for price in (change.old_price, change.new_price)
    )
    return {
        "direction": change.direction,
        "at": formats.time(move.at),
        "time": f.weekday_and_time(move.at, clock.read().wall),
        "metal": f.metal(change.metal),
        "arrow": ARROWS[change.direction],
        "percent": f.percent(change.change_percent),
        "prices": f"{old} → {new}",
    }


def _beside(current: Current) -> dict[str, Any]:
    """The board's own part of the state that its script begins with."""
    return {
        "moves": [
            {**msgspec.structs.asdict(ChangeData.of(move.change)), "at": formats.time(move.at)}
            for move in current.stored.moves
        ],
        "sparklines": {
            metal.value: [line.starts[-1], line.closes]
            for metal, line in current.stored.sparklines.items()
            if line.starts
        },
    }
