"""Marks and notices as pages/notices.py and clients/js/client/marks.js both have to say them, of the same prices."""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Final

from prices.domain.quotes import Metal
from tests.support.product import ROOT

NOW: Final = dt.datetime(2026, 11, 1, 18, 31, 12, tzinfo=dt.UTC)
NEXT_CHANGE: Final = "2026-11-02T22:00:00.000Z"


@dataclass(frozen=True)
class Case:
    """Quotes by metal, with what differs from a price of now; the market; and the marks of each, and the notices."""

    case: str
    quotes: dict[Metal, dict[str, Any] | None]
    marks: list[list[str]]
    notices: list[list[str]]
    market: str = "open"
    feed: str = "live"
    metals: dict[str, str] | None = None
    listed: tuple[str, ...] = tuple(Metal)

    @property
    def feeds(self) -> dict[str, str]:
        """The feed of each metal with a price, as a status has it."""
        return {metal: self.feed for metal, quote in self.quotes.items() if quote is not None} | (self.metals or {})


def cases() -> list[Case]:
    """The cases of notice_cases.json."""
    found = json.loads((ROOT / "tests/support/notice_cases.json").read_text())
    return [Case(**{**case, "quotes": {Metal(name): of for name, of in case["quotes"].items()}}) for case in found]
