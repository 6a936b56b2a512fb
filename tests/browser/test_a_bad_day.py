"""A day on which no source answers, from the worker to the board: every screen, the API, and the history.

The web process, the board, and all between the worker and these are real; the test sets the time and the answers.
"""

import datetime as dt
import itertools
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, WebSocket, expect
from pytest_django import Settings

from infra.clock import Clock
from prices import providers, schedule
from prices.domain.quotes import Metal, Quote
from prices.models import FallbackPrice, Head
from prices.providers.errors import TemporaryError
from prices.providers.http import Client
from prices.refresh import refresh
from streaming import publish
from tests.support.pages import A_CARD_EACH
from tests.support.quotes import NOW, quote
from tests.support.receipts import recomputed
from tests.support.server import Server
from tests.support.world import forget_prices

STEP = dt.timedelta(minutes=15)  # between refreshes; after five of them a quote is stale
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(hours=24)
PRICES = {Metal.GOLD: 13200, Metal.SILVER: 165, Metal.PLATINUM: 4900, Metal.PALLADIUM: 4300}
OTHERS = [metal for metal in Metal if metal is not Metal.PALLADIUM]


class Market:
    """Two sources that move by a little all the time. From an hour on, neither answers for a day. One step before
    that they lack palladium, so that its fallback is due a step before those of the others.
    """

    def __init__(self, clock: Path) -> None:
        self.clock = clock
        self.passed = dt.timedelta(0)
        self.pass_by(dt.timedelta(0))

    @property
    def now(self) -> dt.datetime:
        return NOW + self.passed

    def pass_by(self, time: dt.timedelta) -> None:
        """Let time pass, also for the processes that read the clock's file."""
        self.passed += time
        draft = self.clock.with_suffix(".new")
        draft.write_text(self.now.isoformat())
        draft.replace(self.clock)  # at once, for a process that is reading it

    def fetch(self, metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote]:
        if HOUR <= self.passed < HOUR + DAY:
            raise TemporaryError("cannot be reached (ConnectionError)")
        has = set(metals) - ({Metal.PALLADIUM} if self.passed == HOUR - STEP else set())
        moved = self.passed // STEP
        return {metal: quote(metal, f"{PRICES[metal] + moved / 100}", at=self.now) for metal in has}


class Board:
    """The board in Chromium, and every status that came over its WebSocket."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self.statuses: list[dict[str, Any]] = []
        page.on("websocket", self._listen)
        page.goto(url)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self._take(json.loads(frame)))

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "status":
            self.statuses.append(message)

    def shows(self, mark: str, *metals: str) -> None:
        """Wait until these metals' cards have this mark."""
        for metal in metals:
            expect(self._page.locator(f'.card[data-metal="{metal}"] .marks')).to_have_text(mark)

    def warns(self, *headlines: str) -> None:
        expect(self._page.locator("#notices strong")).to_have_text([*headlines])

    def spells(self, metal: str) -> list[tuple[str, dt.timedelta]]:
        """The feeds of a metal in these statuses, each with the time since the start when it began."""
        feeds = [(each["metals"][metal], dt.datetime.fromisoformat(each["timestamp"])) for each in self.statuses]
        return [(feed, next(spell)[1] - NOW) for feed, spell in itertools.groupby(feeds, key=lambda each: each[0])]


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Market:
    market, names = Market(tmp_path / "clock"), ["gold_api_com", "metals_dev"]
    sources = {name: providers.Provider(name=name, fetch=market.fetch, brings_all=True) for name in names}
    monkeypatch.setattr("prices.sources.failover.PROVIDERS", sources)
    settings.PRICE_PROVIDERS, settings.FALLBACK_AFTER = names, 2 * HOUR
    return market


@pytest.fixture
def server(run_server: Callable[..., Server], market: Market) -> Server:
    """A web process that goes by the market's clock, on a database without any price."""
    server = run_server(DJANGO_SETTINGS_MODULE="tests.support.clock_from_file", CLOCK_FILE=str(market.clock))
    server.do(forget_prices)
    server.do(lambda: FallbackPrice.objects.update(example=False, note=""))  # staff have entered theirs
    server.do(lambda: schedule.set_interval(STEP))
    server.do(publish.reload)
    return server


def test_a_day_without_sources_shows_on_every_screen_ends_by_itself_and_is_in_the_history(
    server: Server, market: Market, page: Page
) -> None:
    def let_pass(until: dt.timedelta) -> None:
        """Refresh, step by step, until so long after the beginning."""
        while market.passed < until:
            market.pass_by(STEP)
            server.do(lambda: refresh(lambda: market.now))

    server.do(lambda: refresh(lambda: market.now))
    board = Board(page, server.http_url + A_CARD_EACH)
    board.shows("Live", *Metal)
    last = HOUR - STEP  # of palladium, a step earlier
    let_pass(last + 4 * STEP)
    board.shows("Live", *Metal)
    board.warns()
    let_pass(last + 5 * STEP)
    board.shows("Stale", "palladium")
    board.shows("Live", *OTHERS)
    board.warns("Stale: Palladium.")
    let_pass(last + 6 * STEP)
    board.shows("Stale", *Metal)
    board.warns("Stale: all metals.")
    let_pass(last + 2 * HOUR - STEP)
    board.shows("Fallback", "palladium")
    board.shows("Stale", *OTHERS)
    let_pass(last + 2 * HOUR)
    board.shows("Fallback", *Metal)
    board.warns("Fallback: all metals.")
    let_pass(DAY + HOUR - STEP)
    board.shows("Fallback", *Metal)
    let_pass(DAY + HOUR)
    board.shows("Live", *Metal)
    board.warns()
    let_pass(DAY + 2 * HOUR)

    for metal, earlier in {"gold": 0 * STEP, "palladium": STEP}.items():
        assert board.spells(metal) == [
            ("live", dt.timedelta(0)),
            ("stale", last - earlier + 6 * STEP),
            ("fallback", last - earlier + 2 * HOUR),
            ("live", DAY + HOUR),
        ]

    history = rest(server, "history", limit=1000)
    sources = [(each["source"], dt.datetime.fromisoformat(each["publishedAt"]) - NOW) for each in reversed(history)]
    assert sources == [
        ("fallback", dt.timedelta(0)),  # until the first source has answered
        *(("gold_api_com", step * STEP) for step in range(4)),
        ("fallback", last + 2 * HOUR),
        *(("gold_api_com", DAY + HOUR + step * STEP) for step in range(5)),
    ]
    seqs = range(1, server.do(lambda: Head.current().seq) + 1)
    made = [recomputed(requests.get(f"{server.http_url}/api/v1/publications/{seq}/", timeout=10).text) for seq in seqs]
    assert [each["gold"] for each in made if "gold" in each] == [Decimal(str(row["price"])) for row in history[::-1]]
    hours = [dt.datetime.fromisoformat(each["start"]) - NOW for each in rest(server, "candles", interval="1h")]
    assert hours == [0 * HOUR, DAY + HOUR, DAY + 2 * HOUR]


def rest(server: Server, what: str, **query: Any) -> list[dict[str, Any]]:
    """The API's rows of gold."""
    answer = requests.get(f"{server.http_url}/api/v1/prices/gold/{what}/", params=query, timeout=10)
    return list(answer.json()["data"])
