"""The fallback prices that come with an installation are examples, until staff enter or confirm their own."""

import datetime as dt
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from prices.audit import StaffChange
from prices.domain.quotes import SIMULATED, Metal, Publication
from prices.models import FallbackPrice, LatestPrice, Price, SignificantChange
from prices.publishing import ingest, snapshot
from prices.staff.undo import undo
from prices.tasks import expire_fallbacks
from tests.support.desk import Broadcasts, errors, saved, user
from tests.support.quotes import NOW, quote

pytestmark = pytest.mark.django_db

LIST = "/admin/prices/fallbackprice/"
GOLD = "/api/v1/fallback-prices/gold/"
HOUR = dt.timedelta(hours=1)
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


def test_staffs_first_price_is_no_move_away_from_the_example(
    save: Callable[..., Any], broadcasts: Broadcasts, page_of_gold: str
) -> None:
    for price in ("12600", "12900"):
        assert saved(save(page_of_gold, price=price, confirm="on"))
    first, second = broadcasts.publications[-2:]
    assert first.changes == ()
    assert [(change.old_price, change.new_price) for change in second.changes] == [(Decimal(12600), Decimal(12900))]
    assert SignificantChange.objects.get().old_price == 12600


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


# --- beside the prices of sources ----------------------------------------------------------------------------------

LATE = NOW + dt.timedelta(days=400)


def shown(metal: Metal = Metal.GOLD) -> str:
    """The shown price of a metal, and its source."""
    published = snapshot.read().quotes[metal].quote
    return f"{published.price:.0f} from {published.source}"


def shown_in_place_of_live() -> None:
    """Gold's last live price is 13,200, and its example is shown, as an earlier version showed it."""
    ingest.record([quote(price="13200")], now=NOW)
    for example in (False, True):
        FallbackPrice.objects.filter(metal="gold").update(example=example)
        ingest.fall_back_where_due(now=NOW + HOUR)
    LatestPrice.objects.filter(metal="gold", lane="fallback").update(example=True)
    assert shown() == "9223 from fallback"


def test_an_example_is_never_shown_in_place_of_the_last_live_price_however_old(page_of_gold: str) -> None:
    ingest.record([quote(price="13200")], now=NOW)
    ingest.fall_back_where_due(now=LATE)
    assert (shown(), shown(Metal.SILVER)) == ("13200 from gold_api_com", "105 from fallback")


@pytest.mark.parametrize("as_of", [NOW - HOUR, NOW + HOUR], ids=["the live price is newer", "staff's is newer"])
def test_a_fallback_of_staffs_is_shown_whichever_is_newer(page_of_gold: str, as_of: dt.datetime) -> None:
    ingest.record([quote(price="13200")], now=NOW)
    FallbackPrice.objects.filter(metal="gold").update(price=12600, as_of=as_of, example=False)
    ingest.fall_back_where_due(now=LATE)
    assert shown() == "12600 from fallback"


def test_an_example_that_staff_confirm_in_an_outage_is_shown_at_once(
    save: Callable[..., Any], page_of_gold: str
) -> None:
    ingest.record([quote(price="13200")], now=timezone.now() - dt.timedelta(days=7))
    assert saved(save(page_of_gold, confirm="on"))
    assert shown() == "9223 from fallback"


def test_an_undo_that_makes_it_an_example_again_brings_the_live_price_back_at_once(
    save: Callable[..., Any], page_of_gold: str, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    week_ago = timezone.now() - dt.timedelta(days=7)
    ingest.record([quote(price="13200", at=week_ago)], now=week_ago)
    assert saved(save(page_of_gold, price="12600", confirm="on"))
    assert shown() == "12600 from fallback"
    with django_capture_on_commit_callbacks(execute=True):
        undo(StaffChange.objects.latest("pk"), User.objects.get(username="asha"), confirmed=True)
    assert (gold().example, shown()) == (True, "13200 from gold_api_com")


@pytest.mark.parametrize("gives_way", [expire_fallbacks, lambda: call_command("seed")], ids=["in a minute", "a start"])
def test_an_example_that_an_earlier_version_showed_in_place_of_a_live_price_gives_way(
    page_of_gold: str, log: Callable[[], list[str]], gives_way: Callable[[], Any]
) -> None:
    shown_in_place_of_live()
    gives_way()
    assert shown() == "13200 from gold_api_com"
    assert Price.objects.latest("seq").quoted_at == NOW  # as old as it is
    assert LatestPrice.objects.get(metal="gold", lane="live").confirmed_at == NOW
    assert log() == [
        "the fallback of gold is only an example; screens show the last price of gold_api_com, of "
        "2026-09-24T08:00:00.000Z"
    ]


# --- what staff are told -------------------------------------------------------------------------------------------


def test_each_start_says_which_fallbacks_staff_have_yet_to_enter(page_of_gold: str, settings: Settings) -> None:
    FallbackPrice.objects.exclude(metal__in=["gold", "silver"]).update(example=False)
    told = io.StringIO()
    call_command("seed", stderr=told)
    assert "The fallback prices of gold, silver are examples, set by nobody." in told.getvalue()

    settings.PRICE_PROVIDERS = [SIMULATED]
    call_command("seed", stderr=(told := io.StringIO()))
    assert told.getvalue() == ""


def test_each_page_of_the_admin_says_it_too(desk: Client, page_of_gold: str) -> None:
    FallbackPrice.objects.exclude(metal__in=["gold", "silver"]).update(example=False)
    for address in ("/admin/", "/admin/prices/premium/", LIST):
        assert "Staff have set no fallback price of Gold, Silver" in " ".join(desk.get(address).text.split())
    FallbackPrice.objects.update(example=False)
    assert "Staff have set no fallback price" not in desk.get("/admin/").text


def test_only_staff_who_may_see_fallbacks_are_told(client: Client, page_of_gold: str) -> None:
    client.force_login(user("clerk", is_staff=True, permissions="_premium$"))
    assert "Staff have set no fallback price" not in client.get("/admin/").text


def test_the_desk_says_that_the_shown_price_is_an_example_that_nobody_set(desk: Client, page_of_gold: str) -> None:
    assert desk.get("/admin/").text.count("Example price of 1 Jul 2025, not set by staff") == 4
    assert desk.get(f"{LIST}all/").text.count("an example price of 1 Jul 2025, not set by staff") == 4


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
