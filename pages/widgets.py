"""The widget maker: whoever wants prices on a page of theirs chooses rows here, looks, and copies a line of HTML.

Its form is not the board's editor, which is a script's and in all languages: this one is a document, in English, works
without any script, for whoever needs no more than a frame, and has its choices in an address, which can be sent on.
"""

from collections.abc import Collection, Iterator
from itertools import chain, zip_longest
from typing import Final, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import escape

from pages import memory, rendering
from pages.developers import navigation
from pages.formats import UNITS
from pages.languages import ENGLISH, Language
from pages.rows import MOST_ROWS, Row, default_sheet, parse, written
from prices.domain.fineness import WEIGHTS_OF, finenesses, purity_label
from prices.domain.quotes import Metal

# Of a frame, in CSS pixels: its width, the height of a row, and that of what is around the rows. A frame does not grow,
# so there is room for a notice of three lines beside the link.
_WIDTH: Final = 360
_ROW_HEIGHT: Final = 64
_AROUND_ROWS: Final = 152


class Choices(NamedTuple):
    """The form's choices: rows, and a language, or an empty text for that of the page around them."""

    rows: tuple[Row, ...]
    language: str


class Field(NamedTuple):
    """A row of the form, with what it offers."""

    row: Row
    purities: list[tuple[str, str]]
    units: list[tuple[str, str]]


class Codes(NamedTuple):
    """The HTML to copy."""

    sheet: str
    price: str
    frame: str


def widgets(request: HttpRequest) -> HttpResponseBase:
    """The form, all that it makes, and how that looks. Each of the form's buttons requests this page anew."""
    # Before any is listed, it can be seen what will be.
    listed = memory.current(request).stored.listed or tuple(Metal)
    choices = read(request.GET, listed)
    context = {
        "language": Language(ENGLISH),
        "documents": navigation(None),
        "choices": choices,
        "metals": [(metal.value, metal.capitalize()) for metal in listed],
        "fields": [_field(row) for row in choices.rows],
        "is_full": _further(choices.rows, listed) is None,
        "languages": settings.LANGUAGES,
        "rows": written(choices.rows),
        "query": _query(choices),
        "width": _WIDTH,
        "height": _height(choices),
        "codes": codes(choices, request.build_absolute_uri(reverse("board"))),
        "framed_by": settings.EMBED_ALLOWED_ORIGINS,
    }
    with rendering.turn(request):
        page = rendering.encoded(render_to_string("pages/widgets.html", context))
    return rendering.answer(request, page)


def codes(choices: Choices, root: str) -> Codes:
    """The HTML that shows the choices on another page; `root` is where this server's addresses begin."""
    script = f'<script type="module" src="{root}client/v1/element.js"></script>'
    lang = f' lang="{choices.language}"' if choices.language else ""
    metal, purity, unit = choices.rows[0]
    of_row = f'metal="{metal}" purity="{purity}" unit="{unit}"{lang}></swarna-price>'
    return Codes(
        sheet=f'{script}\n<swarna-sheet rows="{written(choices.rows)}"{lang}></swarna-sheet>',
        price=f"{script}\n<swarna-price {of_row}\n<p>Today: <swarna-price compact {of_row}</p>",
        frame=f'<iframe src="{root}embed/?{escape(_query(choices))}" title="Live metal prices"\n'
        f'  width="{_WIDTH}" height="{_height(choices)}" style="border: 0; max-width: 100%" loading="lazy"></iframe>',
    )


def _query(choices: Choices) -> str:
    language = {"lang": choices.language} if choices.language else {}
    return urlencode({"rows": written(choices.rows), **language}, safe=":,")


def _height(choices: Choices) -> int:
    return len(choices.rows) * _ROW_HEIGHT + _AROUND_ROWS


def read(query: QueryDict, metals: Collection[Metal]) -> Choices:
    """Read the form, or `?rows=` of a sheet's address; `add`, `remove` and `up` are the form's buttons.

    Without a row that is understood, the usual ones.
    """
    fields = zip_longest(*(query.getlist(name) for name in ("metal", "purity", "unit")), fillvalue="")
    given = dict.fromkeys([*filter(None, (_row(*each) for each in fields)), *parse(query.get("rows", "")).rows])
    rows = [row for row in given if row.metal in metals][:MOST_ROWS] or list(_usual(metals))
    if "add" in query and (further := _further(rows, metals)):
        rows.append(further)
    if (n := _place(query.get("remove", ""), rows)) is not None and len(rows) > 1:
        del rows[n]
    if n := _place(query.get("up", ""), rows):
        rows[n - 1 : n + 1] = rows[n], rows[n - 1]
    language = query.get("lang", "")
    return Choices(tuple(rows), language if language in dict(settings.LANGUAGES) else "")


def _row(metal: str, purity: str, unit: str) -> Row | None:
    """The row of three fields. A purity that its metal does not have, as it was another's before, is fine metal."""
    for text in (f"{metal}:{purity}:{unit}", f"{metal}:999:{unit}", metal):
        if found := parse(text).rows:
            return found[0]
    return None


def _usual(metals: Collection[Metal]) -> Iterator[Row]:
    return (row for row in default_sheet(settings.BASE_CURRENCY) if row.metal in metals)


def _further(rows: Collection[Row], metals: Collection[Metal]) -> Row | None:
    """A row to add; None where a sheet has as many as it may have, or all that there are."""
    others = (
        Row(metal, purity, unit) for metal in metals for purity in finenesses(metal) for unit in WEIGHTS_OF[metal]
    )
    left = (row for row in chain(_usual(metals), others) if row not in rows)
    return next(left, None) if len(rows) < MOST_ROWS else None


def _place(text: str, rows: list[Row]) -> int | None:
    """The number of a row, in a button's value; None for one that is not there."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 3 and int(text) < len(rows) else None


def _field(row: Row) -> Field:
    metal = row.metal
    return Field(row, [(each, purity_label(metal, each)) for each in finenesses(metal)], list(UNITS.items()))
