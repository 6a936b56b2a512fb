"""The sheet of prices that an address names, of listed metals, and what is to be said of that address."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from django.conf import settings
from django.http import HttpRequest

from pages import languages
from pages.formats import N_, Formats
from pages.notices import Notice, misunderstood
from pages.rows import MOST_ROWS, Mistake, Row, Wrong, default_sheet, parse
from prices.domain.quotes import Metal

_WRONG: Final[Mapping[Wrong, str]] = {
    Wrong.METAL: N_("“{text}” names no metal that is listed here."),
    Wrong.PURITY: N_("“{text}” has a purity that its metal is not sold in."),
    Wrong.UNIT: N_("“{text}” has no unit that is known here."),
    Wrong.FORM: N_("“{text}” is not written as metal:purity:unit."),
}


class ListedSheet(NamedTuple):
    """The rows that a page shows, and of its address: the mistakes, the number of rows that are left out, and the text
    of `?lang=` where that is no language of ours.
    """

    rows: tuple[Row, ...]
    mistakes: tuple[Mistake, ...] = ()
    left_out: int = 0
    unknown_language: str = ""

    @property
    def metals(self) -> tuple[Metal, ...]:
        """The metals of the rows, each once, in their order."""
        return tuple(dict.fromkeys(row.metal for row in self.rows))


def sheet_of(request: HttpRequest, listed: Collection[Metal], before: str | None = None) -> ListedSheet:
    """The sheet of `?rows=`; else the one that was chosen `before`; else the usual one."""
    text = request.GET.get("rows", before or "")
    return listed_sheet(text, listed)._replace(unknown_language=languages.unknown(request))


def listed_sheet(text: str, listed: Collection[Metal]) -> ListedSheet:
    """The rows of a text whose metals are listed; the usual ones where none is. All others are mistakes."""
    sheet = parse(text)
    unlisted = [Mistake(str(row), Wrong.METAL) for row in sheet.rows if row.metal not in listed]
    rows = [row for row in sheet.rows if row.metal in listed]
    usual = [row for row in default_sheet(settings.BASE_CURRENCY) if row.metal in listed]
    return ListedSheet(tuple(rows or usual), (*sheet.mistakes, *unlisted), sheet.left_out)


def address_notices(sheet: ListedSheet, f: Formats) -> Iterable[Notice]:
    """The notices of an address that was not understood, or has too many rows."""
    wrong = [f._(_WRONG[mistake.wrong], text=mistake.text) for mistake in sheet.mistakes]
    if sheet.unknown_language:
        wrong.append(f._("“{text}” is no language of this page.", text=sheet.unknown_language))
    if wrong:
        yield misunderstood(" ".join(wrong), f)
    if sheet.left_out:
        text = f.plural("{count} more is left out.", "{count} more are left out.", sheet.left_out)
        yield Notice("plain", f._("The first {most} rows are shown.", most=MOST_ROWS), text)
