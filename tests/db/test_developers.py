"""The documents for developers, as pages: whole, of the server that they are read from, and without a dead link."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest
from django.test import Client
from django.urls import set_script_prefix

from pages import developers
from tests.support.product import ROOT

pytestmark = pytest.mark.django_db

PAGES = [address for address, _, _ in developers.navigation(None)]


def page(client: Client, path: str, **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200, path
    return response.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_all_of_its_document(client: Client, path: str) -> None:
    html = page(client, path)
    name = path.removeprefix("/developers/").rstrip("/")
    markdown = (ROOT / developers._SOURCES[name].file).read_text()
    assert html.count("<h1>") == 1
    text, blocks = re.subn(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    assert html.count("<pre") == blocks
    assert len(re.findall("<h[234] id=", html)) == len(re.findall(r"^#{2,4} ", text, re.MULTILINE))
    assert "](" not in re.sub("<pre.*?</pre>", "", html, flags=re.DOTALL)


def test_all_pages_lead_to_each_other_and_say_which_is_shown(client: Client) -> None:
    for shown in (*PAGES, "/developers/widgets/"):
        (links,) = re.findall('<nav class="documents".*?</nav>', page(client, shown), re.DOTALL)
        assert set(re.findall('href="(.*?)"', links)) == {*PAGES, "/developers/widgets/", "/api/docs/"}
        assert re.findall('href="(.*?)" aria-current="page"', links) == [shown]


@pytest.mark.parametrize("path", PAGES)
def test_each_link_of_a_page_leads_somewhere(client: Client, path: str) -> None:
    (main,) = re.findall("<main>.*</main>", page(client, path), re.DOTALL)
    for link in re.findall(r'<a href="([^"]*)"', main):
        address, fragment = urldefrag(urljoin(path, link))
        if address.startswith("/"):
            assert not fragment or f'id="{fragment}"' in page(client, address), link
            page(client, address)
        else:
            assert address.startswith("https://"), link


def test_examples_call_the_server_that_the_page_is_read_from(client: Client) -> None:
    client.defaults["HTTP_HOST"] = "localhost"
    html = "".join(page(client, path) for path in PAGES)
    assert "http://localhost/api/v1/prices/gold/?unit=10gram&amp;purity=916" in html
    assert "API=http://localhost/api/v1\n" in html
    assert "ws://localhost/" in html
    assert "3001/" not in html
    assert "prices.example" not in html
    secure = client.get("/developers/", secure=True).content.decode()
    assert "https://localhost/client/v1/element.js" in secure


@pytest.fixture
def below_gold() -> Iterator[None]:
    """The site below a prefix of its address, for which documents have to be rendered anew."""
    developers._read.cache_clear()
    set_script_prefix("/gold/")
    yield
    set_script_prefix("/")
    developers._read.cache_clear()


def test_links_stay_below_the_place_where_the_site_is(client: Client, below_gold: None) -> None:
    html = page(client, "/developers/")
    assert 'href="/gold/developers/stream/#priceupdate"' in html
    assert 'href="/gold/api/docs/"' in html
    assert "http://testserver/gold/api/v1/prices/gold/" in html


def test_a_link_to_a_file_that_the_site_does_not_have_is_plain_text(client: Client) -> None:
    assert "(operations.md)" in page(client, "/developers/rest/")


def test_a_program_is_served_as_it_is(client: Client) -> None:
    response = client.get("/developers/programs/checkout.py")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content == Path(ROOT / "docs/checkout.py").read_bytes()


@pytest.mark.parametrize("path", ["/developers/nothing/", "/developers/programs/manage.py", "/developers/%3Cb%3E/"])
def test_there_is_no_other_page(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404
