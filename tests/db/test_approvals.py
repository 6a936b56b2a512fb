"""Two people for large edits: what waits, who may decide, and what becomes of it."""

import datetime as dt
import smtplib
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.messages import get_messages
from django.core import mail
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts import tokens
from prices.audit import StaffChange
from prices.models import ApprovalLimit, FallbackPrice, Premium, ProposedEdit, SanityBand
from prices.publishing import ingest
from prices.staff import approvals, decisions
from prices.staff.decisions import DecisionError
from tests.support.desk import Broadcasts, FormFields, proposed_edit, user
from tests.support.quotes import quote
from tests.support.threads import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts")]

LIST = "/admin/prices/proposededit/"
PREMIUMS = "/admin/prices/premium/"
GOLD = "/api/v1/fallback-prices/gold/"
EDITOR = "(view_.*|_(fallbackprice|premium))$"
APPROVER = "(view_.*|change_proposededit)$"
PENDING, APPROVED, REJECTED, WITHDRAWN, REFUSED, OVERRIDDEN = ProposedEdit.Decision
Post = Callable[..., Any]


def browser(who: User) -> Client:
    client = Client()
    client.force_login(who)
    return client


def member(name: str, permissions: str) -> User:
    return user(name, is_staff=True, permissions=permissions, email=f"{name}@shop.example")


@pytest.fixture(autouse=True)
def two_people(settings: Settings) -> None:
    """Whoever moves a price by more than 2 % needs another person."""
    settings.APPROVAL_ABOVE_PERCENT = Decimal(2)
    settings.EMAIL_HOST = "mail.example"


@pytest.fixture
def ravi(broadcasts: Broadcasts) -> User:
    return member("ravi", EDITOR)


@pytest.fixture
def meera(broadcasts: Broadcasts) -> User:
    return member("meera", APPROVER)


@pytest.fixture
def post(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Post:
    """Open a form, change some of its fields, and send it; returns the response. It has committed by then."""

    def post(who: User, address: str, **changed: str) -> Any:
        client = browser(who)
        fields = FormFields(client.get(address).content).values | changed
        with django_capture_on_commit_callbacks(execute=True):
            return client.post(address, fields)

    return post


@pytest.fixture
def patch(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Post:
    """PATCH with a token of this user."""

    def patch(who: User, address: str, **body: Any) -> Any:
        authorization = {"Authorization": f"Bearer {tokens.issue(who)[1]}"}
        with django_capture_on_commit_callbacks(execute=True):
            return Client().patch(address, body, content_type="application/json", headers=authorization)

    return patch


def gold() -> Any:  # a FallbackPrice, whose amounts tests write as integers
    return FallbackPrice.objects.get(metal="gold")


def change_gold(post: Post, who: User, price: str) -> Any:
    return post(who, f"/admin/prices/fallbackprice/{gold().pk}/change/", price=price, confirm="on")


def shown(broadcasts: Broadcasts) -> list[Any]:
    """The prices of gold that went out, oldest first."""
    quotes = (each.quote for publication in broadcasts.publications for each in publication.quotes)
    return [quoted.price for quoted in quotes if quoted.metal == "gold"]


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def page(proposal: ProposedEdit) -> str:
    return f"{LIST}{proposal.pk}/change/"


# --- what waits ----------------------------------------------------------------------------------------------------


def test_an_edit_within_the_limit_is_on_screens_at_once(post: Post, ravi: User, broadcasts: Broadcasts) -> None:
    change_gold(post, ravi, "9400")
    assert (gold().price, shown(broadcasts)) == (9400, [9400])
    assert not ProposedEdit.objects.exists()


def test_an_edit_beyond_it_waits_and_who_may_approve_is_told(
    post: Post, ravi: User, meera: User, broadcasts: Broadcasts
) -> None:
    member("stranger", "^view_")
    response = change_gold(post, ravi, "9800")
    assert (gold().price, shown(broadcasts)) == (Decimal("9223.3162"), [])
    proposal = ProposedEdit.objects.get()
    assert response["Location"] == page(proposal)
    assert "Not saved yet: another person has to approve it." in said(response)
    assert proposal.summary == "fallback price of gold: price per gram 9,223.3162 → 9,800"
    assert proposal.detail == (
        "9,800.0000 is +6.3 % from 9,223.3162, the last price. ravi may move a price by 2 % alone."
    )
    (letter,) = mail.outbox
    assert letter.to == ["meera@shop.example"]
    assert letter.subject == "Swarna: ravi asks for approval of a price"
    assert f"http://testserver{page(proposal)}" in letter.body
    assert proposal.summary in letter.body
    for address in ("/admin/", PREMIUMS):
        assert "for your approval" in browser(meera).get(address).content.decode()


def test_no_edit_waits_where_the_deployment_does_not_ask_for_it(
    post: Post, ravi: User, settings: Settings, broadcasts: Broadcasts
) -> None:
    settings.APPROVAL_ABOVE_PERCENT = None
    ApprovalLimit.objects.create(role=Group.objects.create(name="tellers"), percent=0)
    change_gold(post, ravi, "9800")
    assert shown(broadcasts) == [9800]


def test_an_edit_of_the_note_alone_does_not_wait(post: Post, ravi: User) -> None:
    FallbackPrice.objects.update(example=False)
    ingest.record([quote(price="20000", at=timezone.now())], now=timezone.now())
    post(ravi, f"/admin/prices/fallbackprice/{gold().pk}/change/", note="of this morning", confirm="on")
    assert gold().note == "of this morning"


def test_an_old_price_that_is_made_todays_waits_too(post: Post, ravi: User) -> None:
    ingest.record([quote(price="20000", at=timezone.now())], now=timezone.now())
    post(ravi, f"/admin/prices/fallbackprice/{gold().pk}/change/", confirm="on")
    assert gold().example
    assert ProposedEdit.objects.get().summary == "fallback price of gold: confirmed"


def test_a_price_outside_its_band_waits_however_near_the_last_one(post: Post, ravi: User) -> None:
    SanityBand.objects.create(metal_id="gold", lowest=9000, highest=9250)
    change_gold(post, ravi, "9260")
    assert "outside 9,000.0000 to 9,250.0000, its sanity band" in ProposedEdit.objects.get().detail


def test_of_several_roles_the_largest_limit_counts(post: Post, ravi: User) -> None:
    for name, percent in (("tellers", 1), ("managers", 10)):
        ravi.groups.add(role := Group.objects.create(name=name))
        ApprovalLimit.objects.create(role=role, percent=percent)
    change_gold(post, ravi, "9800")
    assert gold().price == 9800
    ApprovalLimit.objects.filter(percent=10).delete()
    change_gold(post, ravi, "9950")
    assert "ravi may move a price by 1 % alone." in ProposedEdit.objects.get().detail


def test_a_superusers_edit_waits_too(post: Post) -> None:
    change_gold(post, user("boss", is_staff=True, is_superuser=True), "9800")
    assert ProposedEdit.objects.exists()


def test_a_form_that_is_sent_twice_waits_once(post: Post, ravi: User, meera: User) -> None:
    for _ in range(2):
        change_gold(post, ravi, "9800")
    assert (ProposedEdit.objects.count(), len(mail.outbox)) == (1, 1)


def test_an_editor_is_told_where_nobody_else_may_approve(post: Post, ravi: User) -> None:
    assert "Nobody else may approve edits" in said(change_gold(post, ravi, "9800"))


def test_a_mail_server_that_is_away_keeps_no_edit(
    post: Post, ravi: User, meera: User, monkeypatch: pytest.MonkeyPatch, log: Callable[[], list[str]]
) -> None:
    def fail(*given: Any, **options: Any) -> int:
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(mail, "send_mail", fail)
    change_gold(post, ravi, "9800")
    assert ProposedEdit.objects.exists()
    assert log() == ["the mail server did not take a message (gone): ravi asks for approval of a price"]


def test_no_other_way_saves_what_moves_a_price(settings: Settings) -> None:
    form = approvals.FORMS["fallback"].with_changes(gold(), {"price": "9224"})
    assert form.is_valid()
    with pytest.raises(RuntimeError, match="approvals.submit"):
        form.save()


ALL = "/admin/prices/fallbackprice/all/"


def test_the_page_of_all_fallbacks_says_before_that_it_will_wait_and_waits_as_a_whole(
    post: Post, ravi: User, meera: User, broadcasts: Broadcasts
) -> None:
    typed = {"gold-price": "9800", "gold-confirm": "on", "silver-price": "105.5", "reason": "the market is closed"}
    preview = post(ravi, ALL, _preview="1", **typed).content.decode()
    assert preview.count("Another person has to approve it. Then:") == 1
    for _ in range(2):  # as on a bad line
        assert "Not saved yet: another person has to approve it." in said(post(ravi, ALL, _save="1", **typed))
    assert shown(broadcasts) == []
    proposal = ProposedEdit.objects.get()
    assert proposal.reason == "the market is closed"
    post(meera, page(proposal), _approve="")
    assert (gold().price, FallbackPrice.objects.get(metal="silver").price) == (9800, Decimal("105.5"))
    assert gold().history.latest().change.reason == "the market is closed (approved by meera)"


# --- premiums ------------------------------------------------------------------------------------------------------


@pytest.fixture
def live(broadcasts: Broadcasts) -> None:
    """Gold is 10,000 from a source."""
    ingest.record([quote(price="10000", at=timezone.now())], now=timezone.now())
    broadcasts.publications.clear()


def test_a_premium_that_moves_the_price_beyond_the_limit_waits(
    live: None, post: Post, ravi: User, meera: User, broadcasts: Broadcasts
) -> None:
    post(ravi, f"{PREMIUMS}add/", metal="gold", multiplier="1.06", confirm="on")
    proposal = ProposedEdit.objects.get()
    assert "gold is 10,000.0000 × 1.06 = 10,600.0000 INR per gram, +6.0 %" in proposal.detail
    assert not Premium.objects.exists()
    post(meera, page(proposal), _approve="")
    assert (Premium.objects.get().multiplier, shown(broadcasts)) == (Decimal("1.06"), [10600])


def test_a_premium_that_a_later_one_has_replaced_meanwhile_is_refused(
    live: None, post: Post, ravi: User, meera: User
) -> None:
    post(ravi, f"{PREMIUMS}add/", metal="gold", multiplier="1.06", confirm="on")
    later = timezone.now() + dt.timedelta(minutes=2)
    with time_machine.travel(later, tick=False):
        Premium.objects.create(metal_id="gold", multiplier=Decimal("1.01"), effective_from=later)
        post(meera, page(ProposedEdit.objects.get()), _approve="")
    proposal = ProposedEdit.objects.get()
    assert (proposal.decision, Premium.objects.count()) == (REFUSED, 1)
    assert proposal.outcome == "a later premium of gold is current by now: this one would change nothing"


def test_a_premium_of_later_waits_by_what_it_will_be(live: None, post: Post, ravi: User) -> None:
    tomorrow = (timezone.localtime() + dt.timedelta(days=1)).strftime("%Y-%m-%d")
    post(ravi, f"{PREMIUMS}add/", metal="gold", multiplier="1.06", confirm="on", effective_from_0=tomorrow)
    assert ProposedEdit.objects.exists()


def test_a_small_premium_is_saved_at_once(live: None, post: Post, ravi: User, broadcasts: Broadcasts) -> None:
    post(ravi, f"{PREMIUMS}add/", metal="gold", multiplier="1.01", confirm="on")
    assert shown(broadcasts) == [10100]


@pytest.mark.parametrize("multiplier", ["1.06", "1.01"])
def test_a_deletion_beyond_the_limit_is_refused_with_what_to_do_instead(
    live: None, post: Post, ravi: User, multiplier: str
) -> None:
    premium = Premium.objects.create(metal_id="gold", multiplier=Decimal(multiplier))
    ingest.apply_premiums(now=timezone.now())
    refused = multiplier == "1.06"
    for address, fields in (
        (f"{PREMIUMS}{premium.pk}/delete/", {"post": "yes"}),
        (PREMIUMS, {"action": "delete_selected", "_selected_action": str(premium.pk), "post": "yes"}),
    ):
        with transaction.atomic():
            response = browser(ravi).post(address, fields)
            assert Premium.objects.exists() is refused
            if refused:
                assert "too much for one person" in response.content.decode()
            transaction.set_rollback(True)


def test_a_duty_change_beyond_the_limit_waits_as_a_whole(
    live: None, post: Post, ravi: User, meera: User, broadcasts: Broadcasts
) -> None:
    entered = {"multiplier_gold": "1.06", "multiplier_silver": "1.01", "confirm": "on"}
    seen = FormFields(post(ravi, f"{PREMIUMS}duty/", _preview="", **entered).content).values["seen"]
    assert "Not saved yet" in said(post(ravi, f"{PREMIUMS}duty/", _save="", seen=seen, **entered))
    assert not Premium.objects.exists()
    post(meera, page(ProposedEdit.objects.get()), _approve="")
    assert {premium.metal_id: premium.multiplier for premium in Premium.objects.all()} == {
        "gold": Decimal("1.06"),
        "silver": Decimal("1.01"),
    }


# --- in steps ------------------------------------------------------------------------------------------------------


def add_premium(post: Post, who: User, multiplier: str, reason: str = "") -> Any:
    """Enter a premium of gold that counts at once, from a minute after the one before."""
    minutes = Premium.objects.count() + ProposedEdit.objects.count()
    date, time = f"{timezone.localtime() + dt.timedelta(minutes=minutes - 60):%Y-%m-%d %H:%M:%S}".split()
    begins = {"effective_from_0": date, "effective_from_1": time}
    entered = {"metal": "gold", "multiplier": multiplier, "reason": reason, "confirm": "on"}
    return post(who, f"{PREMIUMS}add/", **entered, **begins)


def test_premiums_in_small_steps_are_measured_from_before_the_first(
    live: None, post: Post, ravi: User, settings: Settings, broadcasts: Broadcasts
) -> None:
    settings.APPROVAL_ABOVE_PERCENT = Decimal(5)
    for multiplier in ("1.04", "1.08", "1.13"):
        add_premium(post, ravi, multiplier)
    assert shown(broadcasts) == [10400]
    second, third = ProposedEdit.objects.order_by("pk")
    assert second.detail == (
        "gold is 10,000.0000 × 1.08 = 10,800.0000 INR per gram, +8.0 % from the 10,000.0000 that was the price before "
        "their own edits of the last 24 hours. ravi may move a price by 5 % alone."
    )
    assert "+13.0 % from the 10,000.0000" in third.detail


def test_a_premium_that_is_changed_in_small_steps_waits_too(
    live: None, post: Post, ravi: User, broadcasts: Broadcasts
) -> None:
    add_premium(post, ravi, "1.015")
    change = f"{PREMIUMS}{Premium.objects.get().pk}/change/"
    post(ravi, change, multiplier="1.03", confirm="on")
    assert shown(broadcasts) == [10150]
    post(ravi, change, multiplier="0.99", confirm="on")  # -2.5 % from now, and -1 % from before
    assert shown(broadcasts) == [10150, 9900]


def test_a_step_begins_at_what_another_person_approved(
    live: None, post: Post, ravi: User, meera: User, broadcasts: Broadcasts
) -> None:
    add_premium(post, ravi, "1.06")
    post(meera, page(ProposedEdit.objects.get()), _approve="")
    add_premium(post, ravi, "1.07")
    assert shown(broadcasts) == [10600, 10700]
    add_premium(post, ravi, "1.09")
    assert "+2.8 % from the 10,600.0000" in ProposedEdit.objects.latest("pk").detail


def test_what_its_editor_saved_in_an_emergency_was_approved_by_nobody(live: None, post: Post, ravi: User) -> None:
    ravi.user_permissions.add(Permission.objects.get(codename="override_proposededit"))
    add_premium(post, ravi, "1.06")
    post(ravi, page(ProposedEdit.objects.get()), _override="", reason="all sources are away")
    add_premium(post, ravi, "1.07")
    assert "+7.0 % from the 10,000.0000" in ProposedEdit.objects.latest("pk").detail


def test_a_reason_that_only_says_that_it_was_approved_does_not_count(live: None, post: Post, ravi: User) -> None:
    add_premium(post, ravi, "1.015", reason="approved by meera")
    add_premium(post, ravi, "1.03")
    assert ProposedEdit.objects.exists()


def test_a_step_begins_at_anothers_edit_and_at_ones_own_of_yesterday(
    live: None, post: Post, ravi: User, broadcasts: Broadcasts
) -> None:
    add_premium(post, ravi, "1.015")
    add_premium(post, member("asha", EDITOR), "1.03")
    add_premium(post, ravi, "1.045")
    assert shown(broadcasts) == [10150, 10300, 10450]
    StaffChange.objects.filter(by=ravi).update(at=timezone.now() - dt.timedelta(hours=24))
    add_premium(post, ravi, "1.06")
    assert shown(broadcasts)[-1] == 10600


def test_ones_own_small_steps_can_be_taken_back_alone(
    live: None, post: Post, ravi: User, settings: Settings, broadcasts: Broadcasts
) -> None:
    add_premium(post, ravi, "1.02")
    settings.APPROVAL_ABOVE_PERCENT = Decimal(1)
    post(ravi, f"/admin/changes/{last_change().pk}/undo/", confirm="on")
    assert shown(broadcasts) == [10200, 10000]


def test_fallbacks_in_small_steps_are_measured_from_before_the_first(
    post: Post, ravi: User, meera: User, broadcasts: Broadcasts
) -> None:
    change_gold(post, ravi, "9400")
    change_gold(post, ravi, "9580")
    assert gold().price == 9400
    proposal = ProposedEdit.objects.get()
    assert proposal.detail.startswith(
        "9,580.0000 is +3.9 % from 9,223.3162, the last price before their own edits of the last 24 hours. "
    )
    post(meera, page(proposal), _approve="")
    change_gold(post, ravi, "9700")
    assert shown(broadcasts) == [9400, 9580, 9700]


def test_a_fallback_is_measured_without_its_editors_own_premium(live: None, post: Post, ravi: User) -> None:
    add_premium(post, ravi, "1.02")
    change_gold(post, ravi, "10350")
    assert "+3.5 % from 10,000.0000" in ProposedEdit.objects.get().detail


def test_where_a_fallback_is_shown_the_premium_itself_is_measured(post: Post, ravi: User) -> None:
    add_premium(post, ravi, "1.015")
    assert Premium.objects.get().multiplier == Decimal("1.015")
    add_premium(post, ravi, "1.03")
    assert Premium.objects.count() == 1
    assert ProposedEdit.objects.get().detail.startswith(
        "the premium of gold, × 1.03, is +3.0 % from × 1, the one before their own edits of the last 24 hours. "
    )


# --- decisions -----------------------------------------------------------------------------------------------------


def test_an_approved_edit_is_its_editors_and_names_who_approved(
    post: Post, ravi: User, meera: User, broadcasts: Broadcasts
) -> None:
    change_gold(post, ravi, "9800")
    proposal = ProposedEdit.objects.get()
    assert 'name="_approve"' in browser(meera).get(page(proposal)).content.decode()
    assert "Approved: fallback price of gold" in said(post(meera, page(proposal), _approve=""))
    assert (gold().price, gold().example, shown(broadcasts)) == (9800, False, [9800])
    audited = gold().history.latest()
    assert (audited.history_user, audited.change.reason) == (ravi, "approved by meera")
    proposal.refresh_from_db()
    assert (proposal.decision, proposal.decided_by) == (APPROVED, meera)
    assert {(entry.user.get_username(), entry.get_change_message()) for entry in LogEntry.objects.all()} == {
        ("ravi", "Proposed."),
        ("ravi", f"{proposal.summary}: approved by meera"),
        ("meera", "Approved."),
    }
    assert mail.outbox[-1].to == ["ravi@shop.example"]
    assert mail.outbox[-1].subject == "Swarna: Your edit of a price was approved by meera"


def test_an_approver_sees_what_screens_show_by_now(live: None, post: Post, ravi: User, meera: User) -> None:
    add_premium(post, ravi, "1.06")
    ingest.record([quote(price="10100", at=timezone.now())], now=timezone.now())
    approval = browser(meera).get(page(ProposedEdit.objects.get())).content.decode()
    assert "+6.0 % from the 10,000.0000 that is shown now" in approval
    assert "gold 10,100.0000 INR per gram (live)" in approval


def test_a_rejected_edit_changes_nothing(post: Post, ravi: User, meera: User) -> None:
    change_gold(post, ravi, "9800")
    post(meera, page(ProposedEdit.objects.get()), _reject="", reason="per 10 g?")
    proposal = ProposedEdit.objects.get()
    assert (proposal.decision, proposal.outcome, gold().price) == (REJECTED, "per 10 g?", Decimal("9223.3162"))


def test_an_editor_may_withdraw(post: Post, ravi: User, meera: User) -> None:
    change_gold(post, ravi, "9800")
    proposal = ProposedEdit.objects.get()
    post(ravi, page(proposal), _withdraw="")
    assert "it is withdrawn by ravi already" in said(post(meera, page(proposal), _approve=""))
    assert gold().price == Decimal("9223.3162")


def test_the_list_decides_several(post: Post, ravi: User, meera: User) -> None:
    for price in ("9800", "9900"):
        change_gold(post, ravi, price)
    keys = [str(each.pk) for each in ProposedEdit.objects.all()]
    browser(meera).post(LIST, {"action": "approve", "_selected_action": keys})
    assert list(ProposedEdit.objects.order_by("pk").values_list("decision", flat=True)) == [APPROVED, REFUSED]
    assert gold().price == 9800


@pytest.mark.parametrize("door", ["page", "list", "rest"])
def test_nobody_approves_an_edit_of_their_own_whatever_session_or_token(post: Post, patch: Post, door: str) -> None:
    both = member("asha", ".*")
    change_gold(post, both, "9800")
    proposal = ProposedEdit.objects.get()
    match door:
        case "page":  # in another session
            assert 'name="_approve"' not in browser(both).get(page(proposal)).content.decode()
            assert "it is your own edit" in said(post(both, page(proposal), _approve=""))
        case "list":
            response = browser(both).post(LIST, {"action": "approve", "_selected_action": [str(proposal.pk)]})
            assert "it is your own edit" in said(response)
        case "rest":
            refused = patch(both, f"/api/v1/proposals/{proposal.pk}/", decision="approve")
            assert (refused.status_code, refused.json()["title"]) == (409, "Conflict")
    assert gold().price == Decimal("9223.3162")
    assert ProposedEdit.objects.get().decision == PENDING


@pytest.mark.parametrize("permissions", ["^view_", EDITOR, "override_proposededit|view_.*"])
def test_only_who_may_approve_approves(post: Post, ravi: User, permissions: str) -> None:
    change_gold(post, ravi, "9800")
    proposal = ProposedEdit.objects.get()
    post(member("other", permissions), page(proposal), _approve="")
    assert ProposedEdit.objects.get().decision == PENDING


def test_an_edit_of_a_row_that_was_changed_since_is_refused(post: Post, ravi: User, meera: User) -> None:
    change_gold(post, ravi, "9800")
    change_gold(post, member("asha", EDITOR), "9300")
    response = post(meera, page(ProposedEdit.objects.get()), _approve="")
    assert "somebody has saved this since it was proposed; it is now: gold 9300.0000 INR/g" in said(response)
    assert (ProposedEdit.objects.get().decision, gold().price) == (REFUSED, 9300)


def test_the_forms_rules_count_as_they_are_when_it_is_approved(post: Post, ravi: User, meera: User) -> None:
    ingest.record([quote(price="9600", at=timezone.now())], now=timezone.now())
    change = f"/admin/prices/fallbackprice/{gold().pk}/change/"
    post(ravi, change, price="9900")  # +3.1 %: no confirmation is needed
    ingest.record([quote(price="9000", at=timezone.now())], now=timezone.now())
    post(meera, page(ProposedEdit.objects.get()), _approve="")
    proposal = ProposedEdit.objects.get()
    assert proposal.decision == REFUSED
    assert "9,900.0000 is +10.0 % from 9,000.0000, the last price" in proposal.outcome


@pytest.mark.parametrize("door", ["page", "REST"])
def test_a_price_that_is_approved_late_is_as_of_when_it_was_typed(
    post: Post, patch: Post, ravi: User, meera: User, door: str
) -> None:
    if door == "page":
        change_gold(post, ravi, "9800")
    else:
        patch(ravi, GOLD, price=9800, confirm=True)
    typed = ProposedEdit.objects.get().proposed_at
    with time_machine.travel(typed + dt.timedelta(minutes=50), tick=False):
        post(meera, page(ProposedEdit.objects.get()), _approve="")
    assert gold().price == 9800
    assert abs(gold().as_of - typed) < dt.timedelta(seconds=5)


@pytest.mark.parametrize("lost", ["permission", "account"])
def test_an_edit_of_somebody_who_may_edit_no_longer_is_refused(post: Post, ravi: User, meera: User, lost: str) -> None:
    change_gold(post, ravi, "9800")
    if lost == "permission":
        ravi.user_permissions.clear()
    else:
        User.objects.filter(pk=ravi.pk).update(is_active=False)
    post(meera, page(ProposedEdit.objects.get()), _approve="")
    assert (ProposedEdit.objects.get().decision, gold().price) == (REFUSED, Decimal("9223.3162"))


@pytest.mark.parametrize("hours", [2, -2], ids=["long ago", "by a clock that was ahead"])
def test_an_edit_that_no_longer_waits_is_not_approved(post: Post, ravi: User, meera: User, hours: int) -> None:
    change_gold(post, ravi, "9800")
    then = timezone.now() - dt.timedelta(hours=hours)
    ProposedEdit.objects.update(proposed_at=then, expires_at=then + dt.timedelta(hours=1))
    proposal = ProposedEdit.objects.get()
    assert "it is expired already" in said(post(meera, page(proposal), _approve=""))
    assert "for your approval" not in browser(meera).get("/admin/").content.decode()
    assert gold().price == Decimal("9223.3162")


def test_the_desk_decides_in_one_press_and_stays(post: Post, ravi: User, meera: User) -> None:
    change_gold(post, ravi, "9800")
    desk = browser(meera).get("/admin/").content.decode()
    proposal = ProposedEdit.objects.get()
    assert proposal.summary in desk
    assert proposal.summary not in browser(ravi).get("/admin/").content.decode()
    button = f'formaction="{page(proposal)}" name="_approve" value="desk"'
    assert button in desk
    assert browser(meera).post(page(proposal), {"_approve": "desk"})["Location"] == "/admin/"
    assert gold().price == 9800


# --- emergencies ---------------------------------------------------------------------------------------------------


def test_an_emergency_needs_a_permission_of_its_own(post: Post, ravi: User, meera: User) -> None:
    change_gold(post, ravi, "9800")
    proposal = ProposedEdit.objects.get()
    for who in (ravi, meera):
        assert "you may not save an edit without approval" in said(post(who, page(proposal), _override="", reason="!"))
    assert gold().price == Decimal("9223.3162")


def test_everybody_is_told_of_an_emergency(
    post: Post, ravi: User, meera: User, broadcasts: Broadcasts, log: Callable[[], list[str]]
) -> None:
    ravi.user_permissions.add(Permission.objects.get(codename="override_proposededit"))
    clerk = member("clerk", "^view_premium")
    change_gold(post, ravi, "9800")
    proposal = ProposedEdit.objects.get()
    assert "say in a few words what the emergency is" in said(post(ravi, page(proposal), _override=""))
    post(ravi, page(proposal), _override="", reason="all sources are away")
    proposal.refresh_from_db()
    assert (proposal.decision, proposal.decided_by, shown(broadcasts)) == (OVERRIDDEN, ravi, [9800])
    audited = gold().history.latest()
    assert audited.history_user == ravi
    assert audited.change.reason == "emergency, without approval, by ravi: all sources are away"
    assert log() == [
        f"ravi saved an edit without approval, in an emergency: {proposal.summary} ('all sources are away')"
    ]
    letter = mail.outbox[-1]
    assert sorted(letter.to) == ["clerk@shop.example", "meera@shop.example", "ravi@shop.example"]
    assert letter.subject == "Swarna: Emergency: ravi changed a price without approval"
    for address, words in (("/admin/", "ravi saved it without approval"), (PREMIUMS, "ravi saved without approval:")):
        shown_there = browser(clerk).get(address).content.decode()
        assert words in shown_there
        assert "all sources are away" in shown_there


def test_an_emergency_of_yesterday_is_told_with_its_date(post: Post, ravi: User, meera: User) -> None:
    ravi.user_permissions.add(Permission.objects.get(codename="override_proposededit"))
    change_gold(post, ravi, "9800")
    post(ravi, page(ProposedEdit.objects.get()), _override="", reason="all sources are away")
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = midnight - dt.timedelta(milliseconds=1)
    ProposedEdit.objects.update(decided_at=yesterday)
    assert f"Emergency at {yesterday:%Y-%m-%d} 23:59:59: ravi" in browser(meera).get(PREMIUMS).content.decode()


# --- REST ----------------------------------------------------------------------------------------------------------


def test_by_rest_an_edit_that_waits_is_accepted_and_can_be_followed(
    patch: Post, ravi: User, meera: User, broadcasts: Broadcasts
) -> None:
    accepted = patch(ravi, GOLD, price=9800, confirm=True)
    proposal = accepted.json()
    address = f"/api/v1/proposals/{proposal['id']}/"
    assert (accepted.status_code, accepted["Location"]) == (202, f"http://testserver{address}")
    assert (proposal["state"], proposal["proposedBy"], shown(broadcasts)) == ("pending", "ravi", [])
    assert browser(ravi).get(address).json() == browser(ravi).get("/api/v1/proposals/").json()[0] == proposal
    approved = patch(meera, address, decision="approve")
    assert (approved.status_code, approved.json()["state"], approved.json()["decidedBy"]) == (200, "approved", "meera")
    assert shown(broadcasts) == [9800]
    assert patch(meera, address, decision="reject").json()["detail"] == (
        "Nothing was done: it is approved by meera already."
    )


def test_by_rest_there_is_no_proposal_without_one(patch: Post, meera: User) -> None:
    assert patch(meera, "/api/v1/proposals/1/", decision="approve").status_code == 404


# --- undo ----------------------------------------------------------------------------------------------------------


def last_change() -> StaffChange:
    return StaffChange.objects.latest("pk")


def test_an_undo_beyond_the_limit_waits_like_any_edit(
    post: Post, ravi: User, meera: User, broadcasts: Broadcasts
) -> None:
    change_gold(post, ravi, "9800")
    post(meera, page(ProposedEdit.objects.get()), _approve="")
    first = last_change()
    post(ravi, f"/admin/changes/{first.pk}/undo/", confirm="on")
    assert (gold().price, last_change()) == (9800, first)
    proposal = ProposedEdit.objects.latest("pk")
    assert proposal.summary.startswith("undo: Fallback price of gold in INR: price per gram 9,800 → 9,223.3162")
    post(meera, page(proposal), _approve="")
    assert gold().price == Decimal("9223.3162")
    undoing = last_change()
    assert (undoing.undoes, undoing.by, undoing.reason) == (first, ravi, "approved by meera")


def test_an_undo_of_a_premium_waits_too(live: None, post: Post, ravi: User, meera: User) -> None:
    post(ravi, f"{PREMIUMS}add/", metal="gold", multiplier="1.06", confirm="on")
    post(meera, page(ProposedEdit.objects.get()), _approve="")
    post(ravi, f"/admin/changes/{last_change().pk}/undo/", confirm="on")
    assert Premium.objects.exists()
    post(meera, page(ProposedEdit.objects.latest("pk")), _approve="")
    assert not Premium.objects.exists()


# --- several edits at once -----------------------------------------------------------------------------------------


def test_edits_that_belong_together_wait_together_and_are_saved_together(ravi: User, meera: User) -> None:
    def edit(metal: str, price: str) -> Any:
        form = approvals.FORMS["fallback"].with_changes(
            FallbackPrice.objects.get(metal=metal), {"price": price, "confirm": True}
        )
        assert form.is_valid()
        return form

    with transaction.atomic():
        proposal = approvals.submit([edit("gold", "9230"), edit("silver", "150")], by=ravi)
    assert proposal is not None
    assert gold().price == Decimal("9223.3162")
    FallbackPrice.objects.get(metal="silver").save()  # another version
    assert decisions.approve(proposal.pk, by=meera).decision == REFUSED
    assert gold().price == Decimal("9223.3162")
    with transaction.atomic():
        proposal = approvals.submit([edit("gold", "9230"), edit("silver", "151")], by=ravi)
    assert proposal is not None
    assert decisions.approve(proposal.pk, by=meera).decision == APPROVED
    assert {row.metal_id: row.price for row in FallbackPrice.objects.filter(metal__in=["gold", "silver"])} == {
        "gold": 9230,
        "silver": 151,
    }


# --- at the same moment --------------------------------------------------------------------------------------------


def outcome_of(act: Callable[..., ProposedEdit], number: int, who: User) -> str:
    try:
        return act(number, by=who).decision
    except DecisionError as error:
        return str(error)


@pytest.mark.django_db(transaction=True)
def test_of_two_approvers_at_once_one_decides(either_database: None) -> None:
    proposal = proposed_edit(member("ravi", EDITOR))
    both = [member(name, APPROVER) for name in ("meera", "john")]
    said = at_once(lambda number: outcome_of(decisions.approve, proposal.pk, both[number]), 2)
    assert sorted(each.split(" by ")[0] for each in said) == ["approved", "it is approved"]
    assert gold().history.filter(price=9800).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_an_approval_and_a_withdrawal_at_once_one_counts(either_database: None) -> None:
    ravi, meera = member("ravi", EDITOR), member("meera", APPROVER)
    proposal = proposed_edit(ravi)
    ways = [(decisions.approve, meera), (decisions.withdraw, ravi)]
    said = at_once(lambda number: outcome_of(ways[number][0], proposal.pk, ways[number][1]), 2)
    decided = ProposedEdit.objects.get().decision
    assert decided in said
    assert (gold().price == 9800) is (decided == APPROVED)


@pytest.mark.django_db(transaction=True)
def test_an_approver_whose_role_is_taken_away_meanwhile_approves_nothing(on_postgresql: str) -> None:
    proposal = proposed_edit(member("ravi", EDITOR))
    role = Group.objects.create(name="those who approve")
    role.permissions.set(Permission.objects.filter(codename="change_proposededit"))
    meera = user("meera", is_staff=True)
    meera.groups.add(role)
    assert meera.has_perm("prices.change_proposededit")  # as her request began
    is_locked = threading.Event()

    def take_away_or_approve(number: int) -> str:
        if number == 1:
            assert is_locked.wait(10)
            return outcome_of(decisions.approve, proposal.pk, meera)
        with transaction.atomic():
            ProposedEdit.objects.select_for_update(of=("self",)).get()
            is_locked.set()
            wait_until_somebody_waits()
            meera.groups.clear()
        return "taken away"

    said = at_once(take_away_or_approve, 2)
    assert said == ["taken away", "you may not approve edits: get that permission from an administrator"]
    assert (ProposedEdit.objects.get().decision, gold().price) == (PENDING, Decimal("9223.3162"))


def wait_until_somebody_waits() -> None:
    """Wait until another transaction waits for a lock."""
    for _ in range(1000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted), pg_sleep(0.01)")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waits")


@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_a_row_at_once_the_second_finds_it_changed(either_database: None) -> None:
    editors = [member(name, EDITOR) for name in ("ravi", "john")]
    clients = [browser(each) for each in editors]
    address = f"/admin/prices/fallbackprice/{gold().pk}/change/"
    opened = [FormFields(client.get(address).content).values for client in clients]
    prices = ["9300", "9310"]

    def save(number: int) -> int:
        return clients[number].post(address, opened[number] | {"price": prices[number]}).status_code

    assert sorted(at_once(save, 2)) == [200, 302]
    assert gold().history.filter(price__in=prices).count() == 1
