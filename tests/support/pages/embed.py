"""The page of a frame as the server writes it, without a server."""

from django.template.loader import render_to_string

from pages import embed
from pages.languages import Language
from pages.memory import Current
from pages.sheets import listed_sheet


def embed_page(rows: str, shown: Current) -> str:
    """The page of these rows."""
    language = Language("en")
    context = embed.context(shown, listed_sheet(rows, shown.stored.listed), language)
    return render_to_string("pages/embed.html", {"current": shown, "language": language, **context})
