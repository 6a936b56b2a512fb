"""The page of all fallback prices: typed in a hurry, by several people, on a bad line."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from prices.domain.quotes import Metal
from prices.models import FallbackPrice
from prices.publishing import audience, ingest
from prices.staff.fallbacks import end_of_day
from tests.support.desk import Broadcasts, FormFields, user
from tests.support.quotes import quote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts")]

PAGE = "/admin/prices/fallbackprice/all/"
Post = Callable[..., Any]


def fallback(metal: str = "gold") -> FallbackPrice:
    return FallbackPrice.objects.get(metal=metal)


def go_live(**prices: str) -> None:
    now = timezone.now()
    ingest.record([quote(metal, price, at=now) for metal, price in prices.items()], now=now)


@pytest.fixture
def post(desk: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Post:
    """Fill in the page as it is now, or as it was `opened`, and press a button; returns the response."""

    def post(by: Client = desk, button: str = "_save", opened: dict[str, str] | None = None, **typed: str) -> Any:
        fields = opened if opened is not None else open_page(by)
        fields = {"reason": "the association's rate"} | {
            name: value for name, value in fields.items() if not (name == "reason" and not value)
        }
        written = {name.replace("__", "-"): value for name, value in typed.items()}
        with django_capture_on_commit_callbacks(execute=True):
            return by.post(PAGE, fields | written | {button: "1"})

    return post


def open_page(by: Client) -> dict[str, str]:
    """The fields of the page as it is now."""
    return FormFields(by.get(PAGE).content).values


def saved(response: Any) -> list[str]:
    """The messages on the next page, of what was saved."""
    assert response.status_code == 302, response.context["sheet"].form.errors or problems(response)
    return [str(message) for message in get_messages(response.wsgi_request)]


def problems(response: Any, metal: str = "gold") -> list[str]:
    """The errors of a metal's price, as a page that saved nothing says."""
    assert response.status_code == 200
    (errors,) = [row.errors for row in response.context["sheet"].rows if row.fallback.metal_id == metal]
    return list(errors)


def effects(response: Any) -> dict[str, str]:
    """The preview of each typed price."""
    assert response.status_code == 200
    return {row.fallback.metal_id: row.preview.effect for row in response.context["sheet"].rows if row.preview}


# --- what is typed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "unit", "per_gram"),
    [
        ("9300.5", "gram", "9300.5"),
        ("93,005", "10gram", "9300.5"),
        ("93,00,500", "kg", "9300.5"),
        ("९३००.५", "gram", "9300.5"),
        ("९३,००,५००", "kg", "9300.5"),  # noqa: RUF001
    ],
)
def test_a_price_is_typed_per_gram_ten_grams_or_kilogram(post: Post, typed: str, unit: str, per_gram: str) -> None:
    assert saved(post(gold__price=typed, gold__unit=unit)) == [
        "Gold is saved: 9,300.50 per gram = 93,005 per 10 g = 93,00,500 per kg."
    ]
    assert fallback().price == Decimal(per_gram)


@pytest.mark.parametrize("typed", ["0,5", "93,0", "-9300", "9.300,50", "nine", "NaN", "9" * 30])
def test_a_price_that_is_not_plain_is_refused(post: Post, typed: str) -> None:
    assert problems(post(gold__price=typed))
    assert fallback().price == Decimal("9223.3162")


@pytest.mark.parametrize("typed", ["0", "0.00001", "9300.12345"])
def test_a_price_that_cannot_be_is_refused(post: Post, typed: str) -> None:
    assert problems(post(gold__price=typed, gold__confirm="on"))
    assert fallback().price == Decimal("9223.3162")


@pytest.mark.parametrize(
    ("typed", "unit", "hint"),
    [
        ("93,00,000", "gram", "As a price per kg it would be right: choose “per kg” if it is one."),
        ("93,000", "gram", "As a price per 10 g it would be right: choose “per 10 g” if it is one."),
        ("9300", "10gram", "As a price per gram it would be right: choose “per gram” if it is one."),
    ],
)
def test_a_price_typed_for_another_weight_is_refused_with_the_right_one(
    post: Post, typed: str, unit: str, hint: str
) -> None:
    response = post(gold__price=typed, gold__unit=unit)
    assert "If it is right, tick “I checked it”" in problems(response)[0]
    assert hint in response.text
    assert fallback().price == Decimal("9223.3162")


def test_a_jump_that_was_checked_is_saved(post: Post) -> None:
    assert problems(post(gold__price="12,600"))
    assert saved(post(gold__price="12,600", gold__confirm="on"))
    assert (fallback().price, fallback().example) == (Decimal(12600), False)


def test_several_metals_are_one_save_and_one_publication(post: Post, broadcasts: Broadcasts) -> None:
    ingest.fall_back_where_due(now=timezone.now())
    broadcasts.publications.clear()
    assert len(saved(post(gold__price="9300", silver__price="1,06,000", silver__unit="kg"))) == 2
    (publication,) = broadcasts.publications
    assert fallback("gold").history.latest().change == fallback("silver").history.latest().change
    assert {each.quote.metal: each.quote.price for each in publication.quotes} == {Metal.GOLD: 9300, Metal.SILVER: 106}


def test_nothing_is_saved_where_one_price_cannot_be(post: Post) -> None:
    response = post(gold__price="9300", silver__price="106,00")
    assert (problems(response, "gold"), len(problems(response, "silver"))) == ([], 1)
    assert fallback().price == Decimal("9223.3162")


def test_a_save_without_any_price_says_so(post: Post) -> None:
    assert "Write a new price of one metal or more." in post().text


def test_the_reason_is_asked_for_and_kept(post: Post, staff: User) -> None:
    refused = post(gold__price="9300", reason=" ")
    assert "Say in a few words why" in refused.text
    assert fallback().price == Decimal("9223.3162")
    saved(post(gold__price="9300", reason="IBJA at nine"))
    newest = fallback().history.latest()
    assert (newest.history_user, newest.change.reason, fallback().note) == (
        staff,
        "IBJA at nine",
        "IBJA at nine",
    )


def test_a_reason_is_text_on_every_page_that_shows_it(post: Post, desk: Client) -> None:
    reason = "<script>alert(1)</script>"
    saved(post(gold__price="9300", reason=reason))
    history = f"/admin/prices/fallbackprice/{fallback().pk}/history/"
    for address in ("/admin/", PAGE, history, f"/admin/prices/fallbackprice/{fallback().pk}/change/"):
        page = desk.get(address).text
        assert reason not in page, address
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page, address


def test_the_price_that_is_there_may_be_typed_again_as_of_now(post: Post) -> None:
    before = timezone.now()
    saved(post(gold__price="9223.3162"))
    assert before <= fallback().as_of <= timezone.now()
    assert not fallback().example


# --- until when ----------------------------------------------------------------------------------------------------


def test_a_price_that_goes_on_screens_ends_with_the_day_and_one_in_reserve_does_not(post: Post) -> None:
    go_live(silver="105")
    response = post(button="_preview", gold__price="9300", silver__price="106")
    assert "until the end of today" in effects(response)["gold"]
    assert "without an end" in effects(response)["silver"]
    saved(post(gold__price="9300", silver__price="106"))
    assert (fallback("gold").expires_at, fallback("silver").expires_at) == (end_of_day(timezone.now()), None)


def test_the_end_of_the_day_is_the_shops_midnight() -> None:
    late = dt.datetime(2026, 9, 24, 18, 29, tzinfo=dt.UTC)  # 23:59 in India
    assert end_of_day(late) == dt.datetime(2026, 9, 24, 18, 30, tzinfo=dt.UTC)
    assert end_of_day(end_of_day(late)) == dt.datetime(2026, 9, 25, 18, 30, tzinfo=dt.UTC)


def test_staff_choose_another_end_or_none(post: Post) -> None:
    at = (timezone.localtime() + dt.timedelta(days=2)).replace(second=0, microsecond=0)
    saved(post(gold__price="9300", until=f"{at:%Y-%m-%dT%H:%M}"))
    assert fallback().expires_at == at
    saved(post(gold__price="9310", endless="on"))
    assert fallback().expires_at is None


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({"until": "2026-01-01T09:00"}, "This is in the past"),
        ({"until": "2999-01-01T09:00"}, "more than a year away"),
        ({"until": "tomorrow"}, "Write it as 2026-12-31 18:00"),
        ({"until": "2999-01-01T09:00", "endless": "on"}, "but not both"),
    ],
)
def test_an_end_that_cannot_be_meant_is_refused(post: Post, written: dict[str, str], complaint: str) -> None:
    response = post(gold__price="9300", **written)
    assert complaint in str(response.context["sheet"].form.errors["until"])
    assert fallback().price == Decimal("9223.3162")


# --- the preview ---------------------------------------------------------------------------------------------------


def test_the_preview_says_what_screens_will_show_and_saves_nothing(
    post: Post, broadcasts: Broadcasts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "count", lambda: 214)
    ingest.fall_back_where_due(now=timezone.now())
    FallbackPrice.objects.filter(metal="gold").update(price=12505)
    ingest.fall_back_where_due(now=timezone.now())
    broadcasts.publications.clear()
    before = fallback().history.count()
    assert effects(post(button="_preview", gold__price="1,20,500", gold__unit="10gram")) == {
        "gold": "12,505 → 12,050, -3.6 %, on 214 screens at once, until the end of today."
    }
    assert (fallback().history.count(), broadcasts.publications) == (before, [])


@pytest.mark.parametrize(
    ("clients", "screens"), [(1, "on 1 screen at once"), (0, "on 0 screens"), (None, "on all screens")]
)
def test_the_preview_counts_screens_as_far_as_they_are_known(
    post: Post, monkeypatch: pytest.MonkeyPatch, clients: int | None, screens: str
) -> None:
    monkeypatch.setattr(audience, "count", lambda: clients)
    assert screens in effects(post(button="_preview", gold__price="9300"))["gold"]


def test_the_preview_of_a_price_in_reserve_says_when_it_would_be_shown(post: Post) -> None:
    go_live(gold="9200")
    assert effects(post(button="_preview", gold__price="9300")) == {
        "gold": "In reserve: screens keep 9,200. Once no source has answered for 60 min: 9,200 → 9,300, +1.1 %; "
        "without an end."
    }


def test_the_preview_has_the_errors_that_save_would_have(post: Post) -> None:
    assert problems(post(button="_preview", gold__price="93,000")) == problems(post(gold__price="93,000"))


# --- several people, and several times -------------------------------------------------------------------------------


def test_of_two_people_the_second_is_told_what_the_first_has_saved_and_may_replace_it(
    post: Post, desk: Client, boss: Client
) -> None:
    first, second = open_page(boss), open_page(desk)
    saved(post(boss, opened=first, gold__price="9300"))
    refused = post(opened=second, gold__price="9310")
    assert problems(refused) == [
        "Somebody has saved this since you opened it; it is now: gold 9300.0000 INR/g, saved by boss. "
        "Save again to replace that."
    ]
    assert fallback().price == 9300
    saved(post(opened=FormFields(refused.content).values))
    assert fallback().price == 9310


def test_another_metal_that_somebody_saved_meanwhile_is_in_nobodys_way(post: Post, desk: Client, boss: Client) -> None:
    opened = open_page(desk)
    saved(post(boss, silver__price="106"))
    assert saved(post(opened=opened, gold__price="9300"))
    assert (fallback("gold").price, fallback("silver").price) == (Decimal(9300), Decimal(106))


def test_a_page_that_is_sent_twice_is_saved_once(post: Post, desk: Client, broadcasts: Broadcasts) -> None:
    opened = open_page(desk)
    saved(post(opened=opened, gold__price="9300"))
    before = fallback().history.count(), len(broadcasts.publications)
    assert saved(post(opened=opened, gold__price="9300"))[-1].startswith("Gold was saved before: 9,300")
    assert (fallback().history.count(), len(broadcasts.publications)) == before


def test_what_somebody_else_has_saved_alike_is_not_taken_for_ones_own(post: Post, desk: Client, boss: Client) -> None:
    opened = open_page(desk)
    saved(post(boss, gold__price="9300"))
    assert problems(post(opened=opened, gold__price="9300"))


def test_an_old_tab_does_not_bring_back_ones_own_older_price(post: Post, desk: Client) -> None:
    old_tab = open_page(desk)
    saved(post(gold__price="9300"))
    saved(post(gold__price="9350"))
    assert problems(post(opened=old_tab, gold__price="9300"))
    assert fallback().price == 9350


# --- who may -------------------------------------------------------------------------------------------------------


def test_who_may_only_view_sees_prices_and_cannot_type(client: Client, post: Post) -> None:
    client.force_login(user("clerk", is_staff=True, permissions="^view_"))
    page = client.get(PAGE).text
    assert "9,223.3162" in page
    assert "gold-price" not in page
    assert post(client, gold__price="9300").status_code == 403
    assert post(client, button="_preview", gold__price="9300").status_code == 403


def test_the_page_says_what_is_on_screens_in_reserve_and_expired(desk: Client) -> None:
    now = timezone.now()
    go_live(gold="9200")
    ingest.fall_back_where_due(now=now)
    FallbackPrice.objects.filter(metal="platinum").update(expires_at=now - dt.timedelta(minutes=1))
    rows = {row.fallback.metal_id: row for row in desk.get(PAGE).context["sheet"].rows}
    assert [(row.is_on_screen, row.has_expired) for row in rows.values()] == [
        (False, False),
        (True, False),
        (True, True),
        (True, False),
    ]
    assert rows["gold"].live.price == 9200


def test_a_currency_without_fallbacks_says_how_to_begin(desk: Client) -> None:
    FallbackPrice.objects.all().delete()
    assert "Add the first one" in desk.get(PAGE).text


def test_the_list_leads_to_the_page(desk: Client) -> None:
    assert f'href="{PAGE}"' in desk.get("/admin/prices/fallbackprice/").text
