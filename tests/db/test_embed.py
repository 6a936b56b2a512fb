"""The prices in a frame of other people's pages."""

import re
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from pages.rows import default_sheet
from prices.models import ListedMetal
from prices.publishing import ingest
from tests.db.test_page_policies import STRICT, policy
from tests.support.quotes import NOW, quote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]


@pytest.fixture(autouse=True)
def prices(seeded: None) -> None:
    ingest.record([quote("gold", "12000", at=NOW), quote("silver", "150", at=NOW)], now=NOW)


def rows(page: Any) -> dict[str, str]:
    """The texts of a page's rows, each in one line, by row."""
    found = re.findall(r'data-row="(.*?)".*?>(.*?)</dd>', page.content.decode(), re.DOTALL)
    return {row: " ".join(re.sub("<[^>]*>", " ", text).split()) for row, text in found}


def test_prices_are_there_before_any_script_with_how_far_they_can_be_trusted(client: Client) -> None:
    page = client.get("/embed/?rows=gold:916:10gram,silver:999:kg")
    gold, silver = rows(page).values()
    # Of long ago, as these prices are.
    assert gold.startswith("Gold 22K · 916 Stale per 10 g · as of ")
    assert gold.endswith("₹1,09,920.00")
    assert silver.endswith("₹1,50,000.00")
    assert "do not price sales by them" in page.content.decode()


def test_without_rows_it_shows_the_usual_ones(client: Client) -> None:
    assert list(rows(client.get("/embed/"))) == list(map(str, default_sheet("INR")))


def test_pages_of_this_server_alone_may_frame_it_unless_a_setting_names_others(
    client: Client, settings: Settings
) -> None:
    streams = {"connect-src": ["'self'", "ws://testserver", "wss://testserver"]}
    page = client.get("/embed/")
    assert policy(page) == STRICT | streams | {"frame-ancestors": ["'self'"]}
    assert "X-Frame-Options" not in page.headers
    settings.EMBED_ALLOWED_ORIGINS = ["https://shop.example", "https://*.example.org"]
    page = client.get("/embed/")
    assert policy(page)["frame-ancestors"] == ["'self'", "https://shop.example", "https://*.example.org"]


@pytest.mark.parametrize("path", ["/", "/why/", "/developers/widgets/", "/admin/login/"])
def test_no_other_page_is_shown_in_a_frame(client: Client, settings: Settings, path: str) -> None:
    settings.EMBED_ALLOWED_ORIGINS = ["*"]
    page = client.get(path)
    assert policy(page)["frame-ancestors"] == ["'none'"]
    assert page["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", ["/embed/", "/screen/"])
@pytest.mark.parametrize("session", ["x" * 32, "x"])
def test_it_reads_no_cookie_and_sets_none(client: Client, path: str, session: str) -> None:
    page = client.get(path)
    cookies = f"swarna_board=rows%3Dsilver%26lang%3Dhi; sessionid={session}; csrftoken=x; messages=x"
    with_cookies = client.get(path, headers={"Cookie": cookies})
    moment = rb'"timestamp": "[^"]*"'
    assert re.sub(moment, b"", with_cookies.content) == re.sub(moment, b"", page.content)
    assert not client.cookies
    assert page["Vary"] == with_cookies["Vary"] == "Accept-Encoding, Accept-Language"


def test_its_language_is_the_addresss_or_the_browsers(client: Client) -> None:
    assert "सोना" in client.get("/embed/?lang=hi").content.decode()
    page = client.get("/embed/", headers={"Accept-Language": "gu-IN,en;q=0.5"})
    assert '<html lang="gu"' in page.content.decode()


def test_where_no_metal_is_listed_it_says_so(client: Client) -> None:
    ListedMetal.objects.update(enabled=False)
    page = client.get("/embed/")
    assert page.status_code == 200
    assert "No metal is listed here yet." in page.content.decode()
