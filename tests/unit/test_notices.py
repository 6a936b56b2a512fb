"""The marks of a price, and the notices that are to be read before it is used."""

from dataclasses import replace

import msgspec
import pytest

from pages.languages import Language
from pages.notices import notices
from prices.domain.quotes import Metal
from streaming.protocol import Feed
from tests.support.notice_cases import NEXT_CHANGE, NOW, Case, cases
from tests.support.pages.board import current, published
from tests.support.quotes import quote


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.case)
def test_the_server_says_what_its_script_says(case: Case) -> None:
    """tests/browser/test_words_js.py has the same cases."""
    given = {metal: of for metal, of in case.quotes.items() if of is not None}
    quotes = [
        replace(quote(metal, at=NOW, source=of.get("source", "gold_api_com")), example=of.get("example", False))
        for metal, of in given.items()
    ]
    shown = current(
        map(published, quotes),
        market=case.market,
        feed=Feed(case.feed),
        stale=[metal for metal, of in given.items() if of.get("stale")],
        listed=[Metal(name) for name in case.listed],
    )
    metals = {name: Feed(feed) for name, feed in case.feeds.items()}
    shown = replace(shown, status=msgspec.structs.replace(shown.status, metals=metals, nextChange=NEXT_CHANGE))
    assert [list(shown.marks(metal)) for metal in case.quotes] == case.marks
    found = notices(shown, case.quotes, Language("en").format, NOW)
    assert [list(notice) for notice in found] == case.notices
