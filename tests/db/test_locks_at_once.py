"""Requests for locks at the same moment, by threads with a connection each, as web processes have them."""

from collections import Counter
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from locks.models import KeptAnswer, LockSettings, PriceLock
from prices.models import Price
from streaming import publish as broadcasting
from tests.support.locks import WANTED, lock, post, publish, redeem, tills
from tests.support.threads import at_once
from tests.support.world import forget_prices

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = 8


@pytest.fixture(autouse=True)
def priced(either_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of each kind with a price of gold."""
    monkeypatch.setattr(broadcasting, "publication", lambda publication: None)
    forget_prices()
    publish()


@pytest.fixture
def till(priced: None) -> Client:
    """A till that has logged in. It is of one thread; `tills` are of as many."""
    return tills(1)[0]


def test_one_of_many_redemptions_succeeds(till: Client) -> None:
    granted, screens = lock(till), tills(AT_ONCE)
    answers = at_once(lambda number: redeem(screens[number], granted, f"key-{number}"), AT_ONCE)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: AT_ONCE - 1}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"lock-redeemed"}


def test_one_request_that_is_sent_many_times_locks_once(till: Client) -> None:
    screens = tills(AT_ONCE)
    answers = at_once(lambda number: post(screens[number], body=WANTED, key="a"), AT_ONCE)
    granted = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    others = {answer.json()["code"] for answer in answers if answer.status_code != 201}
    assert {UUID(each) for each in granted} == {each.key for each in PriceLock.objects.all()}
    assert len(granted) == KeptAnswer.objects.count() == 1
    assert others <= {"request-still-running"}


def test_a_user_gets_no_more_locks_than_staff_allow(till: Client) -> None:
    LockSettings.load()
    LockSettings.objects.update(most_held=3)
    screens = tills(AT_ONCE)
    answers = at_once(lambda number: post(screens[number], body=WANTED), AT_ONCE)
    assert Counter(answer.status_code for answer in answers) == {201: 3, 429: AT_ONCE - 3}


def test_no_publication_slips_in_between_a_price_and_its_lock(till: Client) -> None:
    screens = tills(AT_ONCE)
    LockSettings.load()
    LockSettings.objects.update(most_held=1000)

    def work(number: int) -> list[Any]:
        if number == 0:
            return [publish(str(13200 + step)) for step in range(1, 25)]
        return [lock(screens[number]) for _ in range(5)]

    _, *granted = at_once(work, AT_ONCE)
    published = dict(Price.objects.values_list("seq", "price"))
    for each in (one for some in granted for one in some):
        assert Decimal(str(each["price"])) == published[each["seq"]]
