"""The fallback prices that come with an installation are examples, until staff enter or confirm their own."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from prices.domain.quotes import Publication
from prices.models import FallbackPrice, LatestPrice
from prices.publishing import ingest
from tests.support.desk import Broadcasts, errors, saved
from tests.support.quotes import NOW

pytestmark = pytest.mark.django_db

LIST = "/admin/prices/fallbackprice/"
GOLD = "/api/v1/fallback-prices/gold/"
SEEDS_NOTE = "goldapi.io, July 2025: replace it by today's price"


def gold() -> FallbackPrice:
    return FallbackPrice.objects.get(metal="gold")


def examples(publication: Publication) -> dict[str, bool]:
    return {published.quote.metal.value: published.quote.example for published in publication.quotes}


# --- on the desk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def page_of_gold(broadcasts: Broadcasts) -> str:
    """The address of gold's form, on an installation that shows its examples."""
    ingest.fall_back_where_due(now=NOW)
    return f"{LIST}{gold().pk}/change/"


def test_what_the_installation_shows_at_first_are_examples(desk: Client, page_of_gold: str) -> None:
    listed = desk.get(LIST).text
    assert listed.count("an example: enter today&#x27;s price") == 4
    assert "an example of July 2025" in desk.get(page_of_gold).text
    assert set(LatestPrice.objects.values_list("example", flat=True)) == {True}


def test_a_price_that_staff_enter_is_theirs_and_the_seeds_note_goes(
    save: Callable[..., Any], broadcasts: Broadcasts, page_of_gold: str, desk: Client
) -> None:
    broadcasts.publications.clear()
    assert saved(save(page_of_gold, price="12600", confirm="on"))
    assert (gold().example, gold().note) == (False, "")
    assert [examples(publication) for publication in broadcasts.publications] == [{"gold": False}]
    assert desk.get(LIST).text.count("an example: enter") == 3
    assert "an example of" not in desk.get(page_of_gold).text


def test_a_note_that_staff_write_with_their_price_stays(save: Callable[..., Any], page_of_gold: str) -> None:
    assert saved(save(page_of_gold, price="9300", note="the association's rate"))
    assert (gold().example, gold().note) == (False, "the association's rate")


def test_a_note_that_staff_wrote_before_their_price_stays(save: Callable[..., Any], page_of_gold: str) -> None:
    assert saved(save(page_of_gold, note="the association's rate"))
    assert saved(save(page_of_gold, price="9300"))
    assert (gold().example, gold().note) == (False, "the association's rate")


def test_an_example_that_staff_confirm_as_it_is_goes_out_as_theirs(
    save: Callable[..., Any], broadcasts: Broadcasts, page_of_gold: str
) -> None:
    broadcasts.publications.clear()
    assert saved(save(page_of_gold, confirm="on"))
    assert (gold().price, gold().example, gold().note) == (broadcasts.publications[0].quotes[0].quote.price, False, "")
    assert [examples(publication) for publication in broadcasts.publications] == [{"gold": False}]
    newest = gold().history.latest()
    assert (newest.example, newest.history_user.username) == (False, "asha")


@pytest.mark.parametrize("changed", [{}, {"note": "we still have to look"}])
def test_a_form_that_says_nothing_of_the_price_leaves_it_an_example(
    save: Callable[..., Any], broadcasts: Broadcasts, page_of_gold: str, changed: dict[str, str]
) -> None:
    broadcasts.publications.clear()
    assert saved(save(page_of_gold, **changed))
    assert (gold().example, gold().note) == (True, changed.get("note", SEEDS_NOTE))
    assert broadcasts.publications == []


def test_a_price_that_is_refused_changes_nothing(save: Callable[..., Any], page_of_gold: str) -> None:
    assert "I checked it" in errors(save(page_of_gold, price="92000"))["price"][0]
    assert (gold().example, gold().note) == (True, SEEDS_NOTE)


@pytest.mark.parametrize("change", [{"price": 9300}, {"asOf": "2026-09-24T08:00:00Z"}, {"confirm": True}])
def test_rest_takes_a_price_or_a_confirmation_too(
    desk: Client,
    page_of_gold: str,
    change: dict[str, Any],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    assert desk.get(GOLD).json()["example"] is True
    with django_capture_on_commit_callbacks(execute=True):
        said = desk.patch(GOLD, change, "application/json").json()
    assert (said["example"], said["note"]) == (False, "")
    shown = desk.get("/api/v1/prices/").json()["data"]
    assert {metal: quote.get("example") for metal, quote in shown.items()} == {
        "gold": None,
        "silver": True,
        "platinum": True,
        "palladium": True,
    }


# --- in the contracts ----------------------------------------------------------------------------------------------


def test_both_contracts_know_the_field(client: Client) -> None:
    stream = client.get("/api/asyncapi.json").json()["components"]["schemas"]["PriceData"]
    assert stream["properties"]["example"]["type"] == "boolean"
    assert "example" not in stream["required"]
    rest = client.get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"}).json()["components"][
        "schemas"
    ]
    assert rest["Quote"]["properties"]["example"]["type"] == "boolean"
    assert "example" not in rest["Quote"]["required"]
    assert rest["FallbackPrice"]["properties"]["example"]["type"] == "boolean"
