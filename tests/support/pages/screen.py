"""The screen's page as the server writes it, without a server."""

from django.template.loader import render_to_string

from pages import screen
from pages.languages import Language
from pages.memory import Current
from pages.sheets import listed_sheet


def screen_page(rows: str, shown: Current, name: str = "", language: str = "en", release: str = "") -> str:
    """The page of these rows, under a shop's name, of a release."""
    chosen = Language(language)
    context = screen.context(shown, listed_sheet(rows, shown.stored.listed), name, chosen.format)
    return render_to_string("pages/screen.html", {"current": shown, "language": chosen, "release": release, **context})
