"""The page of all fallback prices, sent several times at the same moment."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from prices.models import FallbackPrice
from streaming import publish
from tests.support.databases import seed
from tests.support.desk import FormFields
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/prices/fallbackprice/all/"


@pytest.fixture(autouse=True)
def desk(either_database: None, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A member of staff's browser, on a seeded database of each kind."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    seed()
    browser = Client()
    browser.force_login(User.objects.create_superuser("boss"))
    return browser


def send(desk: Client, fields: dict[str, str]) -> int:
    """Send the page from another tab of the same browser; returns the answer's status."""
    tab = Client()
    tab.cookies = desk.cookies
    return int(tab.post(PAGE, fields).status_code)


def versions() -> list[int]:
    return [int(price) for price in FallbackPrice.history.filter(metal="gold").values_list("price", flat=True)]


def test_the_same_page_is_saved_once(desk: Client) -> None:
    fields = FormFields(desk.get(PAGE).content).values | {"gold-price": "9300", "reason": "a double press"}
    assert at_once(lambda _: send(desk, fields), 3) == [302] * 3
    assert versions() == [9300, 9223]


def test_of_two_prices_one_is_saved_and_the_other_is_told(desk: Client) -> None:
    opened = FormFields(desk.get(PAGE).content).values

    def save(number: int) -> int:
        typed = {"gold-price": str(9300 + number), "reason": "the association's rate"}
        return send(desk, opened | typed)

    assert sorted(at_once(save, 2)) == [200, 302]
    assert len(versions()) == 2
