"""Staff's changes: what is saved at once is one, is in the feed with who, when and why, and is undone in one step."""

import datetime as dt
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from prices import schedule
from prices.audit import StaffChange
from prices.models import (
    ApprovalLimit,
    Configuration,
    FallbackPrice,
    HeldPrice,
    LatestPrice,
    ListedMetal,
    Premium,
    ProviderState,
    SanityBand,
)
from prices.publishing import ingest
from prices.sources import registry
from prices.sources.failover import Outcome
from prices.staff.changes import one_change
from prices.staff.forms import FallbackPriceForm
from prices.staff.undo import UndoError
from prices.staff.undo import undo as take_back_change
from tests.support.desk import Broadcasts, edited, saved, user
from tests.support.quotes import quote
from tests.support.threads import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts")]

CHANGES = "/admin/changes/"
CONFIGURATION = "/admin/prices/configuration/1/change/"
METALS = "/admin/prices/listedmetal/"
PREMIUMS = "/admin/prices/premium/"
BANDS = "/admin/prices/sanityband/"
SOURCES = "/admin/prices/providerstate/"
QUARANTINE = "/admin/prices/heldprice/"
GOLDS = Decimal("9223.3162")  # the example that comes with the installation

Undo = Callable[..., list[str]]


def fallback(metal: str = "gold") -> FallbackPrice:
    return FallbackPrice.objects.get(metal=metal)


def address_of(row: Any) -> str:
    return f"/admin/prices/{row._meta.model_name}/{row.pk}/change/"


def newest() -> StaffChange:
    return StaffChange.objects.order_by("pk").last()  # type: ignore[return-value]  # there is one


def version(row: Any) -> Any:
    return row.history.order_by("history_id").last()


def go_live(**prices: str) -> None:
    now = timezone.now()
    ingest.record([quote(metal, price, at=now) for metal, price in prices.items()], now=now)


def shown(metal: str = "gold") -> Decimal:
    return LatestPrice.shown().filter(metal=metal)[0].price


def text(page: Any) -> str:
    """A page as it is read, without its markup."""
    return " ".join(re.sub("<[^>]*>", " ", page.content.decode()).split())


@pytest.fixture
def undo(desk: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Undo:
    """Undo a change as its button does; returns what the next page says."""

    def undo(change: StaffChange, by: Client = desk, **fields: str) -> list[str]:
        by.get(CHANGES)  # shows what was said before
        with django_capture_on_commit_callbacks(execute=True):
            page = by.post(f"{CHANGES}{change.pk}/undo/", fields, follow=True)
        if broken := page.context.get("broken"):
            return list(broken.details)
        return [str(message) for message in page.context["messages"]]

    return undo


@pytest.fixture
def ravi() -> Client:
    """Another member of staff's browser."""
    client = Client()
    client.force_login(user("ravi", is_staff=True, permissions=".*"))
    return client


# --- what is one change ----------------------------------------------------------------------------------------------


def test_rows_that_are_saved_in_one_block_are_one_change(staff: User) -> None:
    with one_change(reason="IBJA, this morning", by=staff) as change:
        for metal, price in (("gold", "9300"), ("silver", "110")):
            form = FallbackPriceForm.with_changes(fallback(metal), {"price": price})
            assert form.is_valid()
            form.save()
    assert {version(fallback(metal)).change for metal in ("gold", "silver")} == {change}
    assert (change.by, change.reason) == (staff, "IBJA, this morning")
    assert version(fallback()).history_user == staff


def test_a_list_that_is_saved_is_one_change(desk: Client) -> None:
    assert saved(desk.post(METALS, edited(desk.get(METALS).content, gold={"position": 3}, silver={"enabled": False})))
    changes = {version(ListedMetal.objects.get(name=name)).change for name in ("gold", "silver")}
    assert changes == {newest()}


def test_premiums_that_are_deleted_together_are_one_change(desk: Client) -> None:
    rows = [Premium.objects.create(metal_id=metal, multiplier=Decimal("1.06")) for metal in ("gold", "silver")]
    desk.post(PREMIUMS, {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"})
    deleted = Premium.history.filter(history_type="-")
    assert [each.change for each in deleted] == [newest()] * 2


def test_a_change_in_which_nothing_was_saved_is_not_kept(desk: Client) -> None:
    before = newest()
    assert saved(desk.post(METALS, edited(desk.get(METALS).content)))
    assert newest() == before


def test_a_save_that_fails_leaves_no_change(staff: User) -> None:
    def save_half() -> None:
        with one_change(by=staff):
            fallback().save()
            raise LookupError

    before = newest()
    with pytest.raises(LookupError):
        save_half()
    assert (newest(), fallback().history.count()) == (before, 1)


def test_an_installation_is_one_change_of_nobody() -> None:
    change = version(fallback()).change
    assert (change.by, change.reason) == (None, "manage.py seed")
    assert version(ListedMetal.objects.get(name="silver")).change == change


def test_what_the_product_writes_is_no_version(settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["gold_api_com"]
    registry.in_order()
    registry.remember(Outcome("gold_api_com", is_over=True), timezone.now())
    go_live(gold="13000")
    ingest.offer([quote("gold", "20000", at=timezone.now())], now=timezone.now())
    assert HeldPrice.objects.count() == 1
    assert not ProviderState.history.exists()
    assert not HeldPrice.history.exists()


def test_a_row_that_was_written_without_a_version_shows_only_what_staff_changed(save: Callable[..., Any]) -> None:
    ListedMetal.objects.filter(name="gold").update(position=7)
    save("/admin/prices/listedmetal/gold/change/", display_name="Gold 24K")
    written, before, _ = ListedMetal.objects.get(name="gold").history.order_by("-history_id")
    assert (before.position, before.display_name, before.change, before.history_user) == (7, "Gold", None, None)
    assert (written.position, written.display_name) == (7, "Gold 24K")


# --- why -------------------------------------------------------------------------------------------------------------


def test_a_reason_that_was_written_in_a_form_is_kept_and_shown(save: Callable[..., Any], desk: Client) -> None:
    assert saved(save(address_of(fallback()), price="9300", reason="all sources are down"))
    assert newest().reason == "all sources are down"
    assert "all sources are down" in text(desk.get(CHANGES))
    assert "all sources are down" in text(desk.get(address_of(fallback()).replace("change", "history")))


@pytest.mark.parametrize(
    ("address", "changed"),
    [("fallback-prices/gold/", {"price": 9300}), ("config/", {"updateIntervalMs": 5000})],
)
def test_an_edit_by_rest_takes_a_reason(desk: Client, address: str, changed: dict[str, Any], staff: User) -> None:
    body = json.dumps(changed | {"reason": "the script of the morning"})
    assert desk.patch(f"/api/v1/{address}", body, content_type="application/json").status_code == 200
    assert (newest().reason, newest().by) == ("the script of the morning", staff)


def test_a_reason_has_no_character_that_postgresql_refuses(desk: Client, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["gold_api_com"]
    desk.get(SOURCES)  # makes the row
    desk.post(f"{SOURCES}gold_api_com/switch/", {"to": "off", "reason": " a\0 call\0 "})
    assert newest().reason == "a call"
    desk.post(f"/admin/changes/{newest().pk}/undo/", {"reason": "a\0 slip"})
    assert newest().reason == "a slip"


def test_an_action_takes_a_reason(desk: Client, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["gold_api_com"]
    desk.get(SOURCES)  # makes the row
    fields = {"action": "switch_off", "_selected_action": ["gold_api_com"], "index": "1"}
    desk.post(SOURCES, fields | {"reason": ["", "it quotes per ounce"]})
    assert not ProviderState.objects.get().enabled
    assert newest().reason == "it quotes per ounce"


def test_a_limit_is_called_by_its_role(desk: Client) -> None:
    role = Group.objects.create(name="tellers")
    limit = ApprovalLimit.objects.create(role=role, percent=1)
    assert "Approval limit of tellers : added: limit, % 1 " in text(desk.get(CHANGES))
    role.delete()
    assert not ApprovalLimit.objects.filter(pk=limit.pk).exists()
    assert "Approval limit of a deleted role : deleted: limit, % 1 " in text(desk.get(CHANGES))


# --- the undo of each ------------------------------------------------------------------------------------------------


def test_an_undone_fallback_price_is_on_screens_as_it_was(
    save: Callable[..., Any], undo: Undo, broadcasts: Broadcasts, staff: User
) -> None:
    save(address_of(fallback()), price="9300", note="IBJA")
    assert shown() == 9300
    edit = newest()
    assert undo(edit, reason="a slip") == [
        "Undone: Fallback price of gold in INR: price per gram 9,300 → 9,223.3162; "
        f"valid as of {timezone.localtime(version(fallback()).prev_record.as_of):%H:%M:%S} → 2025-07-01 05:30:00; "
        "note IBJA → goldapi.io, July 2025: replace it by today's price; example no → yes.",
        "Fallback price of gold in INR is on screens now.",
    ]
    row = fallback()
    assert (row.price, row.as_of, row.example) == (GOLDS, dt.datetime(2025, 7, 1, tzinfo=dt.UTC), True)
    assert shown() == GOLDS
    assert [quoted.quote.price for quoted in broadcasts.publications[-1].quotes] == [GOLDS]
    assert (newest().undoes, newest().by, newest().reason) == (edit, staff, "a slip")
    assert version(row).history_user == staff
    assert LogEntry.objects.latest("pk").get_change_message().startswith("Undone: the change that asha made at ")


def test_an_undo_is_undone_as_any_change_is(save: Callable[..., Any], undo: Undo) -> None:
    save(address_of(fallback()), price="9300", note="IBJA")
    edited_row = fallback()
    undo(newest())
    undo(newest())
    row = fallback()
    assert (row.price, row.note, row.as_of, row.example) == (Decimal(9300), "IBJA", edited_row.as_of, False)
    assert shown() == 9300


def test_rows_that_were_changed_together_go_back_together(staff: User, undo: Undo) -> None:
    before = {metal: fallback(metal).price for metal in ("gold", "silver")}
    with one_change(by=staff) as change:
        for metal, price in (("gold", "9300"), ("silver", "104")):
            form = FallbackPriceForm.with_changes(fallback(metal), {"price": price})
            assert form.is_valid()
            form.save()
    undo(change)
    assert {metal: fallback(metal).price for metal in ("gold", "silver")} == before
    assert {version(fallback(metal)).change for metal in ("gold", "silver")} == {newest()}


def test_an_added_premium_is_deleted_and_comes_back_by_another_undo(
    save: Callable[..., Any], undo: Undo, desk: Client
) -> None:
    go_live(gold="13000")
    save(f"{PREMIUMS}add/", metal="gold", multiplier="1.03", note="duty")
    added = Premium.objects.get()
    assert shown() == Decimal("13390")
    assert undo(newest()) == ["Undone: Premium of gold: deleted."]
    assert (Premium.objects.count(), shown()) == (0, Decimal(13000))
    undo(newest())
    again = Premium.objects.get()
    assert [(each.pk, each.multiplier, each.effective_from, each.note) for each in (again, added)] == [
        (added.pk, Decimal("1.03"), added.effective_from, "duty")
    ] * 2
    assert shown() == Decimal("13390")


def test_a_changed_premium_goes_back(save: Callable[..., Any], undo: Undo) -> None:
    go_live(gold="13000")
    premium = Premium.objects.create(metal_id="gold", multiplier=Decimal("1.03"))
    ingest.apply_premiums(now=timezone.now())
    save(address_of(premium), multiplier="1.04")
    assert shown() == 13520
    undo(newest())
    assert (Premium.objects.get().multiplier, shown()) == (Decimal("1.03"), Decimal(13390))


def test_a_band_goes_back_and_a_deleted_one_is_added_again(save: Callable[..., Any], undo: Undo, desk: Client) -> None:
    band = SanityBand.objects.create(metal_id="gold", lowest=Decimal(9000), highest=Decimal(50000))
    save(address_of(band), highest="60000")
    undo(newest())
    assert SanityBand.objects.get().highest == 50000
    desk.post(address_of(band).replace("change", "delete"), {"post": "yes"})
    assert undo(newest()) == [
        "Undone: Sanity band of gold in INR: added again: lowest per gram 9,000; highest per gram 50,000."
    ]
    assert SanityBand.objects.get().pk == band.pk


def test_the_configuration_goes_back_with_its_interval(
    save: Callable[..., Any], undo: Undo, broadcasts: Broadcasts
) -> None:
    save(CONFIGURATION, update_interval_ms="5000", max_jump_percent="20")
    broadcasts.reloads = 0
    assert undo(newest()) == ["Undone: Configuration: largest jump, % 20 → empty; update interval, ms 5000 → 60000."]
    assert [schedule.interval(), Configuration.load().max_jump_percent] == [dt.timedelta(minutes=1), None]
    assert broadcasts.reloads == 1


def test_a_long_interval_that_is_kept_in_whole_seconds_goes_back(save: Callable[..., Any], undo: Undo) -> None:
    save(CONFIGURATION, update_interval_ms="2150500")
    assert undo(newest()) == ["Undone: Configuration: update interval, ms 2150000 → 60000."]
    assert schedule.interval() == dt.timedelta(minutes=1)


def test_a_metal_that_was_switched_off_comes_back(desk: Client, undo: Undo, broadcasts: Broadcasts) -> None:
    desk.post(METALS, edited(desk.get(METALS).content, silver={"enabled": False}))
    broadcasts.reloads = 0
    assert undo(newest()) == ["Undone: Metal silver: enabled no → yes."]
    assert ListedMetal.objects.get(name="silver").enabled
    assert broadcasts.reloads == 1


@pytest.fixture
def sources(desk: Client, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["gold_api_com", "swissquote"]
    desk.get(SOURCES)  # makes the rows


@pytest.mark.usefixtures("sources")
def test_a_source_that_was_switched_off_is_fetched_again(desk: Client, undo: Undo) -> None:
    desk.post(SOURCES, {"action": "switch_off", "_selected_action": ["swissquote"]})
    # Its place in the order, which somebody changes later, is another matter.
    desk.post(SOURCES, edited(desk.get(SOURCES).content, swissquote={"position": 5}))
    order, switch = StaffChange.objects.order_by("-pk")[:2]
    assert undo(switch) == ["Undone: Source swissquote: enabled no → yes."]
    source = ProviderState.objects.get(name="swissquote")
    assert (source.enabled, source.position) == (True, 5)
    undo(order)
    assert ProviderState.objects.get(name="swissquote").position == 1


@pytest.mark.usefixtures("sources")
def test_an_undo_that_leaves_no_source_warns(desk: Client, undo: Undo) -> None:
    ProviderState.objects.update(enabled=False)
    desk.post(SOURCES, {"action": "switch_on", "_selected_action": ["swissquote"]})
    assert undo(newest())[1].startswith("No source is fetched any more")


# --- decisions on quarantined prices ---------------------------------------------------------------------------------


@pytest.fixture
def quarantined() -> HeldPrice:
    """Gold at 20,000 waits, for 13,000 is shown."""
    go_live(gold="13000")
    ingest.offer([quote("gold", "20000", at=timezone.now())], now=timezone.now())
    return HeldPrice.objects.get()


def decide(desk: Client, action: str, *rows: HeldPrice, **fields: str) -> None:
    desk.post(QUARANTINE, {"action": action, "_selected_action": [row.pk for row in rows], **fields})


def test_a_rejected_price_waits_again_and_is_rejected_again(quarantined: HeldPrice, desk: Client, undo: Undo) -> None:
    decide(desk, "reject", quarantined, reason="a typing error of theirs")
    assert newest().reason == "a typing error of theirs"
    assert undo(newest()) == [
        "Undone: Quarantined gold 20,000 INR from gold_api_com: decision rejected → pending.",
    ]
    row = HeldPrice.objects.get()
    assert (row.decision, row.decided_by, row.decided_at) == ("pending", "", None)
    undo(newest())
    row.refresh_from_db()
    assert (row.decision, row.decided_by) == ("rejected", "asha")
    assert shown() == 13000


def test_an_approved_price_was_on_screens_and_stays(quarantined: HeldPrice, desk: Client, undo: Undo) -> None:
    decide(desk, "approve", quarantined)
    assert shown() == 20000
    (said,) = undo(newest())
    assert "it has been on screens, and the next prices are judged by it" in said
    assert (HeldPrice.objects.get().decision, shown()) == ("approved", Decimal(20000))


def test_a_rejection_stays_where_a_newer_price_of_the_source_waits(
    quarantined: HeldPrice, desk: Client, undo: Undo
) -> None:
    decide(desk, "reject", quarantined)
    rejection = newest()
    ingest.offer([quote("gold", "30000", at=timezone.now())], now=timezone.now())
    (said,) = undo(rejection)
    assert said.endswith("stays as it is: a newer price from gold_api_com waits: decide on that.")
    assert HeldPrice.objects.get(pk=quarantined.pk).decision == "rejected"


def test_a_rejection_stays_where_a_newer_price_is_out(quarantined: HeldPrice, desk: Client, undo: Undo) -> None:
    decide(desk, "reject", quarantined)
    go_live(gold="13100")
    (said,) = undo(newest())
    assert said.endswith("stays as it is: a newer price of this metal is out.")


def test_a_price_that_a_source_has_confirmed_since_is_not_rejected_by_an_undo(
    quarantined: HeldPrice, desk: Client, undo: Undo
) -> None:
    decide(desk, "reject", quarantined)
    undo(newest())
    HeldPrice.objects.get().decide(HeldPrice.Decision.CONFIRMED, by="swissquote", at=timezone.now())
    (said,) = undo(newest())
    assert said.endswith("stays as it is: it was confirmed by swissquote since.")


# --- only while nobody has changed the same since --------------------------------------------------------------------


def test_who_changed_the_same_since_is_named_and_nothing_goes_back(
    save: Callable[..., Any], ravi: Client, undo: Undo, desk: Client
) -> None:
    save(address_of(fallback()), price="9300")
    edit = newest()
    ravi.patch("/api/v1/fallback-prices/gold/", json.dumps({"price": 9350}), content_type="application/json")
    at = f"{timezone.localtime(newest().at):%H:%M:%S}"
    obstacle = f"Fallback price of gold in INR stays as it is: ravi changed it since, at {at}. Undo that first."
    assert undo(edit) == [obstacle]
    assert obstacle in text(desk.get(CHANGES))
    assert fallback().price == 9350


def test_once_the_later_change_was_undone_the_earlier_one_can_be_too(save: Callable[..., Any], undo: Undo) -> None:
    save(address_of(fallback()), price="9300")
    first = newest()
    save(address_of(fallback()), price="9400")
    undo(newest())
    undo(first)
    assert fallback().price == GOLDS


def test_an_undo_that_was_undone_stands_in_the_way_again(save: Callable[..., Any], undo: Undo) -> None:
    save(address_of(fallback()), price="9300")
    first = newest()
    save(address_of(fallback()), price="9400")
    undo(newest())
    undo(newest())
    assert "asha changed it since" in undo(first)[0]
    assert fallback().price == 9400


def test_if_one_row_was_changed_since_none_goes_back(staff: User, undo: Undo, save: Callable[..., Any]) -> None:
    with one_change(by=staff) as change:
        for metal, price in (("gold", "9300"), ("silver", "104")):
            form = FallbackPriceForm.with_changes(fallback(metal), {"price": price})
            assert form.is_valid()
            form.save()
    save(address_of(fallback("silver")), price="103")
    assert undo(change)[0].startswith("Fallback price of silver in INR stays as it is: asha changed it since")
    assert [fallback().price, fallback("silver").price] == [9300, 103]


def test_what_was_changed_by_nobody_is_not_undone_unseen(save: Callable[..., Any], undo: Undo) -> None:
    save(address_of(fallback()), price="9300")
    FallbackPrice.objects.filter(metal="gold").update(price=9500)
    assert undo(newest()) == ["Fallback price of gold in INR stays as it is: it was changed since, and not by staff."]
    assert fallback().price == 9500


def test_an_interval_that_was_set_in_the_schedule_since_is_not_undone(save: Callable[..., Any], undo: Undo) -> None:
    save(CONFIGURATION, update_interval_ms="5000")
    nine = IntervalSchedule.objects.create(every=9, period="seconds")
    PeriodicTask.objects.filter(name=schedule.TASK_NAME).update(interval=nine)
    assert undo(newest()) == ["Configuration stays as it is: the schedule has another interval since."]
    assert schedule.interval() == dt.timedelta(seconds=9)


def test_another_setting_that_was_changed_since_is_no_obstacle(save: Callable[..., Any], undo: Undo) -> None:
    save(CONFIGURATION, max_jump_percent="20")
    edit = newest()
    save(CONFIGURATION, change_threshold_percent="2")
    undo(edit)
    configuration = Configuration.load()
    assert [configuration.max_jump_percent, configuration.change_threshold_percent] == [None, 2]


def test_a_double_submit_undoes_once(save: Callable[..., Any], undo: Undo) -> None:
    save(address_of(fallback()), price="9300")
    edit = newest()
    undo(edit)
    said = undo(edit)
    assert said == [f"asha has undone this already, at {timezone.localtime(newest().at):%H:%M:%S}."]
    assert (fallback().price, fallback().history.count()) == (GOLDS, 3)


def test_what_came_with_the_installation_stays(desk: Client, undo: Undo) -> None:
    (said,) = undo(version(fallback()).change)
    assert "stays as it is" in said
    assert FallbackPrice.objects.count() == 4


# --- under the rules of any edit -------------------------------------------------------------------------------------


def test_an_undo_that_would_be_a_slip_needs_a_confirmation(save: Callable[..., Any], undo: Undo) -> None:
    go_live(gold="9300")
    save(address_of(fallback()), price="9350")
    edit = newest()
    go_live(gold="9750")
    (said,) = undo(edit, reason="too high")
    assert said.startswith("Fallback price of gold in INR: 9,223.3162 is -5.4 % from 9,750.0000, the last price.")
    assert said.endswith("tick “I checked it” and undo again.")
    assert fallback().price == 9350
    assert undo(edit, confirm="on")[-1] == "Fallback price of gold in INR is in reserve."
    assert fallback().price == GOLDS


def test_an_undo_that_no_confirmation_allows_says_what_to_do_instead(save: Callable[..., Any], undo: Undo) -> None:
    FallbackPrice.objects.filter(metal="gold").update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    save(address_of(fallback()), price="9300", expires_at_0="", expires_at_1="")
    assert undo(newest(), confirm="on") == undo(newest())
    assert undo(newest()) == [
        "Nothing was undone. Fallback price of gold in INR: This is in the past. Give a later time, or none for a "
        "price without an end. Enter other values instead."
    ]
    assert (fallback().price, fallback().expires_at) == (Decimal(9300), None)


def test_the_page_that_wants_a_confirmation_keeps_the_reason(save: Callable[..., Any], desk: Client) -> None:
    save(address_of(fallback()), price="9350")
    go_live(gold="9750")
    page = desk.post(f"{CHANGES}{newest().pk}/undo/", {"reason": "too high", "next": METALS}).content.decode()
    assert 'value="too high"' in page
    assert f'name="next" value="{METALS}"' in page
    assert 'name="confirm"' in page


@pytest.mark.parametrize(("address", "leads_to"), [(METALS, METALS), ("https://evil.example/", CHANGES), ("", CHANGES)])
def test_an_undo_leads_back_to_where_it_was_asked_for(
    save: Callable[..., Any], desk: Client, address: str, leads_to: str
) -> None:
    save(address_of(fallback()), price="9300")
    page = desk.post(f"{CHANGES}{newest().pk}/undo/", {"next": address})
    assert (page.status_code, page.headers["Location"]) == (302, leads_to)


# --- who may see, and who may undo -----------------------------------------------------------------------------------


def test_staff_who_may_only_view_a_price_see_its_change_and_cannot_undo_it(
    save: Callable[..., Any], undo: Undo
) -> None:
    save(address_of(fallback()), price="9300")
    viewer = Client()
    viewer.force_login(user("clerk", is_staff=True, permissions="^view_fallbackprice$"))
    page = viewer.get(CHANGES)
    assert "Fallback price of gold in INR" in text(page)
    assert b"<details>" not in page.content
    (said,) = undo(newest(), by=viewer)
    assert said.endswith("you do not have the permission to change it.")
    assert fallback().price == 9300


def test_changes_of_rows_that_staff_may_not_view_are_not_there(save: Callable[..., Any], desk: Client) -> None:
    save(address_of(fallback()), price="9300", reason="a secret")
    clerk = Client()
    clerk.force_login(user("clerk", is_staff=True, permissions="^change_premium$"))
    assert "secret" not in text(clerk.get(CHANGES))
    assert "Nothing has been changed yet that you may see." in text(clerk.get(CHANGES))
    for send in (clerk.get, clerk.post):
        assert send(f"{CHANGES}{newest().pk}/undo/").status_code == 404
    assert fallback().price == 9300


def test_of_a_change_of_two_models_staff_see_the_rows_that_they_may_view(staff: User, undo: Undo) -> None:
    with one_change(by=staff) as change:
        Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"))
        SanityBand.objects.create(metal_id="gold", lowest=Decimal(9000), highest=Decimal(50000))
    clerk = Client()
    clerk.force_login(user("clerk", is_staff=True, permissions="_premium$"))
    page = text(clerk.get(CHANGES))
    assert "Premium of gold" in page
    assert "Sanity band" not in page
    undo(change, by=clerk)
    assert (Premium.objects.count(), SanityBand.objects.count()) == (1, 1)


def test_a_user_whose_right_was_taken_away_while_the_page_was_open_undoes_nothing(
    save: Callable[..., Any], desk: Client, staff: User
) -> None:
    save(address_of(fallback()), price="9300")
    staff.user_permissions.set([])
    assert desk.post(f"{CHANGES}{newest().pk}/undo/").status_code == 404
    assert fallback().price == 9300


# --- the feed --------------------------------------------------------------------------------------------------------


def test_the_feed_says_who_changed_what_when_and_why_newest_first(
    save: Callable[..., Any], desk: Client, staff: User, settings: Settings
) -> None:
    staff.first_name, staff.last_name = "Asha", "Rao"
    staff.save()
    save(address_of(fallback()), price="9300", reason="IBJA")
    save(CONFIGURATION, change_threshold_percent="2")
    StaffChange.objects.filter(pk=newest().pk).update(at=dt.datetime(2026, 9, 24, 8, 0, tzinfo=dt.UTC))
    page = text(desk.get(CHANGES))
    assert "Times are by the clock of Asia/Kolkata." in page
    assert "Asha Rao 2026-09-24 13:30:00 Configuration : significant change, % empty → 2" in page
    assert "“IBJA” Fallback price of gold in INR : price per gram 9,223.3162 → 9,300" in page
    assert page.index("significant change") < page.index("IBJA")


def test_the_feed_links_an_undo_to_what_it_undoes(save: Callable[..., Any], undo: Undo, desk: Client) -> None:
    save(address_of(fallback()), price="9300")
    edit = newest()
    undo(edit)
    page = desk.get(CHANGES)
    assert f'<a href="{CHANGES}{edit.pk}/undo/">change by asha' in page.content.decode()
    assert "asha has undone this already" in text(page)


def test_the_feed_costs_as_many_queries_for_thirty_changes_as_for_one(staff: User) -> None:
    clerk = Client()
    clerk.force_login(user("clerk", is_staff=True, permissions="_premium$"))
    clerk.get(CHANGES)  # reads content types, once
    premium = Premium(metal_id="gold")
    counts = []
    for changes in (1, 29):
        for _ in range(changes):
            premium.multiplier = 1 + Decimal(Premium.history.count() + 1) / 100
            with one_change(by=staff):
                premium.save()
        with CaptureQueriesContext(connection) as queries:
            page = clerk.get(CHANGES)
        counts.append(len(queries))
    assert text(page).count("Premium of gold") >= 30
    assert counts[0] == counts[1]


def test_the_feed_has_pages(desk: Client) -> None:
    for price in range(9000, 9031):
        row = fallback()
        row.price = Decimal(price)
        row.save()
    assert "9,030" in text(desk.get(CHANGES))
    assert "9,030" not in text(desk.get(f"{CHANGES}?page=2"))
    assert "→ 9,000" in text(desk.get(f"{CHANGES}?page=2"))


def test_every_page_of_the_admin_leads_to_the_feed(desk: Client) -> None:
    assert f'<a href="{CHANGES}">Changes</a>' in desk.get("/admin/").content.decode()


# --- two at the same moment ------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_who_undo_the_same_at_the_same_moment_one_is_told_who_was_first(either_database: None) -> None:
    members = [User.objects.create_superuser(name) for name in ("asha", "ravi")]
    with one_change(by=members[0]) as change:
        form = FallbackPriceForm.with_changes(fallback(), {"price": "9300", "confirm": True})
        assert form.is_valid()
        form.save()

    def take_back(number: int) -> str:
        try:
            take_back_change(change, members[number])
        except UndoError as error:
            return str(error)
        return ""

    said = at_once(take_back, 2)
    assert said.count("") == 1
    assert " has undone this already, at " in "".join(said)
    assert (fallback().price, fallback().history.count()) == (GOLDS, 3)
