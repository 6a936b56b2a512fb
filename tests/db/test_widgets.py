"""The widget maker: what its form chooses, and the HTML that it gives to copy."""

from html import unescape

import pytest
from django.http import QueryDict
from django.test import Client
from pytest_django import Settings

from pages.rows import MOST_ROWS, Row, default_sheet, written
from pages.widgets import codes, read
from prices.domain.quotes import Metal
from prices.domain.units import UNITS
from prices.models import ListedMetal
from tests.db.test_page_policies import STRICT, policy

USUAL = written(default_sheet("INR"))
TWO = "metal=gold&purity=916&unit=10gram&metal=silver&purity=999&unit=kg"
MANY = written([Row(Metal.GOLD, purity, unit) for purity in ("999", "916", "750", "585") for unit in UNITS][:MOST_ROWS])


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", USUAL),
        (TWO, "gold:916:10gram,silver:999:kg"),
        ("rows=gold:916:10gram,XAG:999:kg", "gold:916:10gram,silver:999:kg"),
        # The form had gold's purity, and the metal was changed.
        ("metal=silver&purity=916&unit=kg", "silver:999:kg"),
        ("metal=copper&purity=916&unit=kg", USUAL),
        ("metal=gold&metal=<b>", "gold:999:gram"),
        (f"{TWO}&add=1", "gold:916:10gram,silver:999:kg,gold:999:10gram"),
        (f"rows={USUAL}&add=1", f"{USUAL},gold:999:gram"),
        (f"rows={MANY}&add=1", MANY),
        (f"metal=platinum&rows={MANY}", f"platinum:999:gram,{MANY.rpartition(',')[0]}"),
        (f"{TWO}&remove=0", "silver:999:kg"),
        (f"{TWO}&up=1", "silver:999:kg,gold:916:10gram"),
        # Buttons that are not there.
        ("rows=gold&remove=0", "gold:999:gram"),
        (f"{TWO}&up=0&remove=-1", "gold:916:10gram,silver:999:kg"),
        (f"{TWO}&up=2&remove={'9' * 5000}", "gold:916:10gram,silver:999:kg"),
    ],
)
def test_the_form_chooses_rows(query: str, rows: str) -> None:
    assert written(read(QueryDict(query), list(Metal)).rows) == rows


def test_only_listed_metals_are_offered() -> None:
    assert {row.metal for row in read(QueryDict("rows=gold,silver&add=1"), [Metal.SILVER]).rows} == {Metal.SILVER}


@pytest.mark.django_db
def test_where_every_row_there_is_is_chosen_none_can_be_added(client: Client, seeded: None) -> None:
    ListedMetal.objects.exclude(name="palladium").update(enabled=False)
    query, before = "rows=palladium", ""
    while query != before:
        page = client.get(f"/developers/widgets/?{query}&add=1")
        query, before = f"rows={page.context['rows']}", query
    assert 1 < len(page.context["choices"].rows) < MOST_ROWS
    assert 'id="add" value="1" disabled' in page.content.decode()


def test_the_html_to_copy_holds_the_choices() -> None:
    made = codes(read(QueryDict(f"{TWO}&lang=hi"), list(Metal)), "https://prices.example/metals/")
    script = '<script type="module" src="https://prices.example/metals/client/v1/element.js"></script>\n'
    assert made.sheet == f'{script}<swarna-sheet rows="gold:916:10gram,silver:999:kg" lang="hi"></swarna-sheet>'
    of_row = 'metal="gold" purity="916" unit="10gram" lang="hi"></swarna-price>'
    assert made.price == f"{script}<swarna-price {of_row}\n<p>Today: <swarna-price compact {of_row}</p>"
    assert 'src="https://prices.example/metals/embed/?rows=gold:916:10gram,silver:999:kg&amp;lang=hi"' in made.frame


@pytest.mark.django_db
def test_the_page_shows_what_it_gives_and_allows_nothing_else(client: Client, seeded: None) -> None:
    page = client.get(f"/developers/widgets/?{TWO}&lang=<script>")
    text = page.content.decode()
    streams = ["'self'", "ws://testserver", "wss://testserver"]
    assert policy(page) == STRICT | {"connect-src": streams, "frame-src": ["'self'"]}
    assert '<iframe src="/embed/?rows=gold:916:10gram,silver:999:kg"' in text
    assert '<script type="module" src="http://testserver/client/v1/element.js"></script>' in unescape(text)
    assert "<script>" not in text


@pytest.mark.django_db
def test_before_any_metal_is_listed_all_are_offered(client: Client) -> None:
    assert client.get("/developers/widgets/").context["rows"] == USUAL


@pytest.mark.parametrize(
    ("origins", "said"),
    [
        ([], "So far it is shown on pages of this server alone"),
        (["https://shop.example"], "on pages of this server, and of https://shop.example."),
        (["*"], "It is shown on pages of any site."),
    ],
)
def test_the_page_says_whose_pages_may_show_a_frame(
    client: Client, seeded: None, settings: Settings, origins: list[str], said: str
) -> None:
    settings.EMBED_ALLOWED_ORIGINS = origins
    assert said in client.get("/developers/widgets/").text
