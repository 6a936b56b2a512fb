"""A duty change: all metals in one form, which shows the new prices before anybody else sees them."""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from prices.models import FallbackPrice, LatestPrice, ListedMetal, Premium
from prices.publishing import audience, ingest
from tests.support.desk import Broadcasts, FormFields
from tests.support.quotes import quote
from tests.support.world import MINUTE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts", "gold_and_silver")]

DUTY = "/admin/prices/premium/duty/"


@pytest.fixture(autouse=True)
def clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "count", lambda: 214)


@pytest.fixture
def gold_and_silver(broadcasts: Broadcasts) -> None:
    """Gold is 13,200 and silver 165, both live, gold beside a fallback of staff's; the others have no price."""
    at = timezone.now() - MINUTE
    ingest.record([quote("gold", "13200", at=at), quote("silver", "165", at=at)], now=at)
    FallbackPrice.objects.filter(metal="gold").update(price=12000, example=False)
    broadcasts.publications.clear()


Send = Callable[..., Any]


@pytest.fixture
def look(desk: Client) -> Send:
    """Type some premiums, and look at the preview; returns its page."""

    def look(**typed: str) -> Any:
        return desk.post(DUTY, FormFields(desk.get(DUTY).content).values | typed)

    return look


@pytest.fixture
def save(desk: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Send:
    """Save what a page of the form shows, with some fields typed after."""

    def save(page: Any, **typed: str) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return desk.post(DUTY, FormFields(page.content).values | {"_save": ""} | typed)

    return save


def text(page: Any) -> str:
    html = page.content.decode().partition('id="duty"')[2]
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html))


def errors(page: Any) -> dict[str, list[str]]:
    return {field: list(messages) for field, messages in page.context["form"].errors.items()}


def said(response: Any) -> list[str]:
    assert response.status_code == 302
    return [str(message) for message in get_messages(response.wsgi_request)]


def in_minutes(minutes: float) -> str:
    return f"{timezone.localtime() + dt.timedelta(minutes=minutes):%Y-%m-%dT%H:%M}"


def multipliers() -> dict[str, Decimal]:
    return {premium.metal_id: premium.multiplier for premium in Premium.objects.all()}


def test_the_form_begins_with_the_current_premiums(desk: Client) -> None:
    Premium.objects.create(metal_id="silver", multiplier=Decimal("1.03"), effective_from=timezone.now() - MINUTE)
    shown = FormFields(desk.get(DUTY).content).values
    assert (shown["multiplier_gold"], shown["multiplier_silver"], shown["begins"]) == ("1", "1.03", "")


def test_the_preview_shows_each_new_price_and_the_fallback_that_stays_behind(look: Send) -> None:
    shown = text(look(multiplier_gold="1.03", multiplier_silver="1.03", multiplier_platinum="1.03"))
    assert "On screens at once, of 214 clients" in shown
    assert "Gold × 1.03 13,200.00 → 13,596.00 , +3.00 %" in shown
    assert "Its fallback 12,000.00 stays as it is, -11.74 % from the new live price" in shown
    assert "Silver × 1.03 165.00 → 169.95 , +3.00 %" in shown
    assert "Platinum × 1.03 It has no price" in shown
    assert "Palladium ×" not in shown
    assert Premium.objects.count() == 0


def test_premiums_of_several_metals_are_on_screens_at_once(look: Send, save: Send, broadcasts: Broadcasts) -> None:
    response = save(look(multiplier_gold="1.03", multiplier_silver="1.04"))
    assert said(response) == [
        "It is on screens.",
        "Now gold is 13,200.0000 × 1.03 = 13,596.0000 INR per gram.",
        "Now silver is 165.0000 × 1.04 = 171.6000 INR per gram.",
    ]
    (publication,) = broadcasts.publications
    assert {each.quote.metal: each.quote.price for each in publication.quotes} == {
        "gold": Decimal("13596"), "silver": Decimal("171.6")
    }  # fmt: skip
    assert multipliers() == {"gold": Decimal("1.03"), "silver": Decimal("1.04")}


def test_a_change_is_scheduled_to_the_minute(look: Send, save: Send, broadcasts: Broadcasts) -> None:
    begins = in_minutes(90)
    page = look(multiplier_gold="1.03", begins=begins, note="duty 3 %")
    assert "at today's spot" in text(page).replace("&#x27;", "'")
    assert said(save(page))[0].startswith("Scheduled from ")
    premium = Premium.objects.get()
    assert f"{timezone.localtime(premium.effective_from):%Y-%m-%dT%H:%M:%S}" == f"{begins}:00"
    assert premium.note == "duty 3 %"
    assert broadcasts.publications == []
    ingest.apply_premiums(now=premium.effective_from)
    assert LatestPrice.live("gold", "INR").price == 13596  # type: ignore[union-attr]


def test_nothing_is_saved_that_was_not_shown_before(desk: Client, save: Send) -> None:
    page = save(desk.get(DUTY), multiplier_gold="1.03")
    assert "Not saved yet: look at the new prices, then save." in text(page)
    assert "13,596.00" in text(page)
    assert Premium.objects.count() == 0
    assert said(save(page))[0] == "It is on screens."


def test_a_value_typed_after_the_preview_is_shown_first(look: Send, save: Send) -> None:
    page = save(look(multiplier_gold="1.03"), multiplier_gold="1.04")
    assert "Not saved yet" in text(page)
    assert "13,728.00" in text(page)
    assert Premium.objects.count() == 0


def test_a_page_opened_before_somebody_elses_change_does_not_undo_it(look: Send, save: Send) -> None:
    page = look(multiplier_gold="1.03")
    Premium.objects.create(metal_id="silver", multiplier=Decimal("1.02"), effective_from=timezone.now() - MINUTE)
    again = save(page)
    assert "somebody has changed a premium since" in text(again)
    assert "Silver × 1 " in text(again)  # the page would take the other's premium off: now it says so
    assert multipliers() == {"silver": Decimal("1.02")}


def test_a_second_press_saves_nothing_twice(look: Send, save: Send) -> None:
    page = look(multiplier_gold="1.03")
    save(page)
    assert "No premium is another one than now" in text(save(page))
    assert Premium.objects.count() == 1


def test_a_scheduled_change_that_is_pressed_twice_is_saved_once(look: Send, save: Send) -> None:
    page = look(multiplier_gold="1.03", begins=in_minutes(90))
    save(page)
    assert errors(save(page)) == {"multiplier_gold": ["Premium with this Metal and Effective from already exists."]}
    assert Premium.objects.count() == 1


def test_a_jump_needs_a_confirmation(look: Send, save: Send) -> None:
    page = look(multiplier_gold="1.5", multiplier_silver="1.03")
    assert "+50.00 %" in text(page)
    assert "169.95" in text(page)
    again = save(page)
    assert errors(again)["multiplier_gold"][0].endswith("If it is right, tick “I checked it” and save again.")
    assert Premium.objects.count() == 0
    assert said(save(again, confirm="on"))[0] == "It is on screens."


@pytest.mark.parametrize(
    ("typed", "field", "complaint"),
    [
        ({"multiplier_gold": "1,03"}, "multiplier_gold", "Enter a number without commas"),
        ({"multiplier_gold": ""}, "multiplier_gold", "This field is required."),
        ({"multiplier_gold": "0"}, "multiplier_gold", "greater than or equal to 0.1"),
        ({"multiplier_gold": "-1"}, "multiplier_gold", "greater than or equal to 0.1"),
        ({"multiplier_gold": "11", "confirm": "on"}, "multiplier_gold", "less than or equal to 10"),
        ({"multiplier_gold": "1.0000001"}, "multiplier_gold", "no more than 6 decimal places"),
        ({}, "__all__", "No premium is another one than now."),
        ({"multiplier_gold": "1.03", "begins": "01/12/2026"}, "begins", "Write date and time as 2026-12-31 18:30."),
        ({"multiplier_gold": "1.03", "begins": "2026-01-01T00:00"}, "begins", "This is in the past."),
        ({"multiplier_gold": "1.03", "begins": "2062-12-01T00:00"}, "begins", "more than a year from now"),
        ({"multiplier_gold": "1.03", "note": "x" * 201}, "note", "at most 200 characters"),
    ],
)
def test_what_cannot_be_is_refused(look: Send, save: Send, typed: dict[str, str], field: str, complaint: str) -> None:
    page = look(**typed)
    assert complaint in " ".join(errors(page)[field])
    assert errors(save(page))[field]
    assert Premium.objects.count() == 0


def test_a_shown_fallback_is_not_moved_and_the_preview_says_so(look: Send) -> None:
    LatestPrice.objects.all().delete()
    ingest.fall_back_where_due(now=timezone.now())
    assert "Screens show the fallback 12,000.00: no premium is put on it" in text(look(multiplier_gold="1.03"))


def test_a_jump_that_waits_behind_a_shown_fallback_needs_a_confirmation_too(look: Send, save: Send) -> None:
    ingest.fall_back_where_due(now=timezone.now() + dt.timedelta(hours=2))
    again = save(look(multiplier_gold="10"))
    assert errors(again)["multiplier_gold"] == [
        "With it gold is 13,200.0000 × 10 = 132,000.0000 INR per gram, +900.0 % from the 13,200.0000 that was the last "
        "live price. If it is right, tick “I checked it” and save again."
    ]
    assert Premium.objects.count() == 0
    assert said(save(again, confirm="on"))[0] == "It is on screens."


def test_a_metal_that_is_switched_off_is_not_asked_for(desk: Client) -> None:
    ListedMetal.objects.filter(name="silver").update(enabled=False)
    shown = FormFields(desk.get(DUTY).content).values
    assert "multiplier_gold" in shown
    assert "multiplier_silver" not in shown


def test_each_premium_is_audited_with_its_user(look: Send, save: Send, staff: Any) -> None:
    save(look(multiplier_gold="1.03", multiplier_silver="1.03"))
    assert {version.history_user for version in Premium.history.all()} == {staff}
    assert Premium.history.count() == 2


# --- cancel and undo -----------------------------------------------------------------------------------------------


@pytest.fixture
def undo(desk: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Callable[[str], Any]:
    """Follow the newest link with this word on the page, and press the button of the next page."""

    def undo(word: str) -> Any:
        page = desk.get(DUTY).content.decode()
        found = re.search(rf'href="(/admin/changes/\d+/undo/\?next={DUTY})">{word} …', page)
        assert found, text(desk.get(DUTY))
        fields = FormFields(desk.get(found[1]).content).values
        with django_capture_on_commit_callbacks(execute=True):
            return desk.post(found[1].partition("?")[0], fields)

    return undo


def test_a_scheduled_change_is_cancelled_in_one_step(look: Send, save: Send, undo: Any, desk: Client) -> None:
    save(look(multiplier_gold="1.03", multiplier_silver="1.03", begins=in_minutes(90), reason="Budget"))
    shown = text(desk.get(DUTY))
    assert "asha" in shown
    assert "“Budget”" in shown
    assert undo("Cancel")["Location"] == DUTY
    assert Premium.objects.count() == 0


def test_a_change_of_now_is_undone_in_one_step_and_screens_show_the_old_prices(
    look: Send, save: Send, undo: Any, broadcasts: Broadcasts
) -> None:
    save(look(multiplier_gold="1.03", multiplier_silver="1.03"))
    broadcasts.publications.clear()
    undo("Undo")
    assert Premium.objects.count() == 0
    (publication,) = broadcasts.publications
    assert {each.quote.metal: each.quote.price for each in publication.quotes} == {
        "gold": Decimal("13200"), "silver": Decimal("165")
    }  # fmt: skip
