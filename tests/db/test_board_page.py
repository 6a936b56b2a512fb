"""The board as the server writes it: what it shows before any script, and by what its reader chose."""

import datetime as dt
import json
import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote as percent_encoded

import pytest
from django.conf import settings
from django.http.response import HttpResponseBase
from django.test import AsyncRequestFactory, Client
from pytest_django import DjangoAssertNumQueries, Settings

from pages.board import board
from pages.memory import MEMORY, Current, Move, Sparkline
from pages.reader_choice import COOKIE
from prices.domain.quotes import Change, Metal
from prices.models import ListedMetal
from prices.publishing import ingest
from streaming.protocol import Feed
from tests.support.pages.board import board_page, current, published
from tests.support.quotes import NOW, quote

EVIL = "<script>alert(1)</script>"


class Cards(HTMLParser):
    """The texts of the parts of each card, by its row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cards: dict[str, dict[str, str]] = {}
        self._part: str | None = None
        self._row = ""
        self.feed(page.partition("<template")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if row := named.get("data-row"):
            self._row = row
            self.cards[row] = {"trust": named["data-trust"] or ""}
        self._part = named.get("data-part")

    def handle_endtag(self, tag: str) -> None:
        self._part = None

    def handle_data(self, data: str) -> None:
        if self._part and self._row:
            self.cards[self._row][self._part] = data


def cards(page: Any) -> dict[str, dict[str, str]]:
    return Cards(page if isinstance(page, str) else page.content.decode()).cards


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page if isinstance(page, str) else page.content.decode()))


@pytest.fixture
def priced(seeded: None) -> None:
    """A database with a price of gold and silver of now."""
    now = dt.datetime.now(dt.UTC)
    ingest.record([quote(price="13221.39", at=now), quote("silver", "158.2", at=now)], now=now)


# --- what it shows -------------------------------------------------------------------------------------------------


def test_a_card_says_all_there_is_to_know_of_a_price_before_any_script() -> None:
    gold = published(
        quote(price="13221.39", bid="13220", ask="13223"),
        open="13178.4",
        high="13274.1",
        low="13116",
        previous_close="13201.18",
    )
    page = board_page("gold:916:10gram,silver:999:kg", current([gold], seq=18231))
    shown = cards(page)
    assert list(shown) == ["gold:916:10gram", "silver:999:kg"]
    assert shown["gold:916:10gram"] == {
        "trust": "live",
        "name": "Gold",
        "purity": "22K · 916",
        "marks": "Live",
        "amount": "₹1,21,107.93",
        "per": "per 10 g",
        "arrow": "▲",
        "difference": "+185.12",
        "percent": "+0.15%",
        "against": "since the previous close",
        "low": "1,20,142.56",
        "high": "1,21,590.76",
        "open": "1,20,714.14",
        "previousClose": "1,20,922.81",
        "bid": "1,21,095.20",
        "ask": "1,21,122.68",
        "age": "as of 24 Sept 2026, 1:30 pm",
        "origin": "from gold-api.com",
        "why": "Why?",
        "whose": " Gold 22K · 916",
    }
    assert shown["silver:999:kg"]["amount"] == "—"
    assert shown["silver:999:kg"]["age"] == "Waiting for a price"
    assert 'href="/why/18231/#gold"' in page
    assert 'href="/gold/?unit=10gram&amp;purity=916&amp;lang=en"' in page


@pytest.mark.parametrize(
    ("fields", "shown", "trust", "notice"),
    [
        ({}, {}, "live", ""),
        ({}, {"market": "closed", "feed": Feed.STALE}, "close", "Market closed. Nothing is traded"),
        ({}, {"stale": [Metal.GOLD], "feed": Feed.STALE}, "stale", "Stale: Gold. The source has not confirmed"),
        ({"source": "fallback"}, {"feed": Feed.FALLBACK}, "fallback", "Fallback: Gold. No live source answers."),
        ({"source": "simulated"}, {"feed": Feed.SIMULATED}, "simulated", "Simulated: Gold. A made-up market"),
    ],
)
def test_labels_and_notices_are_there_before_any_script(
    fields: dict[str, Any], shown: dict[str, Any], trust: str, notice: str
) -> None:
    page = board_page("gold", current([published(quote(**fields))], **shown))
    assert cards(page)["gold:999:gram"]["trust"] == trust
    assert notice in text_of(page)


def test_no_prices_at_all_are_said() -> None:
    assert "No prices. No source has answered yet." in text_of(board_page("gold", current(feed=Feed.DOWN)))


@pytest.mark.parametrize(("price", "place"), [("100", 0), ("130", 75), ("140", 100)])
def test_a_mark_shows_where_in_the_days_range_a_price_is(price: str, place: int) -> None:
    page = board_page("gold", current([published(quote(price=price), low="100", high="140")]))
    assert f'data-part="range"><path d="M0 4h100"/><path class="here" data-part="at" d="M{place} 0v8"/>' in page


def test_a_day_with_one_price_has_no_range() -> None:
    page = board_page("gold", current([published(quote(price="100"), low="100", high="100")]))
    assert 'data-part="range" hidden>' in page


def test_the_name_of_a_source_is_text_whatever_it_holds() -> None:
    page = board_page("gold", current([published(quote(source=EVIL))]))
    assert EVIL not in page
    assert "from &lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize(
    ("source", "path"), [("gold-api.com", "M0 32L48 0L96 16"), ("fallback", "M0 32L96 0")], ids=["market", "staff"]
)
def test_a_sparkline_ends_in_the_price_of_now_unless_staff_set_it(source: str, path: str) -> None:
    sparkline = Sparkline((0, 900_000), (Decimal(100), Decimal(110)))
    page = board_page(
        "gold", current([published(quote(price="105", source=source))], sparklines={Metal.GOLD: sparkline})
    )
    assert f'<path data-part="sparkline" d="{path}"/>' in page


def test_moves_of_before_are_listed_with_the_threshold_and_in_the_rows_measure() -> None:
    change = Change(metal=Metal.GOLD, old_price=Decimal(100), new_price=Decimal(102), change_percent=Decimal("2.00"))
    page = text_of(board_page("gold:750:10gram", current(moves=[Move(change, NOW)])))
    assert "Moves of 1% and more" in page
    assert "24 Sept 2026, 1:30 pm Gold ▲ +2.00% 750.00 → 765.00".replace(" ", "") in page.replace(" ", "")


def test_the_script_goes_on_from_the_page_with_amounts_as_on_the_wire() -> None:
    page = board_page("gold", current([published(quote(price="13221.39"))], seq=7))
    found = re.search(r'<script id="state" type="application/json">(.*?)</script>', page)
    assert found
    state = json.loads(found[1])
    assert (state["epoch"], state["seq"], state["publishedAt"]) == ("first", 7, "2026-11-01T18:30:01.000Z")
    assert state["quotes"]["gold"]["price"] == 13221.39
    assert state["listed"] == ["gold", "silver", "platinum", "palladium"]


@pytest.mark.parametrize("language", [code for code, _ in settings.LANGUAGES])
def test_every_language_has_its_page_and_latin_digits(language: str) -> None:
    page = board_page("gold:916:10gram", current([published(quote(price="13221.39"))]), language)
    assert f'<html lang="{language}" data-locale="{language}-IN"' in page
    assert cards(page)["gold:916:10gram"]["amount"] == "₹1,21,107.93"


# --- by what its reader chose --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_first_visit_shows_the_usual_rows_of_the_currency(client: Client, priced: None) -> None:
    shown = cards(client.get("/"))
    assert list(shown) == [
        *("gold:999:10gram", "gold:916:10gram", "gold:750:10gram", "silver:999:kg"),
        *("platinum:999:gram", "palladium:999:gram"),
    ]
    assert shown["gold:999:10gram"]["amount"] == "₹1,32,213.90"


@pytest.mark.django_db
def test_a_link_shows_what_its_sender_saw_whatever_its_reader_chose_before(client: Client, priced: None) -> None:
    client.cookies[COOKIE] = percent_encoded("rows=silver:925:kg&lang=hi")
    remembered = client.get("/")
    assert list(cards(remembered)) == ["silver:925:kg"]
    assert '<html lang="hi"' in remembered.content.decode()
    assert "Cookie" in remembered["Vary"]
    # The same rows in another language, for somebody without the cookie.
    assert 'href="?rows=silver:925:kg&amp;lang=en"' in remembered.content.decode()
    sent = client.get("/?rows=gold:916:10gram&lang=en")
    assert list(cards(sent)) == ["gold:916:10gram"]
    assert '<html lang="en"' in sent.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("cookie", ["", "%", "%00%ff", "rows=", f"rows={EVIL}&lang=xx", "lang", "&" * 2000, "=;="])
def test_a_cookie_may_hold_anything(client: Client, priced: None, cookie: str) -> None:
    client.cookies[COOKIE] = cookie
    page = client.get("/")
    assert (page.status_code, len(cards(page))) == (200, 6)


@pytest.mark.django_db
def test_metals_that_staff_switched_off_are_not_on_it(client: Client, priced: None) -> None:
    ListedMetal.objects.exclude(name="silver").update(enabled=False)
    assert list(cards(client.get("/"))) == ["silver:999:kg"]
    page = client.get("/?rows=gold,silver")
    assert list(cards(page)) == ["silver:999:gram"]
    assert "“gold:999:gram” names no metal that is listed here." in text_of(page)


@pytest.mark.django_db
def test_other_currencies_have_their_own_customs(client: Client, seeded: None, settings: Settings) -> None:
    settings.BASE_CURRENCY = "USD"
    page = client.get("/")
    assert list(cards(page)) == [f"{metal}:999:troy_ounce" for metal in Metal]
    assert 'data-locale="en-US"' in page.content.decode()


# --- what it costs -------------------------------------------------------------------------------------------------


class Known:
    """A memory with a price of gold."""

    def known(self) -> Current:
        return current([published(quote())], seq=1)


@pytest.mark.django_db
def test_from_memory_it_costs_no_query_and_is_not_sent_again(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    def ask(**headers: str) -> HttpResponseBase:
        request = AsyncRequestFactory().get("/", headers=headers)
        request.scope = {**request.scope, MEMORY: Known()}
        return board(request)

    with django_assert_num_queries(0):
        first = ask()
        again = ask(If_None_Match=first["ETag"])
    assert (first.status_code, again.status_code) == (200, 304)
    assert first["Cache-Control"] == "no-cache"
