"""A metal's page, as the server writes it."""

import datetime as dt
import json
import re
from decimal import Decimal
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from django.utils.http import urlencode
from pytest_django import DjangoAssertNumQueries, Settings

from infra.rest import throttles
from pages import history, metal, metal_words
from pages.ranges import ChartRange
from pages.reader_choice import COOKIE
from prices.domain.candles import Interval
from prices.domain.fineness import PURITIES_OF
from prices.domain.quotes import Metal, PriceKind
from prices.domain.units import UNITS
from prices.history import candle_store
from prices.history.candle_store import Series
from prices.models import Candle, LatestPrice, ListedMetal, Price, Receipt
from prices.publishing import ingest
from tests.db.test_page_policies import policy
from tests.support.always_open import AlwaysOpen
from tests.support.product import ROOT
from tests.support.quotes import quote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]

MINUTE = dt.timedelta(minutes=1)
# Before now, by any clock: the future has no price.
AN_HOUR_AGO = timezone.now().replace(second=0, microsecond=0) - 60 * MINUTE
GOLD = Series("gold", "INR", PriceKind.LIVE)


def publish(minutes: float = 0, *, at: dt.datetime | None = None, **prices: str) -> int:
    """Publish prices so many minutes after an hour ago; returns their `seq`."""
    at = at or AN_HOUR_AGO + minutes * MINUTE
    publication = ingest.record([quote(metal, price, at=at) for metal, price in prices.items()], now=at)
    assert publication is not None
    return publication.seq


def fill_days(closes: list[str]) -> None:
    """Day candles of gold that end with today's, with these closes and nothing but them."""
    for back, close in enumerate(reversed(closes)):
        start = Interval.DAY.start(timezone.now() - dt.timedelta(days=back), candle_store.zone())
        price = Decimal(close)
        figures = dict.fromkeys(("open", "high", "low", "close"), price)
        moments = dict.fromkeys(("first_at", "last_at"), start)
        Candle.objects.create(
            metal="gold", currency="INR", lane="live", interval="1d", start=start, ticks=1, seq=0, **figures, **moments
        )


def read(page: Any) -> str:
    """A page as its reader sees it, in one line."""
    body = page.content.decode().partition("<body>")[2].partition("<script")[0]
    return " ".join(unescape(re.sub("<[^>]*>", " ", body)).split())


def state(page: Any) -> dict[str, Any]:
    """The state that the page's script begins with."""
    (text,) = re.findall(r'<script id="state" type="application/json">(.*?)</script>', page.content.decode(), re.S)
    found: dict[str, Any] = json.loads(text)
    return found


# --- the price of now ----------------------------------------------------------------------------------------------


def test_a_metals_page_has_its_price_before_any_script(client: Client) -> None:
    seq = publish(gold="9223.3161")
    page = client.get("/gold/")
    assert page.status_code == 200
    # By the custom of the currency, for 10 g.
    assert "₹92,233.16" in read(page)
    assert f'href="/why/{seq}/#gold"' in page.content.decode()
    assert (state(page)["seq"], state(page)["quotes"]["gold"]["price"]) == (seq, 9223.3161)
    assert policy(page) == policy(client.get("/"))


def test_an_address_chooses_the_unit_and_the_purity(client: Client) -> None:
    publish(gold="9223.3161")
    assert "₹98,54" in read(client.get("/gold/?unit=tola&purity=916"))
    assert read(client.get("/gold/?unit=GRAM&purity=24K")) == read(client.get("/gold/?unit=gram&purity=999"))


def test_a_page_says_which_part_of_its_address_it_does_not_understand(client: Client) -> None:
    publish(gold="9223.3161")
    query = {"unit": "<b>ton</b>", "purity": "925", "range": "2D" * 100}
    page = client.get(f"/gold/?{urlencode(query)}")
    assert page.status_code == 200
    assert "₹92,233.16" in read(page)
    assert "<b>ton" not in page.content.decode()
    assert "Not all of this address is understood. purity=925, unit=<b>ton</b>, range=2D2D" in read(page)
    assert "2D" * 30 not in read(page)


def test_every_purity_and_weight_has_its_price(client: Client) -> None:
    publish(silver="105.05")
    page = client.get("/silver/").content.decode()
    cells = re.findall(r'<td data-unit="(\w+)" data-purity="(\w+)">([^<]*)</td>', page)
    purities = [purity for purity in PURITIES_OF[Metal.SILVER] if not purity.endswith("k")]
    assert [(unit, purity) for unit, purity, _ in cells] == [(unit, purity) for purity in purities for unit in UNITS]
    amounts = {(unit, purity): amount for unit, purity, amount in cells}
    assert (amounts["kg", "999"], amounts["gram", "925"]) == ("1,05,050.00", "97.17")


def test_the_price_of_a_simulated_or_contested_market_is_marked(client: Client, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["simulated"]
    ingest.record([quote("gold", "9223.3161", source="simulated", at=AN_HOUR_AGO)], now=AN_HOUR_AGO)
    page = client.get("/gold/")
    assert page.context["card"].marks.startswith("Simulated")
    assert 'id="nowinall" data-trust="simulated"' in page.content.decode()
    assert '<span class="marks" id="marksinall">Simulated' in page.content.decode()
    assert "Simulated: Gold. A made-up market for trying things out" in read(page)


def test_a_metal_without_a_price_has_a_page(client: Client) -> None:
    LatestPrice.objects.all().delete()
    page = client.get("/palladium/")
    assert page.status_code == 200
    assert "Waiting for a price" in read(page)
    assert "No prices are kept yet." in read(page)


def test_a_metal_that_is_not_listed_has_no_page(client: Client) -> None:
    ListedMetal.objects.filter(name="palladium").update(enabled=False)
    assert client.get("/palladium/").status_code == 404
    assert "Palladium" not in read(client.get("/gold/"))
    missing = client.get("/copper/")
    assert missing.status_code == 404
    assert '<a href="/">All prices</a>' in missing.content.decode()


def test_a_page_speaks_the_language_of_its_address_and_its_links_keep_it(client: Client) -> None:
    publish(gold="9223.3161")
    page = client.get("/gold/?lang=hi")
    assert "सोना" in read(page)
    assert 'href="/silver/?lang=hi"' in page.content.decode()
    assert 'href="/silver/"' in client.get("/gold/").content.decode()


def test_a_page_speaks_the_language_that_its_reader_chose_on_the_board(client: Client) -> None:
    client.cookies[COOKIE] = "lang=hi"
    page = client.get("/gold/")
    assert "सोना" in read(page)
    assert "Cookie" in page["Vary"]
    # The choice is the reader's: a link that they pass on leaves it to others.
    assert 'href="/silver/"' in page.content.decode()
    assert "lang=hi" not in read(client.get("/gold/?lang=en"))


def test_a_card_of_the_board_leads_to_the_page_of_its_metal(client: Client) -> None:
    publish(gold="9223.3161")
    board = client.get("/?rows=gold:916:tola").content.decode()
    (address,) = re.findall(r'<a data-part="name" href="([^"]*)"', board)
    assert client.get(unescape(address)).context["card"].row == ("gold", "916", "tola")


# --- the chart and its figures -------------------------------------------------------------------------------------


def test_a_range_has_its_figures_in_the_chosen_measure(client: Client) -> None:
    fill_days(["9000", "9400", "9200"])
    page = client.get("/gold/?range=1Y&unit=gram&purity=916")
    figures = {figure.name: figure for figure in page.context["figures"]}
    assert {name: figure.amount.text for name, figure in figures.items()} == {
        "first": "8,244.00",
        "last": "8,427.20",
        "change": "+183.20",
        "high": "8,610.40",
        "low": "8,244.00",
        "average": "8,427.20",
    }
    assert figures["change"].percent == "+2.22%"
    assert figures["high"].at.startswith(f"{timezone.localtime() - dt.timedelta(days=2):%Y-%m-%d}")


def test_a_range_ends_with_the_newest_candle_however_old_that_is(client: Client) -> None:
    friday = AN_HOUR_AGO - dt.timedelta(days=2)
    publish(at=friday - dt.timedelta(hours=25), gold="9000")
    publish(at=friday - dt.timedelta(hours=23), gold="9100")
    publish(at=friday, gold="9200")
    shown = {figure.name: figure.amount.text for figure in client.get("/gold/?unit=gram").context["figures"]}
    assert (shown["first"], shown["last"]) == ("9,100.00", "9,200.00")


def test_the_line_of_a_range_is_drawn_by_the_server(client: Client) -> None:
    fill_days(["9000", "9400", "9200"])
    assert '<path d="M0 300L500 0L1000 150"' in client.get("/gold/?range=all").content.decode()


def test_the_charts_library_is_named_as_its_licence_asks(client: Client) -> None:
    page = client.get("/gold/")
    notice = (ROOT / "pages/static/pages/vendor/NOTICE").read_text()
    assert " ".join(notice.split()) in read(page)
    assert '<a href="https://www.tradingview.com/"' in page.content.decode()


def test_the_csv_of_a_range_has_its_candles_in_the_chosen_measure(client: Client) -> None:
    fill_days(["9000", "9400", "9200"])
    address = unescape(
        re.findall(r'id="csv" href="([^"]*)"', client.get("/gold/?range=1Y&unit=gram").content.decode())[0]
    )
    table = client.get(address)
    assert table["Content-Type"].startswith("text/csv")
    assert table.content.decode().count("\n") == 4
    assert parse_qs(urlsplit(address).query)["unit"] == ["gram"]


def test_a_csv_that_has_not_all_candles_says_how_many_it_has(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_days(["9000", "9400", "9200"])
    assert "These candles as CSV" in read(client.get("/gold/?range=all"))
    monkeypatch.setattr(metal_words, "MOST_PER_PAGE", 2)
    page = client.get("/gold/?range=all&unit=gram")
    assert "The newest 2 candles as CSV" in read(page)
    address = unescape(re.findall(r'id="csv" href="([^"]*)"', page.content.decode())[0])
    assert client.get(address).content.decode().count("\n") == 3
    assert "These candles as CSV" in read(client.get("/gold/?range=1D"))


def test_all_readers_of_a_range_share_one_reading(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    fill_days(["9000", "9400", "9200"])
    histories, version = history.Histories(), object()
    with django_assert_num_queries(2):
        found = [histories.get(version, Metal.GOLD, ChartRange.YEAR) for _ in range(3)]
    assert found[0] is found[1] is found[2]
    with django_assert_num_queries(2):
        assert histories.get(object(), Metal.GOLD, ChartRange.YEAR) == found[0]


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A database that cannot be read; the list has an entry for each try. Nothing is remembered of before."""
    tries: list[int] = []

    def fail(*_: object) -> None:
        tries.append(1)
        raise OperationalError("the database is away")

    monkeypatch.setattr(history, "read", fail)
    monkeypatch.setattr(connection, "is_usable", lambda: False)
    monkeypatch.setattr(metal, "_histories", history.Histories())
    return tries


def test_a_page_goes_on_without_a_history_that_cannot_be_read(client: Client, away: list[int]) -> None:
    publish(gold="9223.3161")
    page = client.get("/gold/")
    assert page.status_code == 200
    assert "₹92,233.16" in read(page)
    assert "The history cannot be read now." in read(page)


def test_of_all_readers_one_waits_for_a_database_that_is_away_and_says_so_once(
    away: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def ask(number: int) -> object:
        return histories.get(1, list(Metal)[number % 4], ChartRange.DAY)

    histories = history.Histories()
    assert [ask(number) for number in range(8)] == [None] * 8
    assert len(away) == 1
    monkeypatch.setattr(history, "_PAUSE", 0)
    assert ask(0) is None
    assert len(away) == 2
    monkeypatch.setattr(history, "read", lambda *_: history.History([], []))
    assert ask(0) == ask(0) == history.History([], [])
    assert [record.getMessage() for record in caplog.records] == [
        "pages of metals are shown without their history: the database is away",
        "pages of metals have their history again",
    ]


def test_a_history_that_takes_too_long_is_left_alone_and_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As all candles of years may, of a database that answers."""
    tries: list[tuple[Metal, ChartRange]] = []

    def read(metal: Metal, chart_range: ChartRange) -> history.History:
        tries.append((metal, chart_range))
        if chart_range is ChartRange.ALL:
            raise OperationalError("canceling statement due to statement timeout")
        return history.History([], [])

    monkeypatch.setattr(history, "read", read)
    histories = history.Histories()
    for version in range(3):
        assert histories.get(version, Metal.GOLD, ChartRange.ALL) is None
        assert histories.get(version, Metal.GOLD, ChartRange.DAY) == history.History([], [])
    assert tries.count((Metal.GOLD, ChartRange.ALL)) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "pages of metals are shown without their history: canceling statement due to statement timeout"
    ]


# --- the last days -------------------------------------------------------------------------------------------------


def test_the_last_ten_days_come_newest_first_each_compared_with_the_day_before(client: Client) -> None:
    fill_days([str(9000 + 100 * day) for day in range(12)])
    days = client.get("/gold/?unit=gram").context["days"]
    assert len(days) == 10
    assert [day.iso for day in days[:2]] == [
        f"{timezone.localtime() - dt.timedelta(days=back):%Y-%m-%d}" for back in range(2)
    ]
    assert [(day.close.text, day.change.text, day.percent) for day in (days[0], days[-1])] == [
        ("10,100.00", "+100.00", "+1.00%"),
        ("9,200.00", "+100.00", "+1.10%"),
    ]


def test_the_first_day_of_a_history_is_compared_with_nothing(client: Client) -> None:
    fill_days(["9000", "8900"])
    days = client.get("/gold/?unit=gram").context["days"]
    assert [(day.change.text, day.percent, day.direction) for day in days] == [
        ("-100.00", "-1.11%", "down"),
        ("—", "", "none"),
    ]


# --- what it was at a moment ---------------------------------------------------------------------------------------


def ask(client: Client, at: dt.datetime | str, query: str = "unit=gram") -> Any:
    """Ask what gold was at a moment, by the clock of TIME_ZONE or as it is written."""
    return client.get(f"/gold/?{query}&at={quote_plus(at) if isinstance(at, str) else moment_in_address(at)}")


def moment_in_address(at: dt.datetime) -> str:
    return quote_plus(f"{timezone.localtime(at):%Y-%m-%dT%H:%M:%S}")


def test_a_moment_has_the_price_that_screens_showed(client: Client, settings: Settings) -> None:
    settings.MARKET_CALENDAR = AlwaysOpen()
    seq = publish(gold="9223.3161")
    publish(10, gold="9300")
    page = ask(client, AN_HOUR_AGO + MINUTE, "unit=10gram&purity=916")
    answer = page.context["answer"]
    assert (answer.price.text, answer.marks, answer.seq) == ("₹84,485.58", "Live", seq)
    assert f'href="/why/{seq}/#gold"' in page.content.decode()
    assert "from gold-api.com" in answer.detail


def test_a_price_that_had_grown_old_by_then_is_marked_stale(client: Client, settings: Settings) -> None:
    settings.MARKET_CALENDAR = AlwaysOpen()
    publish(gold="9223.3161")
    assert ask(client, AN_HOUR_AGO + 50 * MINUTE).context["answer"].marks == "Stale"


def test_where_the_limit_of_then_is_not_known_neither_page_says_how_fresh_a_price_was(
    client: Client, settings: Settings
) -> None:
    """So it is of ticks from before there were receipts."""
    settings.MARKET_CALENDAR = AlwaysOpen()
    publish(gold="9223.3161")
    Receipt.objects.all().delete()
    answer = ask(client, AN_HOUR_AGO + MINUTE).context["answer"]
    assert (answer.price.text, answer.marks, answer.trust) == ("₹9,223.32", "", "none")
    ((_, story),) = client.get(f"/why/?metal=gold&at={moment_in_address(AN_HOUR_AGO + MINUTE)}").context["stories"]
    assert (story.label, story.mark) == ("", "none")


@pytest.mark.parametrize("minutes", [1, 50])
def test_the_receipt_of_a_moment_has_the_mark_that_the_metals_page_tells(
    client: Client, settings: Settings, minutes: int
) -> None:
    settings.MARKET_CALENDAR = AlwaysOpen()
    publish(gold="9223.3161")
    at = AN_HOUR_AGO + minutes * MINUTE
    ((_, story),) = client.get(f"/why/?metal=gold&at={moment_in_address(at)}").context["stories"]
    assert story.label == ask(client, at).context["answer"].marks


def test_a_moment_may_be_written_with_an_offset_or_as_a_date(client: Client) -> None:
    publish(at=AN_HOUR_AGO - dt.timedelta(days=2), gold="9100")
    publish(gold="9223.3161")
    assert ask(client, f"{AN_HOUR_AGO + MINUTE:%Y-%m-%dT%H:%M:%S}+00:00").context["answer"].price.text == "₹9,223.32"
    assert ask(client, f"{timezone.localtime():%Y-%m-%d}").context["answer"].price.text == "₹9,100.00"


def test_where_no_receipt_is_kept_the_candle_that_holds_the_moment_answers(client: Client) -> None:
    publish(gold="9223.3161")
    Receipt.objects.all().delete()
    Price.objects.all().delete()
    page = ask(client, AN_HOUR_AGO + MINUTE / 2)
    answer = page.context["answer"]
    assert (answer.price, answer.low.text) == (None, "9,223.32")
    card = page.context["card"]
    assert f" 9,223.32 INR {card.per} · {card.purity}" in read(page)
    assert answer.headline.startswith("No publication of")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("2999-01-01", "That is in the future"),
        ("yesterday", "Write a time such as"),
        ("2026-13-01", "Write a time such as"),
        ("0001-01-01T00:00:00", "Write a time such as"),
        ("9999-12-31T23:59:59-23:59", "Write a time such as"),
        ("<script>alert(1)</script>", "Write a time such as"),
        ("1950-01-01", "No price is known of"),
    ],
)
def test_a_moment_without_an_answer_has_a_reason(client: Client, written: str, problem: str) -> None:
    publish(gold="9223.3161")
    page = ask(client, written)
    assert page.status_code == 200
    assert page.context["answer"].problem.startswith(problem)
    assert "<script>alert" not in page.content.decode()
    assert "₹9,223.32" in read(page)


def test_questions_count_as_requests_of_the_api(client: Client, settings: Settings) -> None:
    publish(gold="9223.3161")
    settings.API_RATE_LIMIT = 1
    throttles.counter.cache_clear()
    assert ask(client, AN_HOUR_AGO + MINUTE).status_code == 200
    page = ask(client, AN_HOUR_AGO + MINUTE)
    assert (page.status_code, page["Retry-After"].isdigit()) == (429, True)
    assert "Too many questions." in read(page)
    # The page itself costs no more than the board.
    assert client.get("/gold/").status_code == 200
