"""The choice that a reader made before, which scripts keep in a cookie, for the server to write pages by."""

from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote

from django.http import HttpRequest

# A query string, percent-encoded.
COOKIE: Final = "swarna_board"
# More than our scripts write is not theirs.
_MOST_FIELDS: Final = 10


class ReaderChoice(NamedTuple):
    """The rows and the language that a reader chose before; None where they chose none."""

    rows: str | None = None
    language: str | None = None


def reader_choice(request: HttpRequest) -> ReaderChoice:
    """The choice in a request's cookie, which may hold anything."""
    try:
        query = parse_qs(unquote(request.COOKIES.get(COOKIE, "")), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return ReaderChoice()
    rows, language = (query.get(name, [None])[-1] for name in ("rows", "lang"))
    return ReaderChoice(rows, language)
