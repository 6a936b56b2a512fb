"""Sessions: logins and tokens, as their users and administrators see and end them."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts import sign_ins, tokens
from accounts.models import SignIn, Token
from streaming import publish
from streaming.auth import Credential, note_use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("attempts_of_nobody", "broadcasts")]

PAGE = "/admin/accounts/signin/"
PASSWORD = "correct horse battery"
PHONE = (
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/147.0.0.0 Mobile Safari/537.36"
)
LAPTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0"


@pytest.fixture
def asha() -> User:
    return staff("asha", "Price editor")


def staff(name: str, role: str) -> User:
    made = User.objects.create_user(name, password=PASSWORD, is_staff=True)
    made.groups.add(Group.objects.get(name=role))
    return made


def log_in(user: User, agent: str = PHONE, address: str = "192.0.2.7") -> Client:
    """A browser in which a user has just logged in."""
    browser = Client(headers={"User-Agent": agent}, REMOTE_ADDR=address)
    fields = {"username": user.username, "password": PASSWORD}
    assert browser.post("/admin/login/", fields).status_code == 302
    return browser


def listed(browser: Client, query: str = "") -> list[list[str]]:
    """The sessions on the page: session, user, and from where it was last used."""
    page = browser.get(PAGE + query)
    assert page.status_code == 200
    desk = page.context["cl"].model_admin
    return [[desk.what(row), row.user.username, desk.where(row)] for row in page.context["cl"].result_list]


def end(browser: Client, sign_in: SignIn) -> Any:
    return browser.post(f"{PAGE}{sign_in.pk}/delete/", {"post": "yes"})


def is_in(browser: Client) -> bool:
    return bool(browser.get("/admin/password_change/").status_code == 200)


# --- what is listed ------------------------------------------------------------------------------------------------


def test_a_user_sees_their_logins_and_tokens_the_last_used_first(asha: User) -> None:
    token, _ = tokens.issue(asha, {"REMOTE_ADDR": "198.51.100.3"})
    log_in(asha, LAPTOP, "192.0.2.8")
    phone = log_in(asha)
    tokens.issue(staff("ravi", "Viewer"))
    assert listed(phone) == [
        ["Chrome on Android, this one", "asha", "192.0.2.7"],
        ["Firefox on Linux", "asha", "192.0.2.8"],
        [f"API token {token.token_key}…", "asha", "198.51.100.3"],
    ]


def test_administrators_see_everybodys_and_search_them(asha: User) -> None:
    log_in(asha)
    boss = log_in(staff("boss", "Administrator"), LAPTOP, "192.0.2.9")
    assert [row[1] for row in listed(boss)] == ["boss", "asha"]
    assert [row[1] for row in listed(boss, "?q=asha")] == ["asha"]
    assert [row[1] for row in listed(boss, "?q=192.0.2.9")] == ["boss"]


def test_sessions_that_have_ended_are_not_listed(asha: User) -> None:
    ravi = staff("ravi", "Viewer")
    log_in(ravi)
    log_in(asha)
    token, _ = tokens.issue(asha)
    boss = log_in(staff("boss", "Administrator"))
    Token.objects.filter(pk=token.pk).update(expiry=timezone.now())
    Session.objects.filter(sign_in__user=asha).update(expire_date=timezone.now())
    User.objects.filter(pk=ravi.pk).update(is_active=False)
    assert [row[1] for row in listed(boss)] == ["boss"]


def test_a_login_from_before_a_change_of_password_has_ended_and_is_not_listed(asha: User) -> None:
    log_in(asha, LAPTOP)
    here = log_in(asha)
    fields = {"old_password": PASSWORD, "new_password1": f"{PASSWORD} 2", "new_password2": f"{PASSWORD} 2"}
    assert here.post("/admin/password_change/", fields).status_code == 302
    assert [row[0] for row in listed(here)] == ["Chrome on Android, this one"]


def test_a_token_without_end_is_listed(asha: User) -> None:
    token, _ = tokens.issue(asha)
    Token.objects.update(expiry=None)
    page = log_in(asha).get(PAGE).content.decode()
    assert f"API token {token.token_key}…" in page
    assert "never" in page


def test_a_login_that_has_expired_is_forgotten_when_somebody_logs_in(asha: User) -> None:
    log_in(asha)
    Session.objects.update(expire_date=timezone.now())
    log_in(staff("ravi", "Viewer"))
    assert [sign_in.user.username for sign_in in SignIn.objects.all()] == ["ravi"]
    assert Session.objects.count() == 1


def test_the_page_reveals_no_credential(asha: User) -> None:
    phone = log_in(asha)
    token, text = tokens.issue(asha)
    for sign_in in SignIn.objects.all():
        for page in ("", f"{sign_in.pk}/change/", f"{sign_in.pk}/delete/"):
            shown = phone.get(PAGE + page).content.decode()
            assert phone.cookies["sessionid"].value not in shown
            assert text[15:] not in shown
            assert token.digest not in shown


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (PHONE, "Chrome on Android"),
        (LAPTOP, "Firefox on Linux"),
        (f"{PHONE} EdgA/147.0.0.0", "Edge on Android"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 "
            "Safari/537.36 OPR/130.0.0.0",
            "Opera on Windows",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 "
            "Safari/605.1.15",
            "Safari on Mac",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "CriOS/147.0.0.0 Mobile/15E148 Safari/604.1",
            "Chrome on iPhone",
        ),
        ("curl/8.17.0", "curl/8.17.0"),
        ("python-requests/2.32 of ours", "python-requests/2.32"),
        ("", ""),
    ],
)
def test_a_browser_is_known_by_name(agent: str, name: str) -> None:
    assert sign_ins.browser(agent) == name


# --- where and when they were last used ------------------------------------------------------------------------------


def moved_back(span: dt.timedelta) -> SignIn:
    """The one session, as if it had last been used so long ago."""
    SignIn.objects.update(seen_at=timezone.now() - span)
    return SignIn.objects.get()


def was_seen_now() -> bool:
    return abs(SignIn.objects.get().seen_at - timezone.now()) < dt.timedelta(seconds=20)


@pytest.mark.parametrize(
    ("ago", "is_written"),
    [
        (dt.timedelta(minutes=4), False),
        (dt.timedelta(minutes=6), True),
        (-dt.timedelta(days=400), True),  # by a clock that was ahead
    ],
)
def test_use_is_written_once_in_five_minutes(asha: User, ago: dt.timedelta, is_written: bool) -> None:
    browser = log_in(asha)
    moved_back(ago)
    browser.get("/admin/", REMOTE_ADDR="203.0.113.5")
    assert was_seen_now() is is_written
    assert (SignIn.objects.get().address == "203.0.113.5") is is_written


def test_use_of_a_token_is_written_and_costs_no_query_meanwhile(
    asha: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _, text = tokens.issue(asha)
    program = Client(headers={"Authorization": f"Bearer {text}", "User-Agent": "till/3"})
    moved_back(dt.timedelta(hours=1))
    program.get("/api/v1/auth/token/", REMOTE_ADDR="203.0.113.5")
    assert was_seen_now()
    sign_in = SignIn.objects.get()
    assert (sign_in.address, sign_in.user_agent) == ("203.0.113.5", "till/3")
    with django_assert_num_queries(2):  # the token with its user, and the tokens that it lists
        program.get("/api/v1/auth/token/")


def test_use_on_the_stream_is_written_without_an_address(asha: User) -> None:
    browser = log_in(asha)
    token, _ = tokens.issue(asha)
    SignIn.objects.update(seen_at=timezone.now() - dt.timedelta(hours=1))
    note_use([Credential("token", token.pk), Credential("session", browser.cookies["sessionid"].value)])
    for sign_in in SignIn.objects.all():
        assert timezone.now() - sign_in.seen_at < dt.timedelta(seconds=20)
    assert {sign_in.address for sign_in in SignIn.objects.all()} == {"192.0.2.7", ""}


def test_a_login_with_a_new_key_after_a_change_of_password_is_recorded(asha: User) -> None:
    browser = log_in(asha)
    before = browser.cookies["sessionid"].value
    fields = {"old_password": PASSWORD, "new_password1": f"{PASSWORD} 2", "new_password2": f"{PASSWORD} 2"}
    assert browser.post("/admin/password_change/", fields).status_code == 302
    assert SignIn.objects.get().session_id == browser.cookies["sessionid"].value != before


def test_a_login_and_a_token_of_before_sessions_were_recorded_are_recorded_when_used(asha: User) -> None:
    browser = log_in(asha)
    _, text = tokens.issue(asha)
    SignIn.objects.all().delete()
    browser.get("/admin/")
    Client(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/auth/token/")
    assert {bool(sign_in.token_id) for sign_in in SignIn.objects.all()} == {False, True}


def test_another_user_who_logs_in_over_a_login_takes_its_place(asha: User) -> None:
    browser = log_in(asha)
    fields = {"username": staff("ravi", "Viewer").username, "password": PASSWORD}
    assert browser.post("/admin/login/", fields).status_code == 302
    assert SignIn.objects.get().user.username == "ravi"
    assert is_in(browser)


def test_a_strange_agent_is_kept_as_text(asha: User) -> None:
    browser = log_in(asha, agent="\x00<script>" + "x" * 300)
    assert SignIn.objects.get().user_agent == "<script>" + "x" * 192
    assert "<script>x" not in browser.get(PAGE).content.decode()


def test_a_database_that_takes_no_writes_keeps_nobody_from_working(
    asha: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    browser = log_in(asha)
    moved_back(dt.timedelta(hours=1))

    def refuse(*args: Any, **options: Any) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(QuerySet, "update", refuse)
    assert is_in(browser)
    assert "the use of a session could not be recorded: the disk is full" in caplog.text


# --- ending them ---------------------------------------------------------------------------------------------------


def test_a_user_ends_a_login_in_another_browser_and_stays_in_this_one(asha: User) -> None:
    lost, here = log_in(asha, PHONE), log_in(asha, LAPTOP)
    sign_in = SignIn.objects.get(user_agent=PHONE)
    assert "Whoever uses this browser has to log in again" in here.get(f"{PAGE}{sign_in.pk}/delete/").content.decode()
    assert end(here, sign_in).status_code == 302
    assert not is_in(lost)
    assert is_in(here)
    assert lost.get("/api/v1/auth/token/").status_code == 401
    assert LogEntry.objects.get().object_repr == "login of asha"


def test_a_user_ends_the_login_of_this_very_browser(asha: User) -> None:
    browser = log_in(asha)
    store = browser.session
    store["renewed_at"] = 0  # this request renews the login that it ends
    store.save()
    assert end(browser, SignIn.objects.get()).status_code == 302
    assert not is_in(browser)
    assert not Session.objects.exists()


def test_a_token_that_is_ended_is_revoked(asha: User) -> None:
    _, text = tokens.issue(asha)
    program, browser = Client(headers={"Authorization": f"Bearer {text}"}), log_in(asha)
    sign_in = SignIn.objects.get(token__isnull=False)
    assert "The token is revoked for good" in browser.get(f"{PAGE}{sign_in.pk}/delete/").content.decode()
    end(browser, sign_in)
    assert program.get("/api/v1/auth/token/").status_code == 401
    assert not Token.objects.exists()


def test_several_are_ended_together_this_one_among_them(asha: User) -> None:
    log_in(asha)
    tokens.issue(asha)
    here = log_in(asha)
    chosen = [str(sign_in.pk) for sign_in in SignIn.objects.all()]
    here.post(PAGE, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert not Session.objects.exists()
    assert not Token.objects.exists()


def test_an_administrator_ends_anybodys_and_others_only_their_own(asha: User) -> None:
    phone = log_in(asha)
    sign_in = SignIn.objects.get()
    for role in ("Viewer", "Price editor", "Approver", "Operator"):
        end(log_in(staff(role, role)), sign_in)
        assert is_in(phone), role
    end(log_in(staff("boss", "Administrator")), sign_in)
    assert not is_in(phone)


def test_a_token_and_a_user_are_deleted_on_their_own_pages_as_ever(asha: User) -> None:
    token, _ = tokens.issue(asha)
    log_in(asha)
    operator, boss = log_in(staff("ravi", "Operator")), log_in(staff("boss", "Administrator"))
    operator.post(f"/admin/accounts/token/{token.pk}/delete/", {"post": "yes"})
    assert not Token.objects.exists()
    tokens.issue(asha)
    boss.post(f"/admin/auth/user/{asha.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=asha.pk).exists()
    assert not SignIn.objects.filter(user=asha.pk).exists()


# --- web processes are told ----------------------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The users whose credentials web processes were told to check."""
    users: list[int] = []
    monkeypatch.setattr(publish, "recheck", users.append)
    return users


def revoke_by_rest(browser: Client, user: User) -> None:
    browser.delete("/api/v1/auth/token/")


def deactivate(browser: Client, user: User) -> None:
    user.is_active = False
    user.save()


def log_out(browser: Client, user: User) -> None:
    browser.post("/admin/logout/")


def change_password(browser: Client, user: User) -> None:
    user.set_password(f"{PASSWORD} 2")
    user.save()


def end_all(browser: Client, user: User) -> None:
    for sign_in in SignIn.objects.filter(token__isnull=False):
        end(browser, sign_in)


def delete_user(browser: Client, user: User) -> None:
    user.delete()


@pytest.mark.parametrize("act", [revoke_by_rest, deactivate, log_out, change_password, end_all, delete_user])
def test_whatever_ends_a_credential_is_told_once_it_is_committed(
    asha: User, told: list[int], act: Any, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    browser, number = log_in(asha), asha.pk
    tokens.issue(asha)
    with django_capture_on_commit_callbacks(execute=True):
        act(browser, asha)
        assert told == []
    assert set(told) == {number}


def test_what_ends_no_credential_is_not_told(
    asha: User, told: list[int], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        log_in(asha)
        tokens.issue(asha)
        Token.objects.update(expiry=timezone.now())
        Session.objects.update(expire_date=timezone.now())
        tokens.issue(asha)  # deletes the expired one
        Session.objects.all().delete()
        User.objects.create_user("ravi")
    assert told == []
