"""Every page for visitors by axe: in light, dark and forced colours, on a desk and on a phone."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.axe import violations
from tests.support.server import Server

# By address: what is there once the page is whole.
_PAGES = {
    "/": "#connection[data-state=open]",
    "/gold/": "#chart canvas",
    "/screen/": "#connection[data-state=open]",
    "/embed/": "main:not(:has(#unstarted))",
    "/developers/": "h1",
    "/developers/widgets/": "swarna-sheet",
    "/api/docs/": ".opblock",
    "/admin/login/": "h1",
}
_WHOLE_WITHIN = 30_000
_WIDTHS = (1280, 390)
_COLOURS = (("light", "none"), ("dark", "none"), ("light", "active"))
# A colour that changes over a moment is none that can be read.
_CHANGED = """
    () => Promise.allSettled(
      document.getAnimations().filter((each) => each instanceof CSSTransition).map((each) => each.finished)
    )
"""


@pytest.fixture(scope="module")
def shown(server: Server) -> Server:
    """A server with a live price, one of staff, and metals without any."""
    server.publish(gold="13221.39")
    server.publish(silver="168.54", source="fallback")
    return server


@pytest.mark.parametrize("address", _PAGES)
def test_a_page_breaks_no_rule_of_axe_in_any_colours_and_width(shown: Server, page: Page, address: str) -> None:
    page.goto(f"{shown.http_url}{address}", timeout=_WHOLE_WITHIN)
    expect(page.locator(_PAGES[address]).first).to_be_attached(timeout=_WHOLE_WITHIN)
    found = {}
    for width in _WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        for scheme, forced in _COLOURS:
            page.emulate_media(color_scheme=scheme, forced_colors=forced)  # type: ignore[arg-type]
            page.evaluate(_CHANGED)
            if broken := violations(page):
                found[width, scheme, forced] = broken
    assert found == {}
