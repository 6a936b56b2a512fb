"""Staff's pages and API of price sources, quarantine, bands and premiums, with sources a, b and c."""

import datetime as dt
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from prices.domain.breaker import FAILURES
from prices.domain.quota import Quota
from prices.domain.quotes import Metal, PriceKind
from prices.domain.sanity import Release
from prices.models import (
    HeldPrice,
    LatestPrice,
    ListedMetal,
    Premium,
    Price,
    ProviderState,
    SanityBand,
)
from prices.providers.errors import PermanentError, TemporaryError
from prices.publishing import ingest
from prices.sources import fetching, health, registry
from tests.support.desk import Broadcasts, FormFields, edited, errors, saved, user
from tests.support.quotes import NOW, quote
from tests.support.world import MINUTE, PRICES, World, enter_fallbacks, forget_prices

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts")]

SOURCES = "/admin/prices/providerstate/"
QUARANTINE = "/admin/prices/heldprice/"
PREMIUMS = "/admin/prices/premium/"
BANDS = "/admin/prices/sanityband/"


@pytest.fixture
def world(world: World, settings: Settings) -> World:
    """It is now in it, as it is for the admin, and sources are fetched whatever day that is."""
    settings.CLOSED_UPDATE_INTERVAL = settings.PRICE_UPDATE_INTERVAL
    world.now = timezone.now() - MINUTE
    return world


def said(response: Any) -> list[str]:
    """The messages of the next page."""
    return [str(message) for message in get_messages(response.wsgi_request)]


Act = Callable[..., list[str]]


@pytest.fixture
def act(desk: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Act:
    """Choose rows of a list and an action; returns the messages of the page."""

    def act(address: str, action: str, *keys: Any, by: Client = desk) -> list[str]:
        with django_capture_on_commit_callbacks(execute=True):
            response = by.post(address, {"action": action, "_selected_action": keys})
        messages = said(response)
        by.get(address)  # shows them, so that they do not come again
        return messages

    return act


def state(name: str = "a") -> ProviderState:
    return ProviderState.objects.get(name=name)


def column(desk: Client, address: str, name: str) -> list[Any]:
    """A column of a list, as its rows show it."""
    changelist = desk.get(address).context["cl"]
    show = getattr(changelist.model_admin, name)
    return [show(row) for row in changelist.result_list]


def logged() -> list[tuple[str, str, str]]:
    """The admin's log, oldest first: user, object and message."""
    return [
        (entry.user.get_username(), entry.object_repr, entry.get_change_message())
        for entry in LogEntry.objects.order_by("pk")
    ]


def gold() -> str:
    """The shown price of gold, and its source."""
    price = LatestPrice.shown().filter(metal="gold")[0]
    return f"{price.price:.0f} from {price.source}"


# --- the list of sources -------------------------------------------------------------------------------------------


def test_the_list_has_the_deployments_sources_before_any_was_fetched(world: World, desk: Client) -> None:
    page = desk.get(SOURCES)
    assert [row.name for row in page.context["cl"].result_list] == ["a", "b", "c"]
    assert column(desk, SOURCES, "health") == ["never asked"] * 3


def test_a_source_that_the_deployment_does_not_name_is_not_shown(world: World, desk: Client) -> None:
    ProviderState.objects.create(name="of_old")
    assert b"of_old" not in desk.get(SOURCES).content


def test_the_list_costs_as_many_queries_for_three_sources_as_for_one(
    world: World, desk: Client, settings: Settings
) -> None:
    counts = []
    for names in (["a"], ["a", "b", "c"]):
        settings.PRICE_PROVIDERS = names
        desk.get(SOURCES)  # makes the rows
        with CaptureQueriesContext(connection) as queries:
            desk.get(SOURCES)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_each_source_says_how_it_does(world: World, desk: Client, settings: Settings) -> None:
    settings.A_QUOTA = Quota(100, "month")
    world.says |= {"a": TemporaryError("is away"), "b": {Metal.GOLD: "13200"}}
    world.refresh(0)
    assert column(desk, SOURCES, "health") == ["failing: no fresh price ever", "well, but not for all metals", "well"]
    assert column(desk, SOURCES, "breaker") == ["closed"] * 3
    assert column(desk, SOURCES, "quota") == ["99 of 100/month", "—", "—"]
    assert "gold, silver, platinum, palladium: is away" in column(desk, SOURCES, "error")[0]
    assert column(desk, SOURCES, "success")[0] == "never"
    assert column(desk, SOURCES, "latency")[1].endswith(" ms")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"enabled": False, "failures": 9}, "off"),
        ({"calls": 2, "calls_since": dt.date(2026, 9, 1)}, "quota of 2/month used up"),
        ({"rests_until": dt.datetime(2026, 9, 24, 8, 5, tzinfo=dt.UTC)}, "rests until 13:35:00, as it asked"),
        (
            {"failures": 3, "open_until": dt.datetime(2026, 9, 24, 8, 5, tzinfo=dt.UTC)},
            "left alone until 13:35:00, for its failures",
        ),
        (
            {"failures": 4, "open_until": dt.datetime(2026, 9, 24, 7, 59, tzinfo=dt.UTC)},
            "failing: no fresh price since 2026-09-23 12:30:00",
        ),
        ({"refreshes_total": 0}, "never asked"),
        ({"last_error_at": dt.datetime(2026, 9, 23, 6, 0, tzinfo=dt.UTC)}, "well"),
        ({"last_error_at": dt.datetime(2026, 9, 23, 7, 0, tzinfo=dt.UTC)}, "well, but not for all metals"),
        ({}, "well"),
    ],
)
def test_health_is_described(settings: Settings, changed: dict[str, Any], expected: str) -> None:
    settings.A_QUOTA = Quota(2, "month")
    source = ProviderState(
        name="a", **({"refreshes_total": 5, "last_success_at": dt.datetime(2026, 9, 23, 7, 0, tzinfo=dt.UTC)} | changed)
    )
    assert health.health_detail(source, dt.datetime(2026, 9, 24, 8, 0, tzinfo=dt.UTC)) == expected


def test_the_last_exclusion_of_a_source_is_shown(world: World, desk: Client, settings: Settings) -> None:
    settings.CONSENSUS_SOURCES = 2
    world.says["b"] = PRICES | {Metal.GOLD: "1320"}
    world.refresh()
    assert column(desk, SOURCES, "excluded")[1].endswith("gold: -90.00 % from the median of 3")


def order(desk: Client, **rows: dict[str, Any]) -> Any:
    """Save the list of sources, with some of its fields changed."""
    return desk.post(SOURCES, edited(desk.get(SOURCES).content, **rows))


def test_staff_put_the_sources_in_order_in_the_list(world: World, desk: Client) -> None:
    assert saved(order(desk, a={"position": 2}, c={"position": 0}, b={"enabled": False}))
    assert world.refresh() == ["c"]
    assert ("asha", "b", "Changed Enabled.") in logged()


def test_an_edit_does_not_overwrite_a_workers_writes(
    world: World, desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.in_order()
    save = ProviderState.save

    def after_a_refresh(self: ProviderState, *args: Any, **options: Any) -> None:
        ProviderState.objects.filter(name="a").update(calls=7, calls_total=7)
        save(self, *args, **options)

    monkeypatch.setattr(ProviderState, "save", after_a_refresh)
    order(desk, a={"position": 5})
    assert (state().position, state().calls, state().calls_total) == (5, 7, 7)


def test_a_source_switched_off_meanwhile_stays_off_when_an_older_page_is_saved(
    world: World, desk: Client, act: Act
) -> None:
    the_list, its_own = desk.get(SOURCES).content, desk.get(f"{SOURCES}a/change/").content
    act(SOURCES, "switch_off", "a")
    assert saved(desk.post(SOURCES, edited(the_list, a={"position": 5})))
    assert saved(desk.post(f"{SOURCES}a/change/", FormFields(its_own).values | {"tolerance_percent": "2"}))
    assert (state().enabled, state().position, state().tolerance_percent) == (False, 5, Decimal(2))


def test_the_tolerance_is_set_on_a_sources_own_page(world: World, save: Callable[..., Any]) -> None:
    registry.in_order()
    assert saved(save(f"{SOURCES}a/change/", tolerance_percent="2.5"))
    assert registry.tolerances()["a"] == Decimal("2.5")


def test_sources_are_neither_added_nor_deleted(world: World, boss: Client) -> None:
    registry.in_order()
    assert boss.get(f"{SOURCES}add/").status_code == 403
    assert boss.post(f"{SOURCES}a/delete/", {"post": "yes"}).status_code == 403
    boss.post(SOURCES, {"action": "delete_selected", "_selected_action": "a", "post": "yes"})
    assert state().name == "a"


# --- what is done about a source -----------------------------------------------------------------------------------


def test_a_probe_fetches_only_that_source_and_publishes_nothing(world: World, act: Act, broadcasts: Broadcasts) -> None:
    registry.in_order()
    broadcasts.publications.clear()
    (message,) = act(SOURCES, "probe", "b")
    assert message.startswith(
        "Fetched b: gold 13,200.0000, silver 165.0000, platinum 4,900.0000, palladium 4,300.0000 ("
    )
    assert message.endswith(" ms, 1 call)")
    assert world.fetched == ["b"]
    assert (broadcasts.publications, Price.objects.exclude(source="fallback").count()) == ([], 0)


def test_a_probe_counts_and_is_remembered(world: World, act: Act, settings: Settings) -> None:
    settings.A_QUOTA = Quota(2, "month")
    registry.in_order()
    ProviderState.objects.filter(name="a").update(failures=FAILURES, open_until=timezone.now() + 5 * MINUTE)
    act(SOURCES, "probe", "a")
    assert (state().calls, state().failures, state().open_until) == (1, 0, None)
    assert state().last_success_at is not None
    assert logged()[-1][:2] == ("asha", "a")
    assert logged()[-1][2].startswith("Probed: gold 13,200.0000")


def test_a_probe_shows_errors(world: World, act: Act) -> None:
    registry.in_order()
    world.says |= {"a": PermanentError("answers HTTP 401"), "b": {Metal.GOLD: "13200"}}
    of_a, of_b = act(SOURCES, "probe", "a", "b")
    assert of_a.startswith("Fetched a: gold, silver, platinum, palladium: answers HTTP 401 (")
    assert of_b.startswith("Fetched b: gold 13,200.0000; silver, platinum, palladium: is not in the answer (")
    assert state().last_error == "gold, silver, platinum, palladium: answers HTTP 401"


def test_a_probe_does_not_go_beyond_the_quota_nor_take_that_for_a_failure(
    world: World, act: Act, settings: Settings
) -> None:
    settings.A_QUOTA = Quota(1, "month")
    registry.in_order()
    assert act(SOURCES, "probe", "a")[0].endswith("1 call)")
    assert "its quota of 1/month is used up" in act(SOURCES, "probe", "a")[0]
    assert world.fetched == ["a"]
    assert (state().calls, state().failures_total) == (1, 0)


def test_a_probe_of_no_metal_at_all_does_no_harm(world: World) -> None:
    ListedMetal.objects.update(enabled=False)
    assert not fetching.probe(["a", "b"])["a"].quotes
    assert world.fetched == []


def test_a_source_is_switched_off_and_on(world: World, act: Act) -> None:
    registry.in_order()
    assert act(SOURCES, "switch_off", "a") == ["a is switched off."]
    assert world.refresh() == ["b"]
    assert act(SOURCES, "switch_on", "a", "b") == ["a is switched on."]
    assert world.refresh() == ["a"]
    assert logged() == [("asha", "a", "Switched off."), ("asha", "a", "Switched on.")]


NOBODY = "No source is fetched any more: prices turn stale, and after 60 min fallback prices are shown."


def test_staff_are_warned_when_they_switch_off_the_last_source(world: World, act: Act) -> None:
    registry.in_order()
    assert NOBODY not in act(SOURCES, "switch_off", "a", "b")
    assert act(SOURCES, "switch_off", "c")[-1] == NOBODY


def test_staff_are_warned_when_they_untick_the_last_source_in_the_list(world: World, desk: Client) -> None:
    off = {"enabled": False}
    assert NOBODY not in said(order(desk, b=off, c=off))
    assert NOBODY not in said(order(desk, a=off, c={"enabled": True}))
    assert said(order(desk, c=off))[-1] == NOBODY


def test_staff_are_warned_when_they_untick_the_last_source_on_its_page(world: World, save: Callable[..., Any]) -> None:
    registry.in_order()
    ProviderState.objects.exclude(name="a").update(enabled=False)
    assert NOBODY not in said(save(f"{SOURCES}a/change/", tolerance_percent="2"))
    assert NOBODY in said(save(f"{SOURCES}a/change/", enabled=""))


def test_staff_are_warned_when_fewer_are_left_than_have_to_agree(world: World, act: Act, settings: Settings) -> None:
    settings.CONSENSUS_SOURCES = 2
    registry.in_order()
    assert act(SOURCES, "switch_off", "a") == ["a is switched off."]
    assert act(SOURCES, "switch_off", "b")[-1] == NOBODY.replace(
        "No source", "Only 1 of the 2 sources that have to agree"
    )


def test_a_source_is_reset(world: World, act: Act) -> None:
    world.says["a"] = PermanentError("answers HTTP 401")
    world.refresh()
    assert world.refresh(0.1) == ["b"]
    assert act(SOURCES, "reset", "a") == ["a is fetched again at the next refresh."]
    assert world.refresh(0.1) == ["a", "b"]
    assert logged() == [("asha", "a", "Reset.")]


@pytest.mark.parametrize("action", ["probe", "switch_off", "switch_on", "reset"])
def test_staff_who_may_only_view_cannot_act_on_a_source(world: World, act: Act, action: str) -> None:
    registry.in_order()
    ProviderState.objects.filter(name="b").update(failures=1, enabled=False)
    clerk = Client()
    clerk.force_login(user("clerk", is_staff=True, permissions="^view_"))
    act(SOURCES, action, "a", "b", by=clerk)
    assert (world.fetched, state("a").enabled, state("b").enabled, state("b").failures) == ([], True, False, 1)
    assert logged() == []


# --- quarantined prices --------------------------------------------------------------------------------------------


@pytest.fixture
def quarantined(world: World, broadcasts: Broadcasts) -> HeldPrice:
    """Gold is 13,200 from a, whose next quote is 14,520."""
    world.refresh(0)
    world.says = dict.fromkeys("abc", PRICES | {Metal.GOLD: "14520"})
    world.says |= dict.fromkeys("bc", TemporaryError("is away"))
    world.refresh(0.5)
    broadcasts.publications.clear()
    return HeldPrice.objects.get()


def test_a_quarantined_price_is_beside_the_shown_one(quarantined: HeldPrice, desk: Client) -> None:
    assert column(desk, QUARANTINE, "price_per_gram") == ["14,520.0000"]
    assert column(desk, QUARANTINE, "shown_now") == ["13,200.0000 from a"]
    assert column(desk, QUARANTINE, "off_by") == ["+10.00 %"]
    assert re.fullmatch(
        "waits for another source, a again from (.*)?[0-9:]{8} on, or staff", *column(desk, QUARANTINE, "decided")
    )
    assert "14,520.0000 is +10.0 % from 13,200.0000, the last price" in desk.get(QUARANTINE).content.decode()


def test_the_move_includes_the_premium(quarantined: HeldPrice, desk: Client) -> None:
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.1"), effective_from=quarantined.held_at)
    ingest.apply_premiums(now=timezone.now())
    assert column(desk, QUARANTINE, "shown_now") == ["14,520.0000 from a"]
    assert column(desk, QUARANTINE, "off_by") == ["+10.00 %"]


def test_pending_prices_come_first(quarantined: HeldPrice, desk: Client) -> None:
    HeldPrice.objects.create(
        metal_id="silver", currency="INR", price=5000, source="b",
        quoted_at=quarantined.quoted_at, held_at=quarantined.held_at,
        doubt="band", decision="rejected", decided_by="asha",
    )  # fmt: skip
    first, second = column(desk, QUARANTINE, "decided")
    assert (first.split()[0], second) == ("waits", "rejected by asha")


@pytest.mark.parametrize(
    ("release", "rule", "waits_for"),
    [
        (Release.SECOND_SOURCE, "jump", "another source or staff"),
        (Release.STAFF, "range", "staff alone"),
        (Release.SAME_SOURCE, "band", "staff alone"),
        (Release.STAFF, "agreement", "sources that agree or staff"),
    ],
)
def test_a_quarantined_price_says_what_it_waits_for(
    quarantined: HeldPrice, desk: Client, settings: Settings, release: Release, rule: str, waits_for: str
) -> None:
    settings.QUARANTINE_RELEASE = release
    HeldPrice.objects.update(doubt=rule)
    assert column(desk, QUARANTINE, "decided") == [f"waits for {waits_for}"]


def test_staff_approve_a_quarantined_price(quarantined: HeldPrice, act: Act, broadcasts: Broadcasts) -> None:
    assert act(QUARANTINE, "approve", quarantined.pk) == ["Approved: gold 14,520.0000 from a."]
    assert gold() == "14520 from a"
    assert [quote.quote.price for publication in broadcasts.publications for quote in publication.quotes] == [14520]
    assert logged()[0][::2] == ("asha", "Approved.")
    quarantined.refresh_from_db()
    assert (quarantined.decision, quarantined.decided_by) == ("approved", "asha")


def test_staff_reject_a_quarantined_price(quarantined: HeldPrice, act: Act, broadcasts: Broadcasts) -> None:
    assert act(QUARANTINE, "reject", quarantined.pk) == ["Rejected: gold 14,520.0000 from a."]
    assert (gold(), broadcasts.publications) == ("13200 from a", [])
    assert logged()[0][::2] == ("asha", "Rejected.")


def test_a_decided_price_is_not_decided_again(quarantined: HeldPrice, act: Act) -> None:
    act(QUARANTINE, "reject", quarantined.pk)
    assert act(QUARANTINE, "approve", quarantined.pk) == [
        "gold 14,520.0000 from a was not approved: it was rejected by asha already."
    ]
    assert gold() == "13200 from a"


def test_a_chosen_price_that_was_superseded_meanwhile_is_not_decided(quarantined: HeldPrice, act: Act) -> None:
    now = quarantined.quoted_at
    # b supersedes a, which then quotes much the same again.
    for source, price, minutes in (("b", "13210", 1), ("a", "14900", 2)):
        at = now + minutes * MINUTE
        ingest.offer([quote(price=price, at=at, source=source)], now=at)
    assert act(QUARANTINE, "approve", quarantined.pk) == [
        "Not decided, since newer prices, listed now, superseded them: 1."
    ]
    assert gold() == "13210 from b"
    assert HeldPrice.pending().get().price == 14900


def test_a_price_in_a_former_currency_is_not_published(quarantined: HeldPrice, act: Act) -> None:
    HeldPrice.objects.update(currency="USD")
    assert "it is in USD, and prices are shown in INR now" in act(QUARANTINE, "approve", quarantined.pk)[0]
    assert gold() == "13200 from a"


def test_only_one_price_of_a_metal_can_be_approved(quarantined: HeldPrice, act: Act) -> None:
    other = HeldPrice.objects.create(
        metal_id="gold", currency="INR", price=14000, source="b",
        quoted_at=quarantined.quoted_at, held_at=quarantined.held_at,
        doubt="agreement",
    )  # fmt: skip
    assert act(QUARANTINE, "approve", quarantined.pk, other.pk) == ["Choose one price of each metal to approve."]
    assert gold() == "13200 from a"


@pytest.mark.parametrize("permissions", ["^view_", "(view_.*|change_(price|premium|providerstate))$"])
def test_staff_without_the_permission_cannot_decide(quarantined: HeldPrice, act: Act, permissions: str) -> None:
    clerk = Client()
    clerk.force_login(user("clerk", is_staff=True, permissions=permissions))
    assert clerk.get(QUARANTINE).status_code == 200
    act(QUARANTINE, "approve", quarantined.pk, by=clerk)
    assert HeldPrice.objects.get().decision == "pending"


WAITING = "1 quarantined price\n  waits for your decision"


def test_every_page_counts_pending_prices(quarantined: HeldPrice, desk: Client, act: Act) -> None:
    for address in ("/admin/", SOURCES, PREMIUMS):
        assert WAITING in desk.get(address).content.decode()
    act(QUARANTINE, "reject", quarantined.pk)
    assert "your decision" not in desk.get("/admin/").content.decode()


def test_only_staff_who_may_see_the_quarantine_see_its_count(quarantined: HeldPrice, client: Client) -> None:
    assert "your decision" not in client.get("/admin/login/").content.decode()
    client.force_login(user("clerk", is_staff=True, permissions="_premium$"))
    assert "your decision" not in client.get("/admin/").content.decode()


# --- sanity bands --------------------------------------------------------------------------------------------------


def test_a_band_applies_when_it_is_saved_and_is_audited(world: World, save: Callable[..., Any], staff: User) -> None:
    assert saved(save(f"{BANDS}add/", metal="gold", currency="inr", lowest="13000", highest="13100"))
    world.refresh()
    assert {quarantined.doubt for quarantined in HeldPrice.objects.all()} == {"band"}
    assert SanityBand.history.get().history_user == staff


@pytest.mark.parametrize(
    ("lowest", "highest", "field", "complaint"),
    [
        ("13000", "13000", "highest", "This has to be above the lowest, 13,000"),
        ("13000", "1300", "highest", "This has to be above the lowest, 13,000"),
        ("0", "13000", "lowest", "greater than or equal to 0.0001"),
        ("1", "100000000000", "highest", "less than or equal to 99999999999.9999"),
        ("", "13000", "lowest", "required"),
    ],
)
def test_a_band_needs_two_ends(save: Callable[..., Any], lowest: str, highest: str, field: str, complaint: str) -> None:
    refused = errors(save(f"{BANDS}add/", metal="gold", currency="INR", lowest=lowest, highest=highest))
    assert complaint in refused[field][0]
    assert not SanityBand.objects.exists()


@pytest.mark.parametrize("currency", ["RS", "12$", "₹"])
def test_a_band_in_an_unknown_currency_is_rejected(save: Callable[..., Any], currency: str) -> None:
    refused = errors(save(f"{BANDS}add/", metal="gold", currency=currency, lowest="1", highest="2"))
    assert refused == {"currency": ["Write a three-letter ISO 4217 code such as INR."]}


def test_staff_are_warned_of_a_band_that_excludes_the_live_price(
    world: World, desk: Client, save: Callable[..., Any]
) -> None:
    world.refresh()
    response = save(f"{BANDS}add/", metal="gold", currency="INR", lowest="9000", highest="9500")
    assert said(response)[0].endswith("13,200.0000, is outside this band: such prices will be quarantined.")
    assert column(desk, BANDS, "last_spot") == ["13,200.0000"]


# --- premiums ------------------------------------------------------------------------------------------------------


def at(moment: dt.datetime) -> dict[str, str]:
    """The fields of a form for a moment, which are India's."""
    local = timezone.localtime(moment)
    return {"effective_from_0": f"{local:%Y-%m-%d}", "effective_from_1": f"{local:%H:%M:%S}"}


def test_a_premium_is_on_the_screen_when_the_request_ends(
    world: World, save: Callable[..., Any], broadcasts: Broadcasts, staff: User
) -> None:
    world.refresh()
    broadcasts.publications.clear()
    response = save(f"{PREMIUMS}add/", metal="gold", multiplier="1.04", note="duty")
    assert saved(response)
    assert said(response)[0] == "Now gold is 13,200.0000 × 1.04 = 13,728.0000 INR per gram."
    assert gold() == "13728 from a"
    assert [quote.quote.price for publication in broadcasts.publications for quote in publication.quotes] == [13728]
    assert Premium.history.get().history_user == staff


def test_the_form_shows_spot_and_premium_of_shown_prices(world: World, desk: Client, save: Callable[..., Any]) -> None:
    world.refresh()
    save(f"{PREMIUMS}add/", metal="gold", multiplier="1.04")
    page = desk.get(f"{PREMIUMS}add/").content.decode()
    assert "gold is 13,200.0000 × 1.04 = 13,728.0000 INR per gram; silver is 165.0000 × 1 = 165.0000" in page


def test_a_premium_by_which_the_price_would_jump_needs_a_confirmation(
    world: World, save: Callable[..., Any], broadcasts: Broadcasts
) -> None:
    world.refresh()
    (complaint,) = errors(save(f"{PREMIUMS}add/", metal="gold", multiplier="10"))["multiplier"]
    assert complaint == (
        "With it gold is 13,200.0000 × 10 = 132,000.0000 INR per gram, +900.0 % from the 13,200.0000 that "
        "is shown now. If it is right, tick “I checked it” and save again."
    )
    assert gold() == "13200 from a"
    assert saved(save(f"{PREMIUMS}add/", metal="gold", multiplier="10", confirm="on"))
    assert gold() == "132000 from a"


@pytest.mark.parametrize("multiplier", ["0", "0.09", "-1", "10.01", "1e30", "NaN", ""])
def test_an_invalid_premium_is_rejected(world: World, save: Callable[..., Any], multiplier: str) -> None:
    world.refresh()
    assert errors(save(f"{PREMIUMS}add/", metal="gold", multiplier=multiplier, confirm="on"))["multiplier"]
    assert not Premium.objects.exists()


def test_a_date_that_means_another_day_elsewhere_is_refused(world: World, save: Callable[..., Any]) -> None:
    world.refresh()
    refused = save(f"{PREMIUMS}add/", metal="gold", multiplier="1.02", effective_from_0="01/12/2026")
    assert errors(refused)["effective_from"] == ["Write the date as 2026-12-31."]
    assert gold() == "13200 from a"


def test_a_premium_of_the_future_waits_for_its_time(world: World, desk: Client, save: Callable[..., Any]) -> None:
    world.refresh()
    tomorrow = timezone.now() + dt.timedelta(days=1)
    response = save(f"{PREMIUMS}add/", metal="gold", multiplier="1.04", **at(tomorrow))
    assert said(response)[0] == "Now gold is 13,200.0000 × 1 = 13,200.0000 INR per gram."
    assert "at today's spot, gold is 13,200.0000 × 1.04 = 13,728.0000" in said(response)[1]
    assert gold() == "13200 from a"
    assert column(desk, PREMIUMS, "is_current") == [False]
    world.now = tomorrow
    world.says = dict.fromkeys("abc", TemporaryError("is away"))
    world.refresh()
    assert Price.objects.filter(metal="gold", source="a")[0].price == 13728


def test_a_premium_that_a_later_one_has_replaced_says_so(world: World, save: Callable[..., Any]) -> None:
    world.refresh()
    save(f"{PREMIUMS}add/", metal="gold", multiplier="1.04")
    yesterday = at(timezone.now() - dt.timedelta(days=1))
    response = save(f"{PREMIUMS}add/", metal="gold", multiplier="1.02", **yesterday)
    assert said(response)[1] == "It has no effect: a later one is current."
    assert saved(save(f"{PREMIUMS}add/", metal="gold", multiplier="9", **at(timezone.now() - 2 * MINUTE)))
    assert gold() == "13728 from a"


def test_a_postponed_premium_needs_a_confirmation_where_the_one_before_is_a_jump(
    world: World, save: Callable[..., Any]
) -> None:
    world.refresh()
    Premium.objects.create(metal_id="gold", multiplier=2, effective_from=world.now - 2 * MINUTE)
    save(f"{PREMIUMS}add/", metal="gold", multiplier="1.04")
    newest = f"{PREMIUMS}{Premium.objects.get(multiplier='1.04').pk}/change/"
    tomorrow = at(timezone.now() + dt.timedelta(days=1))
    (complaint,) = errors(save(newest, **tomorrow))["multiplier"]
    assert complaint.startswith("With it gold is 13,200.0000 × 2 = 26,400.0000 INR per gram, +92.3 % from")
    assert gold() == "13728 from a"
    assert saved(save(newest, confirm="on", **tomorrow))
    assert gold() == "26400 from a"


def test_before_a_premium_is_deleted_the_page_shows_the_price_without_it(
    world: World, desk: Client, save: Callable[..., Any]
) -> None:
    world.refresh()
    for multiplier, hours in (("1.02", -2), ("1.04", 0), ("1.05", 24)):
        begins = timezone.now() + dt.timedelta(hours=hours)
        save(f"{PREMIUMS}add/", metal="gold", multiplier=multiplier, **at(begins))
    earlier, shown, to_come = Premium.objects.order_by("effective_from")

    def said_before(premium: Premium) -> list[str]:
        return [str(each) for each in desk.get(f"{PREMIUMS}{premium.pk}/delete/").context["messages"]]

    desk.get(PREMIUMS)  # shows what was said so far
    now = "gold is 13,200.0000 × 1.04 = 13,728.0000 INR per gram"
    assert said_before(earlier) == [f"With or without it {now}."]
    assert said_before(shown) == [
        "Without it gold is 13,200.0000 × 1.02 = 13,464.0000 INR per gram, -1.9 % from the 13,728.0000 that is shown "
        "now."
    ]
    when = f"{timezone.localtime(to_come.effective_from):%Y-%m-%d %H:%M:%S}"
    assert said_before(to_come) == [
        f"With or without it {now}.",
        f"From {when} on it would not apply: at today's spot, {now}.",
    ]
    assert gold() == "13728 from a"


def test_before_several_are_deleted_the_page_says_it_of_each_metal(
    world: World, desk: Client, save: Callable[..., Any]
) -> None:
    world.refresh()
    for metal, multiplier, hours in (("gold", "1.02", -2), ("gold", "1.04", 0), ("silver", "1.04", 0)):
        begins = timezone.now() + dt.timedelta(hours=hours)
        save(f"{PREMIUMS}add/", metal=metal, multiplier=multiplier, **at(begins))
    desk.get(PREMIUMS)
    keys = list(Premium.objects.values_list("pk", flat=True))
    page = desk.post(PREMIUMS, {"action": "delete_selected", "_selected_action": keys})
    assert [str(each) for each in page.context["messages"]] == [
        "Without it gold is 13,200.0000 × 1 = 13,200.0000 INR per gram, -3.8 % from the 13,728.0000 that is shown now.",
        "Without it silver is 165.0000 × 1 = 165.0000 INR per gram, -3.8 % from the 171.6000 that is shown now.",
    ]


def test_a_premium_is_taken_off_when_it_is_deleted(
    world: World, desk: Client, save: Callable[..., Any], django_capture_on_commit_callbacks: Any
) -> None:
    world.refresh()
    save(f"{PREMIUMS}add/", metal="gold", multiplier="1.04")
    with django_capture_on_commit_callbacks(execute=True):
        desk.post(f"{PREMIUMS}{Premium.objects.get().pk}/delete/", {"post": "yes"})
    assert gold() == "13200 from a"
    assert [entry.history_type for entry in Premium.history.all()] == ["-", "+"]


def test_several_premiums_are_taken_off_together(
    world: World, desk: Client, save: Callable[..., Any], django_capture_on_commit_callbacks: Any
) -> None:
    world.refresh()
    for metal in ("gold", "silver"):
        save(f"{PREMIUMS}add/", metal=metal, multiplier="1.04")
    keys = list(Premium.objects.values_list("pk", flat=True))
    with django_capture_on_commit_callbacks(execute=True):
        desk.post(PREMIUMS, {"action": "delete_selected", "_selected_action": keys, "post": "yes"})
    assert gold() == "13200 from a"
    assert [entry.history_type for entry in Premium.history.all()].count("-") == 2


def test_a_fallback_is_shown_without_premium_and_the_form_says_so(desk: Client, save: Callable[..., Any]) -> None:
    enter_fallbacks()
    ingest.fall_back_where_due(now=timezone.now())
    response = save(f"{PREMIUMS}add/", metal="gold", multiplier="2")
    assert said(response)[0] == "Now gold is shown as fallback gives it, 9,223.3162: no premium is put on that."
    assert gold() == "9223 from fallback"


def test_a_premium_of_a_metal_without_any_price_can_be_saved(save: Callable[..., Any]) -> None:
    forget_prices()
    assert saved(save(f"{PREMIUMS}add/", metal="gold", multiplier="1.04"))


# --- the API -------------------------------------------------------------------------------------------------------


def test_only_staff_see_the_health_of_sources(world: World, client: Client, desk: Client) -> None:
    assert client.get("/api/v1/providers/").status_code == 401
    client.force_login(user("visitor", permissions=".*"))
    assert client.get("/api/v1/providers/").status_code == 403
    assert desk.get("/api/v1/providers/").status_code == 200


def test_the_api_has_the_facts_of_the_page(world: World, desk: Client, settings: Settings) -> None:
    settings.A_QUOTA = Quota(100, "month")
    world.says["a"] = TemporaryError("is away", retry_after=5 * MINUTE)
    ListedMetal.objects.exclude(name="gold").update(enabled=False)
    world.now = world.now.replace(microsecond=123_456)
    world.refresh(0)
    when = f"{world.now:%Y-%m-%dT%H:%M:%S}.123Z"
    first, second, third = json.loads(desk.get("/api/v1/providers/").content)
    assert first.pop("healthInWords").startswith("rests until")
    assert first == {
        "name": "a",
        "position": 0,
        "enabled": True,
        "tolerancePercent": 1,
        "health": "rests",
        "breaker": "closed",
        "lastSuccessAt": None,
        "lastErrorAt": when,
        "lastError": "gold: is away",
        "latencyMs": None,
        "quota": {"calls": 100, "period": "month", "left": 99},
        "restsUntil": f"{world.now + 5 * MINUTE:%Y-%m-%dT%H:%M:%S}.123Z",
        "openUntil": None,
        "failures": 1,
        "standsStillMs": {},
        "disagreement": "",
        "disagreedAt": None,
        "refreshesTotal": 1,
        "failuresTotal": 1,
        "callsTotal": 1,
        "setAsideTotal": 0,
    }
    assert (second["health"], second["lastSuccessAt"], second["quota"]) == ("well", when, None)
    assert third["health"] == "never asked"


def test_staff_see_a_source_whose_price_stands_still_while_its_time_moves(world: World, desk: Client) -> None:
    ListedMetal.objects.exclude(name__in=["gold", "silver"]).update(enabled=False)
    world.now = NOW  # the market is open
    world.refresh()
    world.says["a"] = PRICES | {Metal.SILVER: "166"}
    world.refresh(44)
    first, second, _ = json.loads(desk.get("/api/v1/providers/").content)
    assert (first["health"], first["standsStillMs"]) == ("well", {"gold": 44 * 60_000})
    assert second["standsStillMs"] == {}
    assert "well; stands still: gold for 44 min" in desk.get("/admin/prices/providerstate/").content.decode()
    assert "The same price, while its time moves on: gold for 44 min" in desk.get("/admin/").content.decode()


def test_the_config_names_those_that_are_fetched_in_order(world: World, client: Client) -> None:
    registry.in_order()
    ProviderState.objects.filter(name="a").update(position=9)
    ProviderState.objects.filter(name="b").update(enabled=False)
    assert client.get("/api/v1/config/").json()["providers"] == ["c", "a"]


def test_quarantined_prices_are_in_no_answer(quarantined: HeldPrice, client: Client) -> None:
    assert client.get("/api/v1/prices/gold/").json()["price"] == 13200
    assert LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE).price == 13200
