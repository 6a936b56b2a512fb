"""The first page of the admin: what it shows, to whom, and what its buttons do."""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts import sessions
from prices.domain.calendar import Calendar
from prices.models import FallbackPrice, HeldPrice, LatestPrice, ListedMetal, Premium, ProviderState
from prices.publishing import audience, ingest
from prices.sources import registry
from tests.support.always_open import AlwaysOpen
from tests.support.desk import Broadcasts, FormFields, user
from tests.support.quotes import quote
from tests.support.world import MINUTE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts", "open_market")]

DESK, FRAGMENT = "/admin/", "/admin/desk/"


class AlwaysClosed(Calendar):
    def is_open(self, at: dt.datetime) -> bool:
        return False

    def open_time(self, since: dt.datetime, until: dt.datetime) -> dt.timedelta:
        return dt.timedelta(0)


@pytest.fixture
def open_market(settings: Settings) -> None:
    """The market never closes."""
    settings.MARKET_CALENDAR = AlwaysOpen()


@pytest.fixture(autouse=True)
def clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """214 clients see what is published."""
    monkeypatch.setattr(audience, "count", lambda: 214)


def publish(price: str, *, ago: dt.timedelta = dt.timedelta(0), metal: str = "gold") -> None:
    at = timezone.now() - ago
    ingest.record([quote(metal, price, at=at)], now=at)


@pytest.fixture
def quarantined() -> HeldPrice:
    """Gold is 13,200, and 14,520 waits."""
    publish("13200", ago=MINUTE)
    now = timezone.now()
    ingest.offer([quote("gold", "14520", at=now)], now=now)
    return HeldPrice.objects.get()


def text(page: Any) -> str:
    """The words of the desk's part of a page, without its tags."""
    html = page.content.decode().partition('id="desk"')[2] or page.content.decode()
    html = html.partition('class="desk-pages"')[0]
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html))


def clerk(permissions: str) -> Client:
    """A browser of staff with the permissions on prices whose codename matches."""
    browser = Client()
    browser.force_login(user("clerk", is_staff=True, permissions=permissions))
    return browser


Press = Callable[..., list[str]]


@pytest.fixture
def press(desk: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Press:
    """Press a button of the desk; returns the messages of the next page, which is the desk again."""

    def press(address: str, by: Client = desk, **fields: str) -> list[str]:
        with django_capture_on_commit_callbacks(execute=True):
            response = by.post(address, fields)
        assert (response.status_code, response["Location"]) == (302, DESK)
        messages = [str(message) for message in get_messages(response.wsgi_request)]
        by.get(DESK)  # shows them
        return messages

    return press


def decide(quarantined: HeldPrice) -> str:
    return f"/admin/prices/heldprice/{quarantined.pk}/decide/"


# --- what it shows -------------------------------------------------------------------------------------------------


def test_each_metal_is_shown_with_its_kind_its_source_its_age_and_its_fallback(desk: Client) -> None:
    FallbackPrice.objects.filter(metal="gold").update(price="12724.80", example=False)
    publish("13200", ago=dt.timedelta(seconds=12))
    shown = text(desk.get(DESK))
    assert "Gold Live 13,200.00 gold_api_com , 12 s ago" in shown
    assert "Fallback 12,724.80, -3.60 % from the last live price" in shown
    assert "Silver No price —" in shown
    assert "214 clients now" in shown


def test_a_price_too_old_is_called_stale(desk: Client) -> None:
    publish("13200", ago=dt.timedelta(minutes=40))
    assert "Gold Stale 13,200.00 gold_api_com , 40 min ago" in text(desk.get(DESK))


def test_a_fallback_on_screens_is_called_one_beside_the_last_live_price(desk: Client) -> None:
    publish("13200", ago=dt.timedelta(hours=3))
    FallbackPrice.objects.filter(metal="gold").update(price="12724.80", example=False)
    ingest.fall_back_where_due(now=timezone.now())
    shown = text(desk.get(DESK))
    assert "Gold Fallback 12,724.80" in shown
    assert "Last live price 13,200.00, the fallback is -3.60 % from it" in shown
    assert "Silver Example" in shown


def test_a_fallback_says_until_when_it_is_shown(desk: Client) -> None:
    gold, silver = (FallbackPrice.objects.filter(metal=metal) for metal in ("gold", "silver"))
    gold.update(expires_at=timezone.now() + dt.timedelta(days=2))
    silver.update(expires_at=timezone.now() - MINUTE)
    shown = text(desk.get(DESK))
    assert f"an example (until {timezone.localtime() + dt.timedelta(days=2):%Y-%m-%d}" in shown
    assert "(expired at" in shown


def test_the_price_of_the_markets_close_is_called_that(desk: Client, settings: Settings) -> None:
    publish("13200", ago=MINUTE)
    settings.MARKET_CALENDAR = AlwaysClosed()
    shown = text(desk.get(DESK))
    assert "Gold Last close 13,200.00" in shown
    assert "Market closed, opens" in shown


def test_a_premium_is_named_beside_its_price(desk: Client) -> None:
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=timezone.now() - MINUTE)
    publish("13200")
    assert "Gold Live 13,992.00 gold_api_com , 0 s ago , premium × 1.06" in text(desk.get(DESK))


def test_a_quarantined_price_is_shown_with_what_its_approval_does(quarantined: HeldPrice, desk: Client) -> None:
    shown = text(desk.get(DESK))
    assert "1 quarantined price waits for your decision Gold 14,520.00 from gold_api_com" in shown
    assert "Screens: 13,200.00 → 14,520.00 , +10.00 %" in shown
    assert "14,520.0000 is +10.0 % from 13,200.0000, the last price" in shown
    assert "It waits for another source, gold_api_com again from" in shown


def test_an_absurd_quarantined_price_does_not_take_the_desk_away(quarantined: HeldPrice, desk: Client) -> None:
    Premium.objects.create(metal_id="gold", multiplier=10, effective_from=timezone.now() - MINUTE)
    HeldPrice.objects.update(price="99999999999")
    assert "With its premium it is beyond any price" in text(desk.get(DESK))


def test_sources_are_shown_with_their_health_and_last_error(desk: Client) -> None:
    registry.in_order()
    ProviderState.objects.update(failures=1, last_error_at=timezone.now(), last_error="gold: <b>away</b>")
    page = desk.get(DESK)
    assert "gold_api_com failing: no fresh price ever , last success never" in text(page)
    assert "gold: &lt;b&gt;away&lt;/b&gt;" in page.content.decode()


def test_an_unknown_number_of_clients_is_called_unknown(desk: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "count", lambda: None)
    assert "Clients: unknown, as Redis does not answer" in text(desk.get(DESK))


def test_a_metal_that_is_switched_off_is_not_shown(desk: Client) -> None:
    ListedMetal.objects.filter(name="gold").update(enabled=False)
    page = desk.get(DESK).content.decode()
    assert 'data-metal="silver"' in page
    assert 'data-metal="gold"' not in page


def test_all_of_the_admins_pages_stay_underneath(boss: Client) -> None:
    beneath = boss.get(DESK).content.decode().partition("All pages")[2]
    for address in ("prices/fallbackprice/", "prices/configuration/", "auth/user/", "accounts/token/"):
        assert f'href="/admin/{address}"' in beneath


# --- the fragment --------------------------------------------------------------------------------------------------


def test_the_fragment_is_the_desk_of_the_page_and_the_same_until_something_changes(desk: Client) -> None:
    publish("13200", ago=dt.timedelta(hours=1))
    fragment = desk.get(FRAGMENT).content
    assert fragment.strip() in desk.get(DESK).content
    assert desk.get(FRAGMENT).content == fragment
    publish("13300")
    assert desk.get(FRAGMENT).content != fragment


def test_a_fragment_costs_as_few_queries_however_much_waits(quarantined: HeldPrice, desk: Client) -> None:
    desk.get(FRAGMENT)
    with CaptureQueriesContext(connection) as one:
        desk.get(FRAGMENT)
    for metal in ("silver", "platinum"):
        HeldPrice.objects.create(
            metal_id=metal, currency="INR", price=5000, source="b", quoted_at=quarantined.quoted_at,
            held_at=quarantined.held_at, doubt="band",
        )  # fmt: skip
    with CaptureQueriesContext(connection) as three:
        desk.get(FRAGMENT)
    assert len(three) == len(one) <= 40


def test_a_desk_that_renews_itself_does_not_keep_its_user_logged_in(
    desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[Any] = []
    monkeypatch.setattr(sessions, "renew", renewed.append)
    desk.get(FRAGMENT)
    assert renewed == []
    desk.get(DESK)
    assert len(renewed) == 1


def test_a_user_who_is_no_longer_staff_is_led_to_the_login(desk: Client, staff: Any) -> None:
    assert desk.get(FRAGMENT).status_code == 200
    staff.is_staff = False
    staff.save()
    assert desk.get(FRAGMENT)["Location"].startswith("/admin/login/")


# --- who sees what -------------------------------------------------------------------------------------------------

EVERYTHING = {
    "quarantine": "waits for your decision",
    "decide": "Approve",
    "sources": "gold_api_com never asked",
    "switch": "Switch off",
    "fallbacks": "Fallback 9,",
    "premiums": "premium × 1.06",
    "correct": "Correct fallback prices",
    "duty": "Change duty",
}


@pytest.mark.parametrize(
    ("permissions", "seen"),
    [
        ("^$", set()),
        ("^view_heldprice$", {"quarantine"}),
        ("^change_heldprice$", {"quarantine", "decide"}),
        ("^view_providerstate$", {"sources"}),
        ("^change_providerstate$", {"sources", "switch"}),
        ("^view_fallbackprice$", {"fallbacks"}),
        ("^change_fallbackprice$", {"fallbacks", "correct"}),
        ("^view_premium$", {"premiums"}),
        ("^add_premium$", {"duty"}),
        (".*", set(EVERYTHING)),
    ],
)
def test_staff_see_what_they_may_view_and_have_buttons_for_what_they_may_do(
    quarantined: HeldPrice, permissions: str, seen: set[str]
) -> None:
    registry.in_order()
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=timezone.now() - MINUTE)
    shown = text(clerk(permissions).get(DESK))
    assert "Gold Live 13,200.00" in shown
    assert {part for part, words in EVERYTHING.items() if words in shown} == seen


# --- its buttons ---------------------------------------------------------------------------------------------------


def test_a_price_is_approved_by_one_press(quarantined: HeldPrice, press: Press, broadcasts: Broadcasts) -> None:
    broadcasts.publications.clear()
    assert press(decide(quarantined), decision="approve") == ["Approved: gold 14,520.0000 from gold_api_com."]
    assert [each.quote.price for publication in broadcasts.publications for each in publication.quotes] == [14520]


def test_a_price_is_rejected_by_one_press(quarantined: HeldPrice, press: Press) -> None:
    assert press(decide(quarantined), decision="reject") == ["Rejected: gold 14,520.0000 from gold_api_com."]
    assert LatestPrice.live("gold", "INR").price == 13200  # type: ignore[union-attr]


def test_a_second_press_is_told_of_the_first(quarantined: HeldPrice, press: Press) -> None:
    press(decide(quarantined), decision="reject")
    assert press(decide(quarantined), decision="approve") == [
        "gold 14,520.0000 from gold_api_com was not approved: it was rejected by asha already."
    ]


def test_a_press_for_a_price_that_was_superseded_is_told_so(quarantined: HeldPrice, press: Press) -> None:
    address = decide(quarantined)
    quarantined.delete()
    assert press(address, decision="approve") == ["Not decided, since newer prices, listed now, superseded them: 1."]


@pytest.mark.parametrize("decision", ["", "yes"])
def test_a_press_without_a_known_decision_does_nothing(quarantined: HeldPrice, desk: Client, decision: str) -> None:
    response = desk.post(decide(quarantined), {"decision": decision})
    assert (response.status_code, response.content) == (400, b"decision has to be approve or reject.")
    assert HeldPrice.pending().count() == 1


def test_a_source_is_switched_off_and_on_by_one_press_each(press: Press) -> None:
    registry.in_order()
    address = "/admin/prices/providerstate/gold_5Fapi_5Fcom/switch/"
    assert press(address, to="off")[0] == "gold_api_com is switched off."
    assert press(address, to="off")[0] == "gold_api_com was switched off already."
    assert not ProviderState.objects.get().enabled
    assert press(address, to="on") == ["gold_api_com is switched on."]
    assert ProviderState.objects.get().enabled


def test_staff_who_switch_off_the_last_source_are_warned(press: Press) -> None:
    registry.in_order()
    said = press("/admin/prices/providerstate/gold_5Fapi_5Fcom/switch/", to="off")
    assert said[1].startswith("No source is fetched any more: prices turn stale")


def test_a_press_without_a_known_state_does_nothing(desk: Client) -> None:
    registry.in_order()
    response = desk.post("/admin/prices/providerstate/gold_5Fapi_5Fcom/switch/", {"to": "away"})
    assert (response.status_code, response.content) == (400, b"to has to be off or on.")


def test_a_source_that_there_is_not_cannot_be_switched(desk: Client) -> None:
    assert desk.post("/admin/prices/providerstate/nobody/switch/", {"to": "off"}).status_code == 404


def test_a_press_by_staff_who_may_only_view_is_denied(quarantined: HeldPrice) -> None:
    registry.in_order()
    browser = clerk("^view_")
    assert browser.post(decide(quarantined), {"decision": "approve"}).status_code == 403
    address = "/admin/prices/providerstate/gold_5Fapi_5Fcom/switch/"
    assert browser.post(address, {"to": "off"}).status_code == 403
    assert (HeldPrice.pending().count(), ProviderState.objects.get().enabled) == (1, True)


# --- the last changes ----------------------------------------------------------------------------------------------


def test_the_last_changes_are_shown_with_an_undo_that_leads_back(press: Press, desk: Client) -> None:
    registry.in_order()
    press("/admin/prices/providerstate/gold_5Fapi_5Fcom/switch/", to="off")
    assert "asha" in text(desk.get(DESK))
    assert "Source gold_api_com : enabled yes → no" in text(desk.get(DESK))
    found = re.search(r'href="(/admin/changes/\d+/undo/\?next=/admin/)"', desk.get(DESK).content.decode())
    assert found
    response = desk.post(found[1].partition("?")[0], FormFields(desk.get(found[1]).content).values)
    assert response["Location"] == DESK
    assert ProviderState.objects.get().enabled


def test_staff_see_only_changes_of_what_they_may_view(press: Press) -> None:
    registry.in_order()
    press("/admin/prices/providerstate/gold_5Fapi_5Fcom/switch/", to="off")
    assert "Source gold_api_com" not in text(clerk("^view_heldprice$").get(DESK))
