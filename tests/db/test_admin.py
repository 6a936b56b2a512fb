"""The admin, as staff without a superuser's permissions use it."""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from prices import schedule
from prices.domain.quotes import FALLBACK, Metal
from prices.models import (
    Configuration,
    FallbackPrice,
    HeldPrice,
    ListedMetal,
    Premium,
    Price,
    ProviderState,
    SanityBand,
    SignificantChange,
)
from prices.publishing import ingest, snapshot
from tests.support.desk import Broadcasts, FormFields, edited, errors, saved, user
from tests.support.quotes import NOW, quote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts")]

GOLD = "/admin/prices/fallbackprice/{}/change/"
CONFIGURATION = "/admin/prices/configuration/1/change/"
METALS = "/admin/prices/listedmetal/"
MODELS = [
    "configuration",
    "fallbackprice",
    "heldprice",
    "listedmetal",
    "premium",
    "price",
    "providerstate",
    "sanityband",
    "significantchange",
]


def fallback(metal: str = "gold") -> FallbackPrice:
    return FallbackPrice.objects.get(metal=metal)


def address_of(metal: str = "gold") -> str:
    return GOLD.format(fallback(metal).pk)


def go_live(**prices: str) -> None:
    now = timezone.now()
    ingest.record([quote(metal, price, at=now) for metal, price in prices.items()], now=now)


# --- who may come in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_https", [True, False])
def test_a_login_by_https_comes_back_by_https_alone(staff: User, client: Client, by_https: bool) -> None:
    staff.set_password("correct horse")
    staff.save()
    client.get("/admin/login/", secure=by_https)
    client.post("/admin/login/", {"username": "asha", "password": "correct horse"}, secure=by_https)
    assert {name: bool(cookie["secure"]) for name, cookie in client.cookies.items()} == {
        "csrftoken": by_https,
        "sessionid": by_https,
    }


def test_staff_log_in_with_only_their_password(staff: User, client: Client) -> None:
    staff.set_password("correct horse")
    staff.save()
    for password, expected in [
        ("battery staple", b"enter the correct username"),
        ("correct horse", b"Fallback prices"),
    ]:
        page = client.post("/admin/login/?next=/admin/", {"username": "asha", "password": password}, follow=True)
        assert page.status_code == 200
        assert expected in page.content


@pytest.mark.parametrize("then", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_a_login_that_is_to_lead_elsewhere_leads_to_the_desk(staff: User, client: Client, then: str) -> None:
    staff.set_password("correct horse")
    staff.save()
    asked = {"username": "asha", "password": "correct horse", "next": then}
    page = client.post("/admin/login/", asked, follow=True)
    assert page.redirect_chain == [("/admin/", 302)]
    assert b"Fallback prices" in page.content


@pytest.mark.parametrize("model", MODELS)
def test_a_stranger_is_sent_to_the_login(client: Client, model: str) -> None:
    assert client.get(f"/admin/prices/{model}/").headers["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("model", MODELS)
def test_users_who_are_not_staff_are_rejected_whatever_their_permissions(client: Client, model: str) -> None:
    client.force_login(user("visitor", permissions=".*"))
    assert client.get(f"/admin/prices/{model}/").status_code == 302
    client.post(address_of(), {"price": "1", "_save": ""})
    assert fallback().price == Decimal("9223.3162")


@pytest.mark.parametrize("model", MODELS)
def test_staff_see_what_they_have_permission_for(client: Client, model: str) -> None:
    client.force_login(user("clerk", is_staff=True, permissions="_price$"))
    expected = 200 if model == "price" else 403
    assert client.get(f"/admin/prices/{model}/", follow=True).status_code == expected


def test_staff_who_may_only_view_cannot_save(client: Client, broadcasts: Broadcasts) -> None:
    client.force_login(user("clerk", is_staff=True, permissions="^view_"))
    for address in (address_of(), CONFIGURATION, "/admin/prices/listedmetal/gold/change/"):
        assert client.get(address).status_code == 200
        assert client.post(address, {"price": "1", "update_interval_ms": "1000"}).status_code == 403
    assert fallback().price == Decimal("9223.3162")
    assert schedule.interval() == dt.timedelta(minutes=1)
    assert broadcasts.reloads == 0


# --- every page ----------------------------------------------------------------------------------------------------


@pytest.fixture
def history(broadcasts: Broadcasts) -> None:
    """Something on every page."""
    go_live(gold="13000", silver="165")
    go_live(gold="13500")
    ProviderState.objects.create(
        name="gold_api_com", last_error="gold: <script>alert(1)</script>", last_error_at=timezone.now()
    )
    ingest.offer([quote("gold", "20000", at=timezone.now())], now=timezone.now())
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=NOW)
    SanityBand.objects.create(metal_id="gold", lowest=Decimal(9000), highest=Decimal(50000))


def title(page: Any) -> str:
    found = re.search(r"<title>\s*(.*?)\s*</title>", page.content.decode(), re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/admin/", "Prices | Swarna"),
        ("/admin/prices/", "Prices administration | Swarna"),
        ("/admin/prices/configuration/", "Configuration | Change configuration | Swarna"),
        ("/admin/prices/fallbackprice/", "Select fallback price to change | Swarna"),
        ("/admin/prices/fallbackprice/add/", "Add fallback price | Swarna"),
        ("/admin/prices/fallbackprice/all/", "Fallback prices | Swarna"),
        ("/admin/prices/listedmetal/", "Select metal to change | Swarna"),
        ("/admin/prices/heldprice/", "Select quarantined price to view | Swarna"),
        ("/admin/prices/premium/", "Select premium to change | Swarna"),
        ("/admin/prices/premium/add/", "Add premium | Swarna"),
        ("/admin/prices/price/", "Select price to view | Swarna"),
        ("/admin/prices/price/?metal__name__exact=gold&source=gold_api_com", "Select price to view | Swarna"),
        ("/admin/prices/providerstate/", "Select price source to change | Swarna"),
        ("/admin/prices/sanityband/", "Select sanity band to change | Swarna"),
        ("/admin/prices/sanityband/add/", "Add sanity band | Swarna"),
        ("/admin/prices/significantchange/", "Select significant change to view | Swarna"),
        ("/admin/prices/listedmetal/gold/change/", "Gold | Change metal | Swarna"),
        ("/admin/prices/listedmetal/gold/history/", "Change history: Gold | Swarna"),
        ("/admin/prices/providerstate/gold_5Fapi_5Fcom/change/", "gold_api_com | Change price source | Swarna"),
        ("/admin/prices/configuration/1/history/", "Change history: Configuration | Swarna"),
    ],
)
@pytest.mark.usefixtures("history")
def test_every_page_opens_with_its_title(desk: Client, address: str, expected: str) -> None:
    page = desk.get(address, follow=True)
    assert page.status_code == 200
    assert title(page) == expected
    assert "object (" not in page.content.decode()


@pytest.mark.usefixtures("history")
def test_every_row_opens_with_its_title(desk: Client) -> None:
    rows = [
        (Price.objects.first(), "gold 13500.0000 INR/g from gold_api_com | View price | Swarna"),
        (SignificantChange.objects.get(), "gold +3.85 % | View significant change | Swarna"),
        (fallback(), "gold 9223.3162 INR/g | Change fallback price | Swarna"),
        (Premium.objects.get(), "gold × 1.060000 from 2026-09-24 08:00 | Change premium | Swarna"),
        (SanityBand.objects.get(), "gold 9000.0000 to 50000.0000 INR/g | Change sanity band | Swarna"),
    ]
    for row, expected in rows:
        assert row is not None
        page = desk.get(f"/admin/prices/{row._meta.model_name}/{row.pk}/change/")
        assert (page.status_code, title(page)) == (200, expected)


@pytest.mark.usefixtures("history")
def test_prices_are_on_top_of_the_desk(boss: Client) -> None:
    apps = re.findall(r'class="app-(\w+) module', boss.get("/admin/").content.decode())
    assert apps[0] == "prices"
    assert sorted(apps[1:]) == apps[1:]
    assert "django_celery_beat" in apps


def test_a_superuser_sees_the_same_and_the_schedule_too(boss: Client) -> None:
    task = PeriodicTask.objects.get(name=schedule.TASK_NAME)
    for address in (
        *(f"/admin/prices/{model}/" for model in MODELS),
        f"/admin/django_celery_beat/periodictask/{task.pk}/change/",
    ):
        assert boss.get(address, follow=True).status_code == 200


@pytest.mark.usefixtures("history")
def test_a_sources_error_is_shown_as_text(desk: Client) -> None:
    page = desk.get("/admin/prices/providerstate/").content.decode()
    assert "gold: &lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_full_disk_is_reported_and_nothing_is_saved(
    desk: Client, save: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise OperationalError("database or disk is full")

    before = fallback().price
    monkeypatch.setattr(FallbackPrice, "save_base", refuse)
    desk.raise_request_exception = False
    page = save(address_of(), price="9300")
    assert page.status_code == 503
    assert b"see whether it is there before you send it again" in page.content
    assert fallback().price == before


# --- what nobody may write -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("model", [Price, SignificantChange, HeldPrice])
def test_history_is_only_read_even_by_a_superuser(boss: Client, model: type[Price]) -> None:
    rows = list(model.objects.values())
    base = f"/admin/prices/{model._meta.model_name}"
    row = model.objects.all()[0]
    assert boss.get(f"{base}/add/").status_code == 403
    assert boss.post(f"{base}/add/", {"price": 1}).status_code == 403
    for page in ("change", "delete"):
        assert boss.post(f"{base}/{row.pk}/{page}/", {"price": 1, "post": "yes"}).status_code == 403
    boss.post(f"{base}/", {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})
    assert list(model.objects.values()) == rows
    assert b"delete_selected" not in boss.get(f"{base}/").content


def test_an_old_version_is_shown_to_be_read(save: Callable[..., Any], desk: Client) -> None:
    save(address_of(), price="9300")
    version = fallback().history.first()
    listed = desk.get(f"/admin/prices/fallbackprice/{fallback().pk}/history/").content.decode()
    assert f"history/{version.pk}/" in listed
    assert "revert" not in listed.lower()
    page = desk.get(f"/admin/prices/fallbackprice/{fallback().pk}/history/{version.pk}/").content.decode()
    assert "9300" in page
    assert "evert" not in page
    assert not re.search(r'<input(?![^>]*type="hidden")[^>]*name="price"', page)


def test_a_row_that_is_added_has_nothing_to_be_compared_with(desk: Client) -> None:
    """Not even where the form says which version it was opened at."""
    page = desk.post(ADD, {"metal": "gold", "currency": "USD", "price": "1", "version": "7"})
    assert page.status_code == 200


@pytest.mark.parametrize("address", [GOLD, "/admin/prices/listedmetal/gold/change/", CONFIGURATION])
def test_rows_that_a_screen_needs_cannot_be_deleted(boss: Client, address: str) -> None:
    address = address.format(fallback().pk).replace("/change/", "/delete/")
    assert boss.post(address, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", ["listedmetal", "configuration"])
def test_metals_and_configuration_cannot_be_added(boss: Client, model: str) -> None:
    assert boss.get(f"/admin/prices/{model}/add/").status_code == 403


# --- fallback prices -----------------------------------------------------------------------------------------------


def test_an_edited_price_is_audited_with_its_user(save: Callable[..., Any], staff: User) -> None:
    assert saved(save(address_of(), price="9300", note="IBJA, this morning"))
    assert (fallback().price, fallback().note) == (Decimal(9300), "IBJA, this morning")
    now, before = fallback().history.all()
    assert (now.price, now.history_user, now.note) == (9300, staff, "IBJA, this morning")
    assert (before.price, before.history_user) == (Decimal("9223.3162"), None)


def test_the_history_of_a_price_is_shown(save: Callable[..., Any], desk: Client) -> None:
    save(address_of(), price="9300")
    page = desk.get(address_of().replace("change", "history"))
    assert page.status_code == 200
    for shown in ("9300.0000", "9223.3162", "asha"):
        assert shown in page.content.decode()
    version = fallback().history.last()
    assert desk.get(address_of().replace("change", f"history/{version.pk}")).status_code == 200


@pytest.mark.parametrize(
    ("price", "complaint"),
    [
        ("0", "A price is a positive number"),
        ("-9300", "A price is a positive number"),
        ("0.00001", "no more than 4 decimal places"),
        ("9300.12345", "no more than 4 decimal places"),
        ("nine thousand", "Enter a number"),
        ("9,300", "Enter a number"),
        ("NaN", "Enter a number"),
        ("Infinity", "Enter a number"),
        ("1e400", "no more than 18 digits"),
        ("100000000000", "less than or equal to 99999999999.9999"),
        ("", "This field is required"),
    ],
)
def test_an_invalid_price_is_rejected(
    save: Callable[..., Any], broadcasts: Broadcasts, price: str, complaint: str
) -> None:
    refused = errors(save(address_of(), price=price, confirm="on"))
    assert list(refused) == ["price"]
    assert complaint in refused["price"][0]
    assert fallback().price == Decimal("9223.3162")
    assert fallback().history.count() == 1
    assert broadcasts.publications == []


@pytest.mark.parametrize("slip", ["92233.162", "922.3316", "8762", "9684.6"])
def test_a_slip_needs_a_confirmation(save: Callable[..., Any], slip: str) -> None:
    (complaint,) = errors(save(address_of(), price=slip))["price"]
    assert "Prices are per gram of fine metal" in complaint
    assert fallback().price == Decimal("9223.3162")
    assert saved(save(address_of(), price=slip, confirm="on"))
    assert fallback().price == Decimal(slip)


@pytest.mark.parametrize("price", ["8762.1504", "9684.482"])
def test_a_price_accepted_from_a_source_is_no_slip(save: Callable[..., Any], price: str) -> None:
    assert saved(save(address_of(), price=price))


def test_a_slip_is_one_from_the_live_price_where_there_is_one(save: Callable[..., Any]) -> None:
    go_live(gold="13221.39")
    assert "13,221.3900" in errors(save(address_of(), price="9300"))["price"][0]
    assert saved(save(address_of(), price="13000"))


def test_how_far_is_a_slip_is_for_the_configuration_to_say(save: Callable[..., Any]) -> None:
    assert errors(save(address_of(), price="8000"))["price"] == [
        "8,000.0000 is -13.3 % from 9,223.3162, the last price. Prices are per gram of fine metal. "
        "If it is right, tick “I checked it” and save again."
    ]
    save(CONFIGURATION, max_jump_percent="15")
    assert saved(save(address_of(), price="8000"))


def test_a_price_outside_its_band_is_a_slip(save: Callable[..., Any]) -> None:
    SanityBand.objects.create(metal_id="gold", lowest=Decimal(9000), highest=Decimal(9400))
    assert "its sanity band" in errors(save(address_of(), price="9401"))["price"][0]
    assert saved(save(address_of(), price="9401", confirm="on"))


def test_a_slip_is_measured_from_the_shown_price_with_its_premium(save: Callable[..., Any]) -> None:
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.2"), effective_from=NOW)
    go_live(gold="10000")
    assert "12,000.0000" in errors(save(address_of(), price="10000"))["price"][0]
    assert saved(save(address_of(), price="12100"))


def test_a_new_price_is_as_of_now(save: Callable[..., Any]) -> None:
    before = timezone.now()
    save(address_of(), price="9300")
    assert before <= fallback().as_of <= timezone.now()


def test_the_form_names_the_time_zone_of_its_times(desk: Client, broadcasts: Broadcasts) -> None:
    for form in (address_of(), "/admin/prices/premium/add/"):
        assert "By the clock of Asia/Kolkata." in desk.get(form).content.decode()


def test_a_date_that_was_typed_stands_and_is_indias(save: Callable[..., Any]) -> None:
    save(address_of(), price="9300", as_of_0="2026-09-24", as_of_1="13:30:00")
    assert fallback().as_of == dt.datetime(2026, 9, 24, 8, 0, tzinfo=dt.UTC)


def test_a_note_does_not_move_the_date(save: Callable[..., Any]) -> None:
    save(address_of(), note="checked")
    assert (fallback().note, fallback().as_of) == ("checked", dt.datetime(2025, 7, 1, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("date", "complaint"),
    [
        ("2999-01-01", "This is in the future"),
        ("0001-01-01", "before 2000"),
        ("9999-12-31", "This is in the future"),
        ("yesterday", "Write the date as 2026-12-31"),
        ("", "This field is required"),
    ],
)
def test_a_date_that_cannot_be_is_refused(save: Callable[..., Any], date: str, complaint: str) -> None:
    assert complaint in errors(save(address_of(), as_of_0=date))["as_of"][0]


def test_an_edit_is_on_the_screen_when_the_request_ends(save: Callable[..., Any], broadcasts: Broadcasts) -> None:
    ingest.fall_back_where_due(now=timezone.now())
    broadcasts.publications.clear()
    save(address_of(), price="9300")
    (publication,) = broadcasts.publications
    ((gold,),) = [publication.quotes]
    assert (gold.quote.metal, gold.quote.price, gold.quote.source) == (Metal.GOLD, Decimal(9300), FALLBACK)
    assert gold.quote.quoted_at == fallback().as_of
    assert snapshot.read().quotes[Metal.GOLD] == gold


def test_an_edit_waits_while_a_live_price_is_on_the_screen(
    save: Callable[..., Any], broadcasts: Broadcasts, settings: Settings
) -> None:
    go_live(**{metal.value: "100" for metal in Metal})
    broadcasts.publications.clear()
    assert saved(save(address_of(), price="9300", confirm="on"))
    assert broadcasts.publications == []
    assert snapshot.read().quotes[Metal.GOLD].quote.price == 100
    # While the market is closed, that long after the next time that anybody would ask.
    ingest.fall_back_where_due(now=timezone.now() + settings.CLOSED_UPDATE_INTERVAL + settings.FALLBACK_AFTER)
    assert snapshot.read().quotes[Metal.GOLD].quote.price == 9300


def test_the_list_marks_the_prices_on_screen(desk: Client) -> None:
    go_live(gold="13221.39")
    ingest.fall_back_where_due(now=timezone.now())
    page = desk.get("/admin/prices/fallbackprice/")
    rows = {row.metal_id: row for row in page.context["cl"].result_list}
    described = page.context["cl"].model_admin
    assert [described.on_screen(rows[metal]) for metal in ("gold", "silver")] == [False, True]
    assert [described.last_live(rows[metal]) for metal in ("gold", "silver")] == ["13,221.3900", "—"]


ADD = "/admin/prices/fallbackprice/add/"


def test_a_price_in_another_currency_can_be_added(
    save: Callable[..., Any], broadcasts: Broadcasts, settings: Settings
) -> None:
    first = {"metal": "gold", "currency": "usd", "price": "137.42"}
    assert "no price of gold in USD yet to compare this with" in errors(save(ADD, **first))["price"][0]
    assert saved(save(ADD, **first, confirm="on"))
    assert FallbackPrice.objects.get(currency="USD").price == Decimal("137.42")
    assert {quote.quote.currency for publication in broadcasts.publications for quote in publication.quotes} <= {"INR"}


@pytest.mark.parametrize(
    ("changed", "field", "complaint"),
    [
        ({"currency": "12$"}, "currency", "ISO 4217"),
        ({"currency": "rupees"}, "currency", "at most 3 characters"),
        ({"currency": ""}, "currency", "required"),
        ({"currency": "inr"}, "__all__", "already exists"),
        ({"metal": "rhodium"}, "metal", "valid choice"),
        ({"metal": ""}, "metal", "required"),
    ],
)
def test_a_useless_price_is_rejected(
    save: Callable[..., Any], changed: dict[str, str], field: str, complaint: str
) -> None:
    refused = errors(save(ADD, **({"metal": "gold", "currency": "USD", "price": "9300"} | changed)))
    assert complaint in refused[field][0]
    assert FallbackPrice.objects.count() == 4


# --- configuration -------------------------------------------------------------------------------------------------


def test_the_configuration_applies_when_it_is_saved(
    save: Callable[..., Any], client: Client, broadcasts: Broadcasts, staff: User
) -> None:
    response = save(
        CONFIGURATION, change_threshold_percent="0.25", freshness_limit_ms="90000", update_interval_ms="2500"
    )
    assert saved(response)
    config = client.get("/api/v1/config/").json()
    assert (config["changeThresholdPercent"], config["freshnessLimitMs"], config["updateIntervalMs"]) == (
        0.25,
        90000,
        2500,
    )
    interval = PeriodicTask.objects.get(name=schedule.TASK_NAME).interval
    assert (interval.every, interval.period) == (2_500_000, "microseconds")
    assert broadcasts.reloads == 1
    kept = Configuration.history.first()
    assert (kept.history_user, kept.change_threshold_percent) == (staff, Decimal("0.25"))
    assert (kept.prev_record.update_interval_ms, kept.update_interval_ms) == (60_000, 2500)


def test_an_empty_field_is_as_deployed(save: Callable[..., Any], client: Client, settings: Settings) -> None:
    settings.CHANGE_THRESHOLD_PERCENT = Decimal("1.5")
    save(CONFIGURATION, change_threshold_percent="3", freshness_limit_ms="1000", max_jump_percent="20")
    save(CONFIGURATION, change_threshold_percent="", freshness_limit_ms="", max_jump_percent="")
    config = client.get("/api/v1/config/").json()
    assert (config["changeThresholdPercent"], config["freshnessLimitMs"]) == (1.5, 300_000)
    assert config["maxJumpPercent"] == 5


def test_the_interval_outlives_a_restart(save: Callable[..., Any]) -> None:
    save(CONFIGURATION, update_interval_ms="5000")
    call_command("seed")
    assert schedule.interval() == dt.timedelta(seconds=5)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("change_threshold_percent", "0", "greater than or equal to 0.001"),
        ("change_threshold_percent", "-1", "greater than or equal to 0.001"),
        ("change_threshold_percent", "NaN", "Enter a number"),
        ("change_threshold_percent", "1000", "no more than 3 digits before"),
        ("change_threshold_percent", "0.0001", "no more than 3 decimal places"),
        ("max_jump_percent", "0", "greater than or equal to 0.001"),
        ("freshness_limit_ms", "999", "greater than or equal to 1000"),
        ("freshness_limit_ms", "-1", "greater than or equal to"),
        ("freshness_limit_ms", "1m", "Enter a whole number"),
        ("freshness_limit_ms", "9" * 30, "less than or equal to"),
        ("update_interval_ms", "99", "greater than or equal to 100"),
        ("update_interval_ms", "86400001", "less than or equal to 86400000"),
        ("update_interval_ms", "", "required"),
        ("update_interval_ms", "1.5", "Enter a whole number"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    save: Callable[..., Any], broadcasts: Broadcasts, field: str, value: str, complaint: str
) -> None:
    assert complaint in errors(save(CONFIGURATION, **{field: value}))[field][0]
    assert schedule.interval() == dt.timedelta(minutes=1)
    assert broadcasts.reloads == 0


@pytest.mark.parametrize("interval", ["100", "2150500", "86400000"])
def test_every_interval_that_is_taken_can_be_kept(save: Callable[..., Any], interval: str) -> None:
    assert saved(save(CONFIGURATION, update_interval_ms=interval))
    assert abs(schedule.interval() - dt.timedelta(milliseconds=int(interval))) < dt.timedelta(seconds=1)


def test_an_extreme_configuration_breaks_no_page(save: Callable[..., Any], client: Client) -> None:
    go_live(gold="100")
    assert saved(save(CONFIGURATION, freshness_limit_ms="31536000000", change_threshold_percent="999.999"))
    assert client.get("/api/v1/prices/").json()["data"]["gold"]["stale"] is False
    assert client.get("/api/v1/config/").status_code == 200


# --- metals --------------------------------------------------------------------------------------------------------


def change_metals(desk: Client, **changed: dict[str, Any]) -> Any:
    """Save the list of metals, with some of their fields changed."""
    return desk.post(METALS, edited(desk.get(METALS).content, **changed))


@pytest.mark.parametrize("enabled", [False, True])
def test_a_metal_is_switched_off_and_on(
    desk: Client,
    broadcasts: Broadcasts,
    enabled: bool,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    ListedMetal.objects.filter(name="silver").update(enabled=not enabled)
    with django_capture_on_commit_callbacks(execute=True):
        assert saved(change_metals(desk, silver={"enabled": enabled}))
    assert ListedMetal.objects.get(name="silver").enabled is enabled
    assert broadcasts.reloads == 1


def test_a_metal_that_is_switched_on_has_a_price_at_once(
    desk: Client, broadcasts: Broadcasts, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    ListedMetal.objects.filter(name="silver").update(enabled=False)
    ingest.fall_back_where_due(now=timezone.now())
    broadcasts.publications.clear()
    with django_capture_on_commit_callbacks(execute=True):
        change_metals(desk, silver={"enabled": True})
    assert [quote.quote.metal for publication in broadcasts.publications for quote in publication.quotes] == [
        Metal.SILVER
    ]


def test_a_metal_that_is_switched_on_has_the_premium_that_came_meanwhile(
    desk: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    go_live(silver="100")
    change_metals(desk, silver={"enabled": False})
    Premium.objects.create(metal_id="silver", multiplier=Decimal("1.06"))
    with django_capture_on_commit_callbacks(execute=True):
        change_metals(desk, silver={"enabled": True})
    assert snapshot.read().quotes[Metal.SILVER].quote.price == 106


def test_metals_are_put_in_another_order(desk: Client, client: Client) -> None:
    assert saved(change_metals(desk, palladium={"position": 0}, gold={"position": 3}))
    assert [metal["name"] for metal in client.get("/api/v1/metals/").json()] == [
        "palladium",
        "silver",
        "platinum",
        "gold",
    ]


def test_a_metal_switched_off_meanwhile_stays_off_when_an_older_page_is_saved(desk: Client) -> None:
    the_list, its_own = desk.get(METALS).content, desk.get(f"{METALS}gold/change/").content
    change_metals(desk, gold={"enabled": False})
    assert saved(desk.post(METALS, edited(the_list, gold={"position": 5})))
    assert saved(desk.post(f"{METALS}gold/change/", FormFields(its_own).values | {"display_name": "Gold 24K"}))
    gold = ListedMetal.objects.get(name="gold")
    assert (gold.enabled, gold.position, gold.display_name) == (False, 5, "Gold 24K")


def test_a_metal_is_renamed_only_on_screen(save: Callable[..., Any], client: Client, broadcasts: Broadcasts) -> None:
    assert saved(save("/admin/prices/listedmetal/gold/change/", display_name="Gold 24K", name="lead"))
    metal = client.get("/api/v1/metals/").json()[0]
    assert (metal["name"], metal["displayName"]) == ("gold", "Gold 24K")
    assert broadcasts.reloads == 1


def test_a_metal_needs_a_name_and_a_place(desk: Client, save: Callable[..., Any]) -> None:
    assert "required" in errors(save("/admin/prices/listedmetal/gold/change/", display_name=""))["display_name"][0]
    assert change_metals(desk, gold={"position": "-1"}).status_code == 200
    assert ListedMetal.objects.get(name="gold").position == 0


def test_a_price_of_a_metal_in_dollars_does_not_disturb(desk: Client) -> None:
    now = timezone.now()
    ingest.record([replace(quote(at=now), currency="USD")], now=now)
    assert desk.get("/admin/prices/price/").status_code == 200
