"""Price locks as staff and Prometheus see them."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.test import Client
from django_celery_beat.models import PeriodicTask
from prometheus_client import Metric, generate_latest
from pytest_django import DjangoCaptureOnCommitCallbacks

from infra import database_clock
from infra.metrics.shared import MetricStore
from locks import metrics, registration, tasks
from locks.models import LockSettings, PriceLock
from prices.audit import StaffChange
from tests.support.desk import FormFields
from tests.support.locks import LOCKS, WANTED, lock, post, publish, redeem
from tests.support.scrape import read

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts")]
LIST = "/admin/locks/pricelock/"
SETTINGS = "/admin/locks/locksettings/"


@pytest.fixture
def shop() -> Client:
    client = Client()
    client.force_login(User.objects.create(username="till"))
    return client


def release(boss: Client, *chosen: dict[str, Any]) -> str:
    """Release these locks, as staff do in the list; returns what the page says then."""
    keys = list(PriceLock.objects.filter(key__in=[each["id"] for each in chosen]).values_list("pk", flat=True))
    typed = {"action": "release", "_selected_action": keys, "reason": "the shop has closed"}
    return boss.post(LIST, typed, follow=True).content.decode()


def test_staff_see_who_holds_what_and_what_became_of_it(boss: Client, shop: Client) -> None:
    publish("13221.39")
    redeem(shop, lock(shop, reference="order-1"))
    lock(shop, side="buy", unit="10gram", purity="916", quantity=8.25, reference="order-2")
    rows = boss.get(LIST).content.decode().partition('id="result_list"')[2]
    assert rows.index("order-2") < rows.index("order-1")  # what is held comes first
    for shown in ("buy gold, 22K · 916", "121,107.93 INR per 10gram", "8.25", "till", "held", "redeemed"):
        assert shown in rows
    assert "order-1" not in boss.get(f"{LIST}?q=order-2").content.decode().partition('id="result_list"')[2]


def test_staff_release_a_lock_with_a_reason_which_cannot_be_undone(boss: Client, shop: Client) -> None:
    publish()
    held, redeemed = lock(shop), lock(shop)
    redeem(shop, redeemed)
    page = release(boss, held, redeemed)
    assert "Released: sell gold at 13200.0000 INR/gram." in page
    assert "was not released: This lock has been redeemed." in page
    assert shop.get(f"{LOCKS}{held['id']}/").json()["status"] == "released"
    change = StaffChange.objects.latest("pk")
    assert (str(change.by), change.reason) == ("boss", "the shop has closed")
    audit = boss.get("/admin/changes/").content.decode()
    assert "status held → released" in audit
    assert "may have locked another price" in audit
    boss.post(f"/admin/changes/{change.pk}/undo/", {"confirm": "on"})
    assert shop.get(f"{LOCKS}{held['id']}/").json()["status"] == "released"


def test_a_lock_that_has_expired_is_not_released(boss: Client, shop: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    publish()
    granted = lock(shop)
    late = dt.datetime.fromisoformat(granted["expiresAt"])
    monkeypatch.setattr(database_clock, "now", lambda: late)
    assert "has expired already" in release(boss, granted)
    assert not StaffChange.objects.filter(reason="the shop has closed").exists()


def test_a_lock_that_staff_saw_expired_stays_so(boss: Client, shop: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    publish()
    seen, opened = lock(shop), lock(shop)
    issued, late = (dt.datetime.fromisoformat(opened[name]) for name in ("issuedAt", "expiresAt"))
    for granted, address in (
        (seen, LIST),
        (opened, f"{LIST}{PriceLock.objects.get(key=opened['id']).pk}/change/"),
    ):
        monkeypatch.setattr(database_clock, "now", lambda: late)
        page = boss.get(address).content.decode()
        assert "expired" in page.partition("<tbody>")[2] + page.partition("Status:")[2].partition("Ended at")[0].lower()
        monkeypatch.setattr(database_clock, "now", lambda: issued)
        assert redeem(shop, granted).status_code == 410


def test_staffs_settings_are_audited_and_count_from_the_next_lock_on(boss: Client, shop: Client) -> None:
    publish()
    address = boss.get(SETTINGS)["Location"]
    fields = FormFields(boss.get(address).content).values
    assert boss.post(address, fields | {"ttl_seconds": "600", "tolerance_percent": "0.5"}).status_code == 302
    granted = lock(shop)
    begin, end = (dt.datetime.fromisoformat(granted[name]) for name in ("issuedAt", "expiresAt"))
    assert (end - begin, granted["tolerancePercent"]) == (dt.timedelta(minutes=10), 0.5)
    audit = boss.get("/admin/changes/").content.decode()
    assert "a lock holds for, s 420 → 600; tolerance, % empty → 0.5" in audit
    assert StaffChange.objects.filter(by__username="till").count() == 0  # whose request made the row


@pytest.mark.parametrize(("field", "value"), [("ttl_seconds", "9"), ("most_held", "0"), ("tolerance_percent", "-1")])
def test_settings_that_make_no_sense_are_not_saved(boss: Client, field: str, value: str) -> None:
    address = boss.get(SETTINGS)["Location"]
    before = LockSettings.load()
    fields = FormFields(boss.get(address).content).values
    assert boss.post(address, fields | {field: value}).status_code == 200
    assert getattr(LockSettings.load(), field) == getattr(before, field)


def test_old_locks_are_deleted_each_hour_and_a_database_that_is_away_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = PeriodicTask.objects.get(name=registration.TASK_NAME)
    assert (task.crontab.minute, task.crontab.hour) == ("35", "*")
    assert task.task == tasks.clean_locks.name
    tasks.clean_locks()

    def away() -> dt.datetime:
        raise DatabaseError("the server is gone")

    monkeypatch.setattr(database_clock, "now", away)
    tasks.clean_locks()
    assert caplog.messages[-1] == "old locks are not deleted; the next try is in an hour: the server is gone"


# --- metrics ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def counted() -> Iterator[MetricStore]:
    """The store in which this process counts."""
    store = MetricStore()
    metrics.counts.count_in(store)
    yield store
    metrics.counts.count_in(MetricStore())


def test_locks_are_counted_by_what_became_of_them(
    shop: Client,
    counted: MetricStore,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    post(shop, body=WANTED)
    publish()
    with django_capture_on_commit_callbacks(execute=True):
        made = [lock(shop) for _ in range(3)]
        for key in ("a", "a", "b"):
            redeem(shop, made[0], key)
        shop.delete(f"{LOCKS}{made[1]['id']}/")
    LockSettings.objects.update(most_held=1)
    post(shop, body=WANTED)
    said = read(generate_latest(counted.everyone).decode())
    assert {key: value for key, value in said.items() if value} == {
        ("swarna_locks_granted_total", ""): 3,
        ("swarna_locks_redeemed_total", ""): 1,
        ("swarna_locks_refused_total", "down"): 1,
        ("swarna_locks_refused_total", "held"): 1,
    }
    assert there_are() == {"held": 1, "expired": 0, "released": 1}
    late = dt.datetime.fromisoformat(made[2]["expiresAt"])
    monkeypatch.setattr(database_clock, "now", lambda: late)
    assert there_are() == {"held": 0, "expired": 1, "released": 1}


def there_are() -> dict[str, float]:
    """The locks of each status, as a scrape reads them from the database."""
    family: Metric
    (family,) = metrics.metrics()
    return {sample.labels["status"]: sample.value for sample in family.samples}
