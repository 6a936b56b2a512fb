"""The screen of a shop, as its address asks for it."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from pages.screen import shop_name
from prices.publishing import ingest
from tests.support.quotes import quote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("published")]


@pytest.fixture
def published(seeded: None) -> None:
    now = timezone.now()
    ingest.record([quote("gold", "13221.39", at=now), quote("silver", "168.54", at=now)], now=now)


def texts(page: str, part: str) -> list[str]:
    """The texts of a part of each row."""
    return [text.strip() for text in re.findall(rf'data-part="{part}"[^>]*>([^<]*)<', page)]


def test_prices_and_their_time_are_there_without_a_script_and_come_anew_each_minute(client: Client) -> None:
    page = client.get("/screen/?rows=gold:916:10gram,silver:999:kg").content.decode()
    assert texts(page, "amount") == ["₹1,21,107.93", "₹1,68,540.00"]
    assert '<noscript><meta http-equiv="refresh" content="60"></noscript>' in page
    assert "This page does not update.</strong> These are the last prices, from " in page


def test_an_address_without_rows_has_the_usual_ones(client: Client) -> None:
    page = client.get("/screen/").content.decode()
    rows = re.findall(r'data-row="(.*?)"', page)
    assert rows[:4] == ["gold:999:10gram", "gold:916:10gram", "gold:750:10gram", "silver:999:kg"]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 1), (4, 2), (8, 2), (9, 3), (16, 4), (24, 4)])
def test_rows_share_as_many_columns_as_leave_them_large(client: Client, rows: int, columns: int) -> None:
    purities = ("999", "995", "958", "916", "833", "750", "585", "375")
    named = [f"gold:{purity}:{unit}" for unit in ("gram", "tola", "kg") for purity in purities][:rows]
    assert f'data-columns="{columns}"' in client.get("/screen/", {"rows": ",".join(named)}).content.decode()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  Shree \n Ganesh\t", "Shree Ganesh"),
        ("श्री गणेश ज्वैलर्स", "श्री गणेश ज्वैलर्स"),
        ("क्‍ष", "क्‍ष"),  # with a joiner, which is part of the word
        ("\N{RIGHT-TO-LEFT OVERRIDE}srelleweJ", "srelleweJ"),
        ("x" * 61, "x" * 59 + "…"),
        ("", ""),
    ],
)
def test_a_shops_name_is_one_line_that_can_be_read(text: str, name: str) -> None:
    assert shop_name(text) == name


def test_a_shops_name_is_text_whatever_it_holds(client: Client) -> None:
    assert "<bdi>&lt;i&gt;</bdi>" in client.get("/screen/", {"name": "\0<i>"}).content.decode()


def test_the_page_is_of_its_address_alone(client: Client) -> None:
    client.cookies["swarna_board"] = "rows%3Dsilver%3A999%3Akg%26lang%3Dhi"
    response = client.get("/screen/")
    assert "Cookie" not in response["Vary"]
    assert 'lang="en"' in response.content.decode()
    assert 'data-row="gold:999:10gram"' in response.content.decode()
