"""Notices to be read before a price is used, and the market in words: in a page's HTML, until its script says it anew.

clients/js/client/marks.js has the same, and the notices of a lost connection.
"""

import datetime as dt
from collections.abc import Collection
from typing import Final, NamedTuple

from infra.formats import one_line
from pages.formats import N_, Formats
from pages.memory import Current
from prices.domain.marks import LABELS
from prices.domain.quotes import Metal
from streaming.protocol import Feed


class Notice(NamedTuple):
    """A notice: its tone (`plain`, `warning` or `danger`), a headline, and what follows from it."""

    tone: str
    headline: str
    text: str


# By mark: the tone and the text.
_WARNINGS: Final = {
    "example": (
        "danger",
        N_(
            "No source has given these prices yet. They are old examples that came with the installation, not set by "
            "staff: do not price sales by them."
        ),
    ),
    "fallback": ("warning", N_("No live source answers. Staff set these prices: do not price sales by them.")),
    "simulated": ("warning", N_("A made-up market for trying things out: do not price sales by it.")),
    "stale": (
        "warning",
        N_("The source has not confirmed these prices for a while: do not price sales by them."),
    ),
}


def notices(current: Current, metals: Collection[Metal], f: Formats, now: dt.datetime) -> list[Notice]:
    """All notices about the prices of these metals, which a page shows, the most urgent first."""
    found: list[Notice] = []
    if current.status.feed is Feed.DOWN:
        found.append(Notice("danger", f._("No prices."), f._("No source has answered yet.")))
    for mark, (tone, text) in _WARNINGS.items():
        concerned = [metal for metal in metals if mark in current.marks(metal)]
        if concerned:
            are_all = set(concerned) == set(current.stored.listed)
            names = f._("all metals") if are_all else f.metal_names(concerned)
            headline = f._("{mark}: {metals}.", mark=f._(LABELS[mark]), metals=names)
            found.append(Notice(tone, headline, f._(text)))
    # A simulated market never closes.
    if not current.is_market_open and current.status.feed is not Feed.SIMULATED:
        time = f.weekday_and_time(current.next_change, now)
        text = f._("Nothing is traded, so prices stand still until {time}.", time=time)
        found.append(Notice("plain", f._("Market closed."), text))
    return found


def misunderstood(mistakes: str, f: Formats) -> Notice:
    """The notice of an address of which a page shows only a part."""
    return Notice("plain", f._("Not all of this address is understood."), one_line(mistakes))


def market_text(current: Current, f: Formats, now: dt.datetime) -> str:
    """The market, open or closed, and the time at which that changes, in words."""
    time = f.weekday_and_time(current.next_change, now)
    if current.is_market_open:
        return f._("Market open · closes {time}", time=time)
    return f._("Market closed · opens {time}", time=time)
