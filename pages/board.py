"""The board: live prices of the rows that its reader chose, in the address, or before, in the cookie."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from infra import clock, formats
from pages import languages, memory, rendering
from pages.figures import ARROWS, figures
from pages.formats import N_, Formats
from pages.live_state import MODULES, live_state, market_text
from pages.memory import Current, Move
from pages.notices import Notice, notices
from pages.remembered import remembered
from pages.rows import MOST_ROWS, Mistake, Row, Sheet, Wrong, default_sheet, parse, written
from prices.domain.quotes import Metal
from prices.domain.units import converted
from prices.domain.wire import ChangeData

_WRONG: Final[Mapping[Wrong, str]] = {
    Wrong.METAL: N_("“{text}” names no metal that is listed here."),
    Wrong.PURITY: N_("“{text}” has a purity that its metal is not sold in."),
    Wrong.UNIT: N_("“{text}” has no unit that is known here."),
    Wrong.FORM: N_("“{text}” is not written as metal:purity:unit."),
    Wrong.LANGUAGE: N_("“{text}” is no language of this page."),
}


def board(request: HttpRequest) -> HttpResponseBase:
    """The page of the reader's rows; of the usual ones where none was chosen. Whatever an address holds, status 200."""
    current = memory.current(request)
    before = remembered(request)
    language = languages.chosen(request, before.language, reads_cookie=True)
    asked = request.GET.get("rows")
    rows = asked if asked is not None else before.rows or ""
    sheet = listed_sheet(rows, current.past.listed, languages.unknown(request))
    response = rendering.respond(
        request,
        "pages/board.html",
        current,
        language,
        sheet,
        lambda: context(current, sheet, language.format),
    )
    if asked is None:
        patch_vary_headers(response, ["Cookie"])
    return response


def listed_sheet(text: str, listed: Collection[Metal], unknown_language: str = "") -> Sheet:
    """The rows of an address whose metals are listed; the usual ones where none is. All others are mistakes."""
    sheet = parse(text)
    unlisted = [Mistake(str(row), Wrong.METAL) for row in sheet.rows if row.metal not in listed]
    rows = [row for row in sheet.rows if row.metal in listed]
    usual = [row for row in default_sheet(settings.BASE_CURRENCY) if row.metal in listed]
    language = [Mistake(unknown_language, Wrong.LANGUAGE)] if unknown_language else []
    return Sheet(tuple(rows or usual), (*sheet.mistakes, *unlisted, *language), sheet.left_out)


def address_notices(sheet: Sheet, f: Formats) -> Iterable[Notice]:
    """What is to be said of an address that was not understood, or has too many rows."""
    if sheet.mistakes:
        text = " ".join(f._(_WRONG[mistake.wrong], text=mistake.text) for mistake in sheet.mistakes)
        yield Notice("plain", f._("Not all of this address is understood."), text)
    if sheet.left_out:
        text = f.plural("{count} more is left out.", "{count} more are left out.", sheet.left_out)
        yield Notice("plain", f._("The first {most} rows are shown.", most=MOST_ROWS), text)


def context(current: Current, sheet: Sheet, f: Formats) -> dict[str, Any]:
    """All that the template shows."""
    now, currency = clock.read().wall, settings.BASE_CURRENCY
    metals = list(dict.fromkeys(row.metal for row in sheet.rows))
    shown_as = {row.metal: row for row in reversed(sheet.rows)}
    return {
        "cards": [figures(row, current, currency, f, now) for row in sheet.rows],
        "notices": notices(current, metals, f, now),
        "address_notices": list(address_notices(sheet, f)),
        "market": market_text(current, f, now),
        "as_of": f.date_and_time(current.published_at) if current.published_at else "",
        "moves": [_move(move, shown_as, f) for move in current.past.moves],
        "threshold": f"{current.past.threshold_percent.normalize():f}%",
        "rows": written(sheet.rows),
        "modules": (*MODULES, "pages/board-card.js", "pages/board-memory.js"),
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
    """What the board's script goes on from beside the prices and the market."""
    return {
        "usual": written(default_sheet(settings.BASE_CURRENCY)),
        "moves": [
            {**msgspec.structs.asdict(ChangeData.of(move.change)), "at": formats.time(move.at)}
            for move in current.past.moves
        ],
        "lines": {
            metal.value: [line.starts[-1], line.closes] for metal, line in current.past.lines.items() if line.starts
        },
    }
