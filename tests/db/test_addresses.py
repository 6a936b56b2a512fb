"""The rows in the address of any page that shows some: whatever it holds, the page is answered, and names the rest."""

import re
from itertools import product

import pytest
from django.test import Client

from pages.rows import MOST_ROWS, default_sheet
from prices.publishing import ingest
from tests.support.quotes import NOW, quote

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("priced"),
    pytest.mark.parametrize("path", ["/", "/embed/", "/screen/"]),
]

MANY = [
    f"gold:{purity}:{unit}"
    for purity, unit in product((999, 995, 958, 916, 833), ("gram", "tola", "kg", "8gram", "10gram"))
]


@pytest.fixture
def priced(seeded: None) -> None:
    ingest.record([quote("gold", "12000", at=NOW), quote("silver", "150", at=NOW)], now=NOW)


def rows(page: str) -> list[str]:
    """The rows of a page, without the template of a card."""
    return re.findall(r'data-row="(.+?)"', page.partition("<template")[0])


@pytest.mark.parametrize(
    ("text", "shown", "said"),
    [
        ("gold,copper", ["gold:999:gram"], "“copper” names no metal that is listed here."),
        ("gold,<b>lead</b>", ["gold:999:gram"], "“&lt;b&gt;lead&lt;/b&gt;” names no metal that is listed here."),
        ("gold,silver:916:kg", ["gold:999:gram"], "“silver:916:kg” has a purity that its metal is not sold in."),
        ("gold,gold:999:stone", ["gold:999:gram"], "“gold:999:stone” has no unit that is known here."),
        ("gold,a:b:c:d", ["gold:999:gram"], "“a:b:c:d” is not written as metal:purity:unit."),
        (",".join(MANY), MANY[:MOST_ROWS], "1 more is left out."),
    ],
)
def test_all_that_is_understood_is_shown_and_the_rest_is_named_as_text(
    client: Client, path: str, text: str, shown: list[str], said: str
) -> None:
    answer = client.get(path, {"rows": text})
    page = answer.content.decode()
    assert (answer.status_code, rows(page)) == (200, shown)
    assert said in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    "query",
    [
        "rows=<script>alert(1)</script>&unit=<script>alert(1)</script>",
        "rows=" + "nonsense," * 10_000,
        "rows=%00&lang=%00&name=%00",
        "lang=<script>alert(1)</script>&rows=gold:x:y",
    ],
    ids=["a script", "ten thousand rows", "zero bytes", "a language"],
)
def test_nonsense_shows_the_usual_rows_and_nothing_of_it_runs(client: Client, path: str, query: str) -> None:
    answer = client.get(f"{path}?{query}")
    page = answer.content.decode()
    assert (answer.status_code, rows(page)) == (200, list(map(str, default_sheet("INR"))))
    assert "Not all of this address is understood" in page
    assert "<script>alert" not in page
    assert len(page) < {"/": 40_000, "/embed/": 20_000, "/screen/": 20_000}[path]


def test_an_address_does_not_turn_the_order_of_a_pages_letters(client: Client, path: str) -> None:
    sign = "\N{RIGHT-TO-LEFT OVERRIDE}"
    page = client.get(path, {"rows": f"a{sign}b", "unit": f"a{sign}b", "lang": f"{sign}\0c"}).content.decode()
    assert "a b" in page
    assert sign not in page
    assert "\0" not in page
