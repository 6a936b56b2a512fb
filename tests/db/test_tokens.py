"""API tokens: issued for a password, used, listed and revoked by REST; and the staff's desk for them."""

import datetime as dt
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import tokens
from accounts.models import Token
from infra.redaction import TOKEN_PREFIX

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("attempts_of_nobody")]

TOKENS = "/api/v1/auth/token/"
DESK = "/admin/accounts/token/"
PASSWORD = "correct horse battery"


@pytest.fixture
def asha() -> User:
    return User.objects.create_user("asha", password=PASSWORD)


@pytest.fixture
def ravi() -> User:
    return User.objects.create_user("ravi", password=PASSWORD)


def ask(client: Client, username: str = "asha", password: str = PASSWORD, **request: Any) -> Any:
    """Ask for a token."""
    body = {"username": username, "password": password}
    return client.post(TOKENS, body, content_type="application/json", **request)


def holder(token: str, scheme: str = "Bearer") -> Client:
    """A client of the API that sends a token with everything."""
    return Client(headers={"Authorization": f"{scheme} {token}"})


# --- issuing -------------------------------------------------------------------------------------------------------


def test_a_password_is_exchanged_for_a_token_that_is_shown_once(client: Client, asha: User) -> None:
    response = ask(client)
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    issued = response.json()
    assert issued.keys() == {"token", "key", "created", "expiry"}
    assert re.fullmatch(f"{TOKEN_PREFIX}[0-9a-f]{{64}}", issued["token"])
    assert issued["token"].startswith(issued["key"])
    assert len(issued["key"]) == 15
    lifetime = dt.datetime.fromisoformat(issued["expiry"]) - dt.datetime.fromisoformat(issued["created"])
    assert abs(lifetime - dt.timedelta(days=30)) < dt.timedelta(seconds=1)
    (listed,) = holder(issued["token"]).get(TOKENS).json()
    assert listed == {name: issued[name] for name in ("key", "created", "expiry")}


def test_the_database_does_not_hold_the_token(client: Client, asha: User) -> None:
    token = ask(client).json()["token"]
    row = Token.objects.values().get()
    assert row["token_key"] == token[:15]
    assert token[15:] not in str(row)


def test_how_long_a_token_lives_is_a_setting(client: Client, asha: User, settings: Settings) -> None:
    settings.TOKEN_TTL = dt.timedelta(hours=1)
    issued = ask(client).json()
    assert dt.datetime.fromisoformat(issued["expiry"]) < timezone.now() + dt.timedelta(hours=1)


@pytest.mark.parametrize("password", ["wrong", PASSWORD.upper(), f" {PASSWORD}"])
def test_a_wrong_password_gets_none(client: Client, asha: User, password: str) -> None:
    response = ask(client, password=password)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert response.json()["detail"] == "Wrong username or password."
    assert response.json() == ask(client, username="nobody").json()
    assert not Token.objects.exists()


def test_an_inactive_user_gets_no_token(client: Client, asha: User) -> None:
    User.objects.update(is_active=False)
    assert ask(client).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{}", "username"),
        ('{"username": "asha"}', "password"),
        ('{"username": ["asha"], "password": "x"}', "username"),
        ('{"username": "a\\u0000", "password": "x"}', "username"),
        ('{"username": "' + "a" * 151 + '", "password": "x"}', "username"),
        ('{"username": "asha", "password": "' + "x" * 1001 + '"}', "password"),
        ("{", "detail"),
        ("[]", "non_field_errors"),
    ],
)
def test_a_malformed_request_is_rejected_with_the_reason(client: Client, body: str, field: str) -> None:
    response = client.post(TOKENS, body, content_type="application/json")
    assert response.status_code == 400
    assert field in (response.json().get("errors") or response.json())


def test_credentials_come_as_json_alone(client: Client, asha: User) -> None:
    assert client.post(TOKENS, {"username": "asha", "password": PASSWORD}).status_code == 415


def test_a_request_for_a_new_token_may_carry_the_old_one(asha: User) -> None:
    assert ask(holder("expired")).status_code == 201
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(asha)
    assert ask(browser).status_code == 201


def test_an_account_has_so_many_tokens_and_a_revoked_or_expired_one_makes_room(client: Client, asha: User) -> None:
    issued = [tokens.issue(asha) for _ in range(tokens.MOST_TOKENS)]
    refused = ask(client)
    assert refused.status_code == 403
    assert "DELETE auth/token/" in refused.json()["detail"]
    issued[0][0].delete()
    assert ask(client).status_code == 201
    Token.objects.filter(pk=issued[1][0].pk).update(expiry=timezone.now())
    assert ask(client).status_code == 201
    assert Token.objects.count() == tokens.MOST_TOKENS


# --- using ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer", "TOKEN", ""])
def test_a_token_is_accepted_with_either_scheme_and_without_one(asha: User, scheme: str) -> None:
    _, text = tokens.issue(asha)
    assert holder(text, scheme).get(TOKENS).status_code == 200


def test_a_login_is_as_good_as_a_token(client: Client, asha: User) -> None:
    tokens.issue(asha)
    client.force_login(asha)
    assert len(client.get(TOKENS).json()) == 1


@pytest.mark.parametrize("method", ["get", "delete"])
def test_without_either_there_is_nothing_to_see(client: Client, method: str) -> None:
    response = getattr(client, method)(TOKENS)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    "said",
    [
        "Bearer",
        "Bearer ",
        "Token x",
        "Bearer swarna_",
        "Bearer {token} {token}",
        "Bearer {token}0",
        "Bearer {other}",
        "Bearer \xff\xfe",
        "Bearer \x00",
        "Bearer, {token}",
        "{other}",
        "{token}0",
        "{token} {token}",
        "x",
        "Basic YTpi",
        "Basic {token}",
    ],
)
def test_an_invalid_token_is_rejected_even_where_none_is_needed(asha: User, said: str) -> None:
    _, text = tokens.issue(asha)
    other = text[:-1] + ("0" if text[-1] != "0" else "1")
    client = Client(headers={"Authorization": said.format(token=text, other=other)})
    for path in ("/api/v1/config/", "/api/schema/", "/api/asyncapi.json"):
        response = client.get(path)
        assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
        assert "POST to auth/token/" in response.json()["detail"]


def test_a_token_of_no_possible_shape_costs_no_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert holder("x").get("/api/v1/metals/").status_code == 401


@pytest.mark.parametrize("end", ["expired", "revoked", "deactivated"])
def test_a_token_ends(asha: User, end: str) -> None:
    token, text = tokens.issue(asha)
    client = holder(text)
    assert client.get(TOKENS).status_code == 200
    if end == "expired":
        Token.objects.filter(pk=token.pk).update(expiry=timezone.now())
    elif end == "revoked":
        token.delete()
    else:
        User.objects.update(is_active=False)
    response = client.get(TOKENS)
    assert response.status_code == 401
    assert "POST to auth/token/" in response.json()["detail"]


def test_another_kind_of_credential_is_rejected_with_the_valid_ones(client: Client) -> None:
    refused = client.get("/api/v1/config/", headers={"Authorization": "Basic YTpi"})
    assert refused.status_code == 401
    assert "Authorization: Bearer TOKEN" in refused.json()["detail"]


def test_an_empty_header_presents_nothing(client: Client) -> None:
    assert client.get("/api/v1/config/", headers={"Authorization": " "}).status_code == 200


def test_a_login_that_has_ended_presents_nothing(client: Client, asha: User) -> None:
    client.force_login(asha)
    Session.objects.all().delete()
    assert client.get("/api/v1/config/").status_code == 200


# --- listing and revoking ------------------------------------------------------------------------------------------


def test_one_sees_ones_own_live_tokens_newest_first(asha: User, ravi: User) -> None:
    old, _ = tokens.issue(asha)
    ended, _ = tokens.issue(asha)
    Token.objects.filter(pk=ended.pk).update(expiry=timezone.now())
    tokens.issue(ravi)
    Token.objects.filter(pk=old.pk).update(created=timezone.now() - dt.timedelta(days=1))
    token, text = tokens.make(asha, dt.timedelta(days=1))
    token.save()
    assert [each["key"] for each in holder(text).get(TOKENS).json()] == [token.token_key, old.token_key]


def test_a_token_is_revoked_by_its_key(asha: User) -> None:
    token, text = tokens.issue(asha)
    other, _ = tokens.issue(asha)
    client = holder(text)
    assert client.delete(f"{TOKENS}{other.token_key}/").status_code == 204
    assert [each["key"] for each in client.get(TOKENS).json()] == [token.token_key]
    assert client.delete(f"{TOKENS}{other.token_key}/").status_code == 404
    assert client.delete(f"{TOKENS}{token.token_key}/").status_code == 204
    assert client.get(TOKENS).status_code == 401


@pytest.mark.parametrize("staff", [False, True])
def test_another_users_token_is_not_found(asha: User, ravi: User, staff: bool) -> None:
    User.objects.filter(pk=ravi.pk).update(is_staff=staff, is_superuser=staff)
    of_asha, _ = tokens.issue(asha)
    _, text = tokens.issue(ravi)
    response = holder(text).delete(f"{TOKENS}{of_asha.token_key}/")
    assert response.status_code == 404
    assert response.json() == holder(text).delete(f"{TOKENS}nothing/").json()
    assert Token.objects.filter(pk=of_asha.pk).exists()


def test_all_ones_own_tokens_are_revoked_at_once(asha: User, ravi: User) -> None:
    _, text = tokens.issue(asha)
    tokens.issue(asha)
    of_ravi, _ = tokens.issue(ravi)
    assert holder(text).delete(TOKENS).status_code == 204
    assert [token.pk for token in Token.objects.all()] == [of_ravi.pk]


def test_the_whole_token_is_no_address(asha: User) -> None:
    _, text = tokens.issue(asha)
    assert holder(text).delete(f"{TOKENS}{text}/").status_code == 404


def test_another_sites_page_cannot_revoke(asha: User) -> None:
    tokens.issue(asha)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(asha)
    assert browser.delete(TOKENS).status_code == 403
    assert Token.objects.exists()


# --- the staff's desk ----------------------------------------------------------------------------------------------


def staff(name: str, **options: Any) -> User:
    made: User = User.objects.create(username=name, is_staff=True, **options)
    made.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    return made


@pytest.fixture
def desk() -> Client:
    client = Client()
    client.force_login(staff("clerk"))
    return client


def text_on(page: Any) -> str:
    """The token that a page shows."""
    found = re.search(f"{TOKEN_PREFIX}[0-9a-f]{{64}}", page.content.decode())
    assert found, page.content
    return found[0]


def test_staff_see_the_users_of_tokens_but_never_a_token(desk: Client, asha: User) -> None:
    token, text = tokens.issue(asha)
    for address in (DESK, f"{DESK}?q=asha", f"{DESK}?q={token.token_key}", f"{DESK}{token.pk}/change/"):
        page = desk.get(address, follow=True)
        assert page.status_code == 200
        assert token.token_key in page.content.decode()
        assert text[15:] not in page.content.decode()


def test_staff_make_a_token_that_is_shown_once_and_kept_nowhere(desk: Client, asha: User) -> None:
    page = desk.post(f"{DESK}add/", {"user": "asha", "days": "7"})
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    text = text_on(page)
    token = Token.objects.get()
    assert (token.user, token.token_key) == (asha, text[:15])
    assert abs(token.expiry - timezone.now() - dt.timedelta(days=7)) < dt.timedelta(seconds=5)
    assert holder(text).get(TOKENS).status_code == 200
    assert text[15:] not in str(desk.cookies)
    assert text[15:] not in str([session.get_decoded() for session in Session.objects.all()])
    assert text[15:] not in desk.get(DESK).content.decode()
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_repr) == ("clerk", f"{text[:15]}… of asha")


def test_the_lifetime_that_is_offered_is_the_deployments(desk: Client) -> None:
    assert 'value="30"' in desk.get(f"{DESK}add/").content.decode()


@pytest.mark.parametrize(
    ("user", "days", "field"), [("nobody", "7", "user"), ("", "7", "user"), ("asha", "0", "days"), ("asha", "", "days")]
)
def test_a_slip_makes_no_token(desk: Client, asha: User, user: str, days: str, field: str) -> None:
    page = desk.post(f"{DESK}add/", {"user": user, "days": days})
    assert page.status_code == 200
    assert field in page.context["adminform"].form.errors
    assert not Token.objects.exists()


def test_staff_revoke_a_token(desk: Client, asha: User) -> None:
    token, text = tokens.issue(asha)
    asked = desk.get(f"{DESK}{token.pk}/delete/").content.decode()
    assert f"{token.token_key}… of asha" in asked
    assert desk.post(f"{DESK}{token.pk}/delete/", {"post": "yes"}).status_code == 302
    assert holder(text).get(TOKENS).status_code == 401


def test_staff_cannot_become_more_than_they_are(desk: Client) -> None:
    User.objects.create(username="boss", is_staff=True, is_superuser=True)
    staff("colleague")
    User.objects.create(username="gone", is_active=False)
    for name in ("boss", "colleague", "gone"):
        assert "user" in desk.post(f"{DESK}add/", {"user": name, "days": "7"}).context["adminform"].form.errors
    assert text_on(desk.post(f"{DESK}add/", {"user": "clerk", "days": "7"}))
    superuser = Client()
    superuser.force_login(User.objects.get(username="boss"))
    assert text_on(superuser.post(f"{DESK}add/", {"user": "colleague", "days": "7"}))


def test_a_token_cannot_be_changed(desk: Client, asha: User) -> None:
    token, _ = tokens.issue(asha)
    assert desk.post(f"{DESK}{token.pk}/change/", {"user": "clerk", "days": "3650"}).status_code == 403


def test_staff_without_the_permission_see_none(client: Client, asha: User) -> None:
    client.force_login(User.objects.create(username="visitor", is_staff=True))
    assert client.get(DESK).status_code == 403
    assert client.post(f"{DESK}add/", {"user": "asha", "days": "7"}).status_code == 403


def test_knoxs_own_page_is_not_there(boss: Client) -> None:
    assert boss.get("/admin/knox/authtoken/").status_code == 404
