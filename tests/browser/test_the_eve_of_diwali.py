"""A rehearsal: the sources die on the eve of Diwali. The whole product, two members of staff, and a visitor.

docs/operations.md has its log: `pytest tests/browser/test_the_eve_of_diwali.py --write-tables` writes it anew.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from pytest_httpserver import HTTPServer

from tests.support import docs_tables
from tests.support.browser import new_page
from tests.support.installation import Market, Product
from tests.support.pages import A_CARD_EACH

NAME = "the log of the rehearsal"
HEAD = "| after | who | what |"
PASSWORD = "opensesame"
STAFF = """
from django.contrib.auth.models import Group, User
for name, role in (("asha", "Price editor"), ("meera", "Approver")):
    user = User.objects.create_user(name, f"{name}@example.com", "opensesame", is_staff=True)
    user.groups.add(Group.objects.get(name=role))

from prices.models import FallbackPrice
FallbackPrice.objects.filter(metal="gold").update(price=12900, example=False, note="")
"""


class Log:
    """The events, and how long after the sources failed."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.lines: list[tuple[str, str, str]] = []

    def add(self, who: str, what: str) -> None:
        self.lines.append((f"{time.monotonic() - self.began:.0f} s", who, what))

    def table(self) -> str:
        return docs_tables.table(HEAD, (f"| {' | '.join(line)} |" for line in self.lines))

    def without_times(self) -> list[list[str]]:
        return [[who, what] for _, who, what in self.lines]


@pytest.fixture
def market() -> Iterator[Market]:
    with HTTPServer() as server:
        yield Market(server)


@pytest.fixture
def product(market: Market, tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Product]:
    product = Product(
        tmp_path,
        new_database(),
        GOLD_API_COM_URL=market.url,
        FRESHNESS_LIMIT="3s",
        FALLBACK_AFTER="6s",
        APPROVAL_ABOVE_PERCENT="2",
        QUARANTINE_RELEASE="staff",
    )
    yield product
    product.process.stop()
    assert "Traceback" not in product.process.output, product.process.output


@pytest.fixture
def log() -> Log:
    return Log()


def log_in(page: Page, product: Product, name: str) -> None:
    page.goto(f"{product.http_url}/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#desk-connection")).to_have_text("Live")


def press(page: Page, name: str | re.Pattern[str]) -> None:
    """Press a button of the desk, which takes no press right after its rows have moved."""
    button = page.get_by_role("button", name=name)
    expect(button).to_be_visible(timeout=15_000)
    page.wait_for_timeout(800)
    button.click()


def gold_on(page: Page) -> Locator:
    return page.locator('[data-metal="gold"]').first


def test_the_sources_die_on_the_eve_of_diwali(
    product: Product, market: Market, browser: Browser, log: Log, request: pytest.FixtureRequest
) -> None:
    product.manage("shell", "--no-imports", "-c", STAFF)
    with new_page(browser) as visitor, new_page(browser) as asha, new_page(browser) as meera:
        meera.set_viewport_size({"width": 390, "height": 844})
        visitor.goto(product.http_url + A_CARD_EACH)
        expect(gold_on(visitor)).to_contain_text("13,200.00", timeout=15_000)
        log_in(asha, product, "asha")
        log_in(meera, product, "meera")

        market.open = False
        log.began = time.monotonic()
        log.add("sources", "answer HTTP 503; the last price, 13,200.00, stays on screens")
        expect(gold_on(visitor)).to_contain_text("Stale", timeout=15_000)
        log.add("board", "marks it as stale")
        expect(gold_on(visitor)).to_contain_text("12,900.00", timeout=15_000)
        expect(gold_on(visitor)).to_contain_text("Fallback")
        log.add("board", "shows the fallback that staff had entered before, 12,900.00")

        asha.get_by_role("link", name="Correct fallback prices").click()
        asha.locator('[data-metal="gold"]').get_by_label("New price").fill("13500")
        asha.get_by_label("Reason").fill("the association's rate, by telephone")
        asha.get_by_role("button", name="Save").click()
        expect(asha.get_by_text("another person has to approve it")).to_be_visible()
        log.add("asha", "writes 13,500 until the end of today; that is beyond 2 %, so it waits for another person")

        press(meera, re.compile("Approve .*gold", re.IGNORECASE))
        expect(gold_on(visitor)).to_contain_text("13,500.00", timeout=5_000)
        log.add("meera", "approves it on a phone, and it is on screens")

        market.per_gram["XAU"] = 15000
        market.open = True
        expect(meera.locator("#desk-waiting")).to_contain_text("15,000.00 from gold_api_com", timeout=15_000)
        expect(gold_on(visitor)).to_contain_text("13,500.00")
        log.add("sources", "answer again, with gold at 15,000: 13.64 % off the last live price, so it is quarantined")
        press(meera, re.compile("Approve .*15,000.00"))
        expect(gold_on(visitor)).to_contain_text("15,000.00", timeout=5_000)
        log.add("meera", "approves it, and it is on screens; the fallback is in reserve")

        asha.goto(f"{product.http_url}/admin/changes/")
        newest = asha.locator(".changes > li", has_text="by telephone").first
        newest.get_by_text("Undo …").click()
        newest.get_by_role("button", name="Undo", exact=True).click()
        asha.get_by_label("I checked it").check()
        asha.get_by_role("button", name="Undo", exact=True).click()
        expect(asha.get_by_text("another person has to approve it")).to_be_visible()
        log.add("asha", "undoes the fallback, as she has checked; that too waits for another person")
        press(meera, re.compile("Approve .*gold", re.IGNORECASE))
        log.add("meera", "approves it; screens keep the live price")
        expect(gold_on(visitor)).to_contain_text("15,000.00")
    see_in_docs(log, request)


def see_in_docs(log: Log, request: pytest.FixtureRequest) -> None:
    """See that the log is in docs/operations.md as it was, whatever the seconds; write it there when that is wanted."""
    if request.config.getoption("--write-tables"):
        docs_tables.write(NAME, log.table(), docs_tables.OPERATIONS)
    written: list[Any] = docs_tables.written(NAME, docs_tables.OPERATIONS).splitlines()[2:]
    assert [[cell.strip() for cell in line.split("|")[2:4]] for line in written] == log.without_times()
