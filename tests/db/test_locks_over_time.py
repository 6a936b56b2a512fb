"""Locks under any operations, in any order and while the clock steps: a model says what each answer has to be."""

import datetime as dt
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from infra import clock, database_clock
from locks.models import LockSettings, PriceLock
from streaming import publish as broadcasting
from tests.support.locks import LOCKS, WANTED, post, publish, redeem
from tests.support.world import forget_prices

pytestmark = pytest.mark.django_db
KEYS = st.sampled_from("abc")


@dataclass
class Expected:
    """A lock as it has to be."""

    issued: dt.datetime
    expires: dt.datetime
    price: float
    status: str = "held"

    def seen(self, now: dt.datetime) -> str:
        if self.status == "held" and (now >= self.expires or self.issued > now + clock.TOLERANCE):
            self.status = "expired"
        return self.status


class Shop(RuleBasedStateMachine):
    """A till that takes, redeems and releases locks, a market, and the database's clock."""

    locks = Bundle("locks")

    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.till = Client()
        self.till.force_login(User.objects.create(username="till"))
        LockSettings.load()
        LockSettings.objects.update(most_held=1000)
        self.now = timezone.now().replace(microsecond=0)
        self.expected: dict[str, Expected] = {}
        self.answered: dict[str, bytes] = {}
        self.market = 13200
        publish(str(self.market))

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    @rule(price=st.integers(13000, 13400))
    def move(self, price: int) -> None:
        if price != self.market:
            publish(str(price))
            self.market = price

    @rule(seconds=st.sampled_from([0.001, 1, 419.999, 420, 600]))
    def wait(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)

    @rule(seconds=st.sampled_from([1, 5, 300, 600]))
    def step_back(self, seconds: float) -> None:
        self.now -= dt.timedelta(seconds=seconds)

    @rule(target=locks, key=st.none() | KEYS)
    def take(self, key: str | None) -> str:
        response = post(self.till, body=WANTED, key=key)
        assert response.status_code == 201, response.content
        granted = response.json()
        if key is not None and self.answered.setdefault(f"take {key}", response.content) != response.content:
            raise AssertionError("the same key got another answer")
        if granted["id"] not in self.expected:
            assert granted["price"] == self.market
            end = dt.datetime.fromisoformat(granted["expiresAt"])
            self.expected[granted["id"]] = Expected(self.now, end, self.market)
            assert end == self.now + dt.timedelta(minutes=7)
        return str(granted["id"])

    @rule(id=locks, key=KEYS)
    def redeem(self, id: str, key: str) -> None:
        response, expected = redeem(self.till, {"id": id}, key), self.expected[id]
        name = f"redeem {id} {key}"
        if name in self.answered:
            assert response.content == self.answered[name]
            return
        self.answered[name] = response.content
        before = expected.seen(self.now)
        assert response.status_code == {"held": 200, "redeemed": 409, "released": 409, "expired": 410}[before]
        if before == "held":
            expected.status = "redeemed"
            assert response.json()["redeemedPrice"] == expected.price

    @rule(id=locks)
    def release(self, id: str) -> None:
        response, expected = self.till.delete(f"{LOCKS}{id}/"), self.expected[id]
        before = expected.seen(self.now)
        assert response.status_code == (409 if before == "redeemed" else 204)
        if before == "held":
            expected.status = "released"

    @rule(id=locks)
    def look(self, id: str) -> None:
        assert self.till.get(f"{LOCKS}{id}/").json()["status"] == self.expected[id].seen(self.now)

    @precondition(lambda self: self.expected)
    @rule()
    def look_at_all(self) -> None:
        shown = {each["id"]: each["status"] for each in self.till.get(f"{LOCKS}?limit=100").json()["data"]}
        assert shown == {id: expected.seen(self.now) for id, expected in self.expected.items()}

    @invariant()
    def nothing_else_has_happened(self) -> None:
        kept = PriceLock.objects.values_list("key", "price", "status")
        assert {(str(key), float(price), status) for key, price, status in kept} == {
            (id, expected.price, expected.status) for id, expected in self.expected.items()
        }


def test_locks_do_what_the_model_says(either_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasting, "publication", lambda publication: None)
    forget_prices()

    class OnItsClock(Shop):
        """A shop whose clock is the database's."""

        def __init__(self) -> None:
            super().__init__()
            monkeypatch.setattr(database_clock, "now", lambda: self.now)

    run_state_machine_as_test(
        OnItsClock,
        settings=settings(max_examples=20, stateful_step_count=25, suppress_health_check=list(HealthCheck)),
    )
