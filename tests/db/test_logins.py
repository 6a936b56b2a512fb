"""Passwords that are tried: at the admin's login, at its change of password and at auth/token/, counted together."""

import datetime as dt
import ipaddress
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import attempts, known_addresses
from accounts.models import LoginAddress
from infra.fixed_window import FixedWindowCounter
from tests.support.product import free_port
from tests.support.threads import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("attempts_of_nobody")]

PASSWORD = "correct horse battery"
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"
WIDE = "\uff41\uff53\uff48\uff41"  # "asha", as a keyboard of Japan may write it


@pytest.fixture
def asha() -> User:
    return User.objects.create_user("asha", password=PASSWORD, is_staff=True)


Door = Callable[..., Any]


def by_page(username: str = "asha", password: str = PASSWORD, address: str = HOME, **request: Any) -> Any:
    fields = {"username": username, "password": password}
    return Client().post("/admin/login/", fields, REMOTE_ADDR=address, **request)


def by_rest(username: str = "asha", password: str = PASSWORD, address: str = HOME, **request: Any) -> Any:
    fields = {"username": username, "password": password}
    return Client().post("/api/v1/auth/token/", fields, content_type="application/json", REMOTE_ADDR=address, **request)


def by_change(username: str = "asha", password: str = PASSWORD, address: str = HOME) -> Any:
    """Somebody who has come by asha's session changes her password."""
    client = Client()
    client.force_login(User.objects.get(username="asha"))
    fields = {"old_password": password, "new_password1": f"{PASSWORD} 2", "new_password2": f"{PASSWORD} 2"}
    return client.post("/admin/password_change/", fields, REMOTE_ADDR=address)


DOORS = pytest.mark.parametrize("door", [by_page, by_rest])


def is_in(response: Any) -> bool:
    return response.status_code in (201, 302)


def fail(door: Door, times: int, **options: Any) -> list[int]:
    return [door(password="wrong", **options).status_code for _ in range(times)]


# --- how many ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("door", "wrong"), [(by_page, 200), (by_rest, 401), (by_change, 200)])
def test_ten_wrong_passwords_of_a_username_from_an_address_are_enough(asha: User, door: Door, wrong: int) -> None:
    assert fail(door, 11) == [wrong] * 10 + [429]
    refused = door()
    assert refused.status_code == 429
    assert 50 <= int(refused["Retry-After"]) <= 60


def test_the_doors_count_together(asha: User) -> None:
    fail(by_page, 4)
    fail(by_rest, 3)
    fail(by_change, 3)
    assert [door().status_code for door in (by_page, by_rest, by_change)] == [429] * 3


def test_the_page_says_when_to_try_again(asha: User) -> None:
    fail(by_page, 10)
    for door in (by_page, by_change):
        refused = door()
        (seconds,) = re.findall(r"Too many wrong passwords\. Try again in (\d+) seconds\.", refused.content.decode())
        assert refused["Retry-After"] == seconds


@DOORS
def test_thirty_wrong_passwords_from_an_address_are_enough_whoever_is_tried(asha: User, door: Door) -> None:
    codes = [door(username=f"user{number}").status_code for number in range(31)]
    assert codes[-2:] == [codes[0], 429]
    assert not is_in(door())
    assert is_in(door(address=ELSEWHERE))


def test_a_hundred_wrong_passwords_of_a_username_are_enough_wherever_they_come_from(asha: User) -> None:
    codes = [fail(by_rest, 1, address=f"203.0.113.{number}")[0] for number in range(101)]
    assert codes[-2:] == [401, 429]
    for door, wrong in ((by_page, 200), (by_rest, 401)):
        assert door(address=ELSEWHERE).status_code == 429
        assert door(username="ravi", address=ELSEWHERE).status_code == wrong


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """A low limit of wrong passwords for a username from everywhere."""
    monkeypatch.setattr(attempts, "MOST_FROM_EVERYWHERE", 12)
    return 12


@DOORS
def test_a_user_locked_out_by_others_can_log_in_from_a_known_address(asha: User, door: Door, few: int) -> None:
    assert is_in(door(address=HOME))
    for number in range(few):
        fail(door, 1, address=f"203.0.113.{number}")
    assert not is_in(door(address=ELSEWHERE))
    assert is_in(door(address=HOME))
    assert fail(door, 11, address=HOME)[-1] == 429  # which is no way around what holds for one address


def test_one_address_alone_locks_no_user_out_elsewhere(asha: User, few: int) -> None:
    fail(by_rest, few + 10, address=ELSEWHERE)
    assert is_in(by_page(address=HOME))


@DOORS
def test_a_right_password_is_not_counted_as_wrong(asha: User, door: Door) -> None:
    assert all(is_in(door()) for _ in range(12))
    fail(door, 9)
    assert is_in(door())
    assert fail(door, 2)[-1] == 429


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_no_more(asha: User) -> None:
    codes = at_once(lambda _: by_rest(password="wrong").status_code, 16)
    assert sorted(codes) == [401] * 10 + [429] * 6


# --- who and where -------------------------------------------------------------------------------------------------


def test_a_name_is_the_same_however_it_is_written(asha: User) -> None:
    for name in ("asha", "ASHA", "Asha", WIDE, " asha "):
        fail(by_page, 1, username=name)
        fail(by_rest, 1, username=name)
    assert by_rest().status_code == 429


@DOORS
def test_a_name_is_taken_however_a_keyboard_writes_it(asha: User, door: Door) -> None:
    assert is_in(door(username=WIDE))


def test_a_network_of_ipv6_is_one_address(asha: User) -> None:
    for number in range(10):
        fail(by_page, 1, address=f"2001:db8:1:2::{number:x}")
    assert by_page(address="2001:db8:1:2:3:4:5:6").status_code == 429
    assert is_in(by_page(address="2001:db8:1:3::1"))


def test_clients_behind_a_trusted_proxy_are_distinguished_and_cannot_be_forged(asha: User, settings: Settings) -> None:
    for number in range(10):
        fail(by_page, 1, headers={"X-Forwarded-For": f"192.0.2.{number}"})
    assert by_page(headers={"X-Forwarded-For": ELSEWHERE}).status_code == 429
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("192.0.2.0/24")]
    assert is_in(by_page(headers={"X-Forwarded-For": ELSEWHERE}))


@pytest.mark.parametrize("username", ["asha", "nobody", "gone"])
def test_the_answer_does_not_reveal_which_usernames_exist(asha: User, username: str) -> None:
    User.objects.create_user("gone", password=PASSWORD, is_active=False)
    for door in (by_page, by_rest):
        answers = [(answer.status_code, len(answer.content)) for answer in (door(username, "no") for _ in range(5))]
        assert answers == [(answers[0][0], answers[0][1])] * 5
        assert answers[0][0] == (200 if door is by_page else 401)
    assert by_page(username, "no").status_code == 429


# --- what is kept --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ago", "is_known"),
    [
        (dt.timedelta(days=29, hours=23), True),
        (dt.timedelta(days=30, minutes=1), False),
        (-dt.timedelta(hours=6), True),  # a clock was ahead
        (-dt.timedelta(days=400), False),
    ],
)
def test_an_address_is_known_for_thirty_days(asha: User, ago: dt.timedelta, is_known: bool) -> None:
    now = timezone.now()
    known_addresses.remember(asha, HOME, now=now - ago)
    assert known_addresses.is_known("asha", HOME, now=now) is is_known
    assert not known_addresses.is_known("asha", ELSEWHERE, now=now)
    assert not known_addresses.is_known("ravi", HOME, now=now)


def test_stored_addresses_are_bounded_and_digested(asha: User) -> None:
    now = timezone.now()
    for number in range(known_addresses.MOST + 5):
        known_addresses.remember(asha, f"192.0.2.{number}", now=now + dt.timedelta(seconds=number))
    assert LoginAddress.objects.count() == known_addresses.MOST
    assert known_addresses.is_known("asha", "192.0.2.54", now=now)
    assert not known_addresses.is_known("asha", "192.0.2.0", now=now)
    assert "192.0.2" not in str(list(LoginAddress.objects.values()))
    known_addresses.remember(asha, HOME, now=now + dt.timedelta(days=31))
    assert LoginAddress.objects.count() == 1


def test_a_lock_out_is_logged_once_and_without_the_password(asha: User, caplog: pytest.LogCaptureFixture) -> None:
    fail(by_page, 15, username="asha\nroot: come in")
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("accounts")]
    assert re.fullmatch(
        "10 wrong passwords within a minute: no password is checked "
        r"for 'asha\\nroot: come in' from 192\.0\.2\.1 for \d+ s",
        line,
    )


def test_a_login_of_before_passwords_were_counted_holds(asha: User, client: Client) -> None:
    client.force_login(asha, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/admin/").status_code == 200


# --- over processes ------------------------------------------------------------------------------------------------


def test_another_process_counts_with_this_one(
    asha: User, attempts_of_nobody: FixedWindowCounter, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(by_page, 10)
    other = FixedWindowCounter(valkey, attempts_of_nobody._prefix, attempts.WINDOW)
    monkeypatch.setattr(attempts, "_counter", lambda: other)
    assert by_rest().status_code == 429


@pytest.mark.parametrize("is_there", [False, True])
def test_without_redis_a_process_counts_for_itself(asha: User, monkeypatch: pytest.MonkeyPatch, is_there: bool) -> None:
    alone = FixedWindowCounter(f"redis://127.0.0.1:{free_port()}" if is_there else None, "test", attempts.WINDOW)
    monkeypatch.setattr(attempts, "_counter", lambda: alone)
    assert all(is_in(by_rest()) for _ in range(12))
    assert fail(by_page, 11)[-1] == 429


# --- how long a login lasts ----------------------------------------------------------------------------------------


@pytest.fixture
def at_work(asha: User) -> Client:
    """A browser whose login was renewed an hour ago."""
    client = Client()
    client.force_login(asha)
    renewed(client, dt.timedelta(hours=1))
    return client


def renewed(client: Client, ago: dt.timedelta) -> None:
    """Put a login's last renewal, and with it its end, so far back."""
    store = client.session
    store["renewed_at"] = int((timezone.now() - ago).timestamp())
    store.save()
    Session.objects.update(expire_date=timezone.now() - ago + dt.timedelta(days=1))


def left() -> dt.timedelta:
    return Session.objects.get().expire_date - timezone.now()


def test_a_login_is_renewed_by_work_once_half_of_it_is_over(at_work: Client) -> None:
    assert "sessionid" not in at_work.get("/admin/").cookies
    assert left() < dt.timedelta(hours=23, minutes=1)
    renewed(at_work, dt.timedelta(hours=13))
    assert at_work.get("/admin/").cookies["sessionid"]["max-age"] == 24 * 3600
    assert left() > dt.timedelta(hours=23, minutes=59)
    assert "sessionid" not in at_work.get("/admin/").cookies


def test_a_login_that_was_renewed_by_a_clock_that_was_ahead_is_renewed(at_work: Client) -> None:
    renewed(at_work, dt.timedelta(days=-400))
    assert "sessionid" in at_work.get("/admin/").cookies
    assert left() < dt.timedelta(days=1)


@pytest.mark.parametrize("path", ["/", "/api/v1/config/", "/api/v1/auth/token/"])
def test_requests_of_a_page_by_itself_do_not_renew_the_login(at_work: Client, path: str) -> None:
    renewed(at_work, dt.timedelta(hours=13))
    assert at_work.get(path).status_code == 200
    assert left() < dt.timedelta(hours=12)


def test_a_login_ends_a_day_after_it_was_renewed(at_work: Client) -> None:
    renewed(at_work, dt.timedelta(days=1, seconds=1))
    assert at_work.get("/admin/").status_code == 302
