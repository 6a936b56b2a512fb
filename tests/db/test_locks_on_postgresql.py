"""Locks while another transaction runs: PostgreSQL lets several run at once."""

from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from locks import idempotency, rules
from locks.refusals import Code, RefusalError
from streaming import publish as broadcasting
from tests.support.locks import lock, publish, tills
from tests.support.product import wait_until
from tests.support.threads import at_once
from tests.support.world import forget_prices


@pytest.fixture(autouse=True)
def priced(on_postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PostgreSQL database with a price of gold, which other connections see."""
    monkeypatch.setattr(broadcasting, "publication", lambda publication: None)
    forget_prices()
    publish()


def test_a_publication_waits_until_the_lock_whose_price_was_read_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find_price = rules.price_for
    with ThreadPoolExecutor(1) as worker:
        publications: list[Future[int]] = []

        def publish_meanwhile() -> int:
            try:
                return publish("13900").seq
            finally:
                connection.close()

        def with_a_publication(*given: Any, **options: Any) -> Decimal:
            publications.append(worker.submit(publish_meanwhile))
            wait_until(lambda: publications[0].done() or somebody_waits(), "the publication to wait")
            assert not publications[0].done()
            return find_price(*given, **options)

        monkeypatch.setattr(rules, "price_for", with_a_publication)
        granted = lock(tills(1)[0])
        assert (granted["price"], publications[0].result(10)) == (13200, granted["seq"] + 1)


def somebody_waits() -> bool:
    """Return True while a connection to PostgreSQL waits for another's lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        (waiting,) = cursor.fetchone()
    return bool(waiting)


def test_while_a_request_runs_postgresql_refuses_the_same_key_at_once() -> None:
    shop = User.objects.create(username="another")
    one = idempotency.Request(shop, "/somewhere/", "a", {})

    def second(number: int) -> Any:
        return idempotency.once(one, lambda: idempotency.Answer(200, "second"))

    def first() -> idempotency.Answer:
        with pytest.raises(RefusalError) as refused:
            at_once(second, 1)
        assert refused.value.code is Code.STILL_RUNNING
        return idempotency.Answer(200, "first")

    assert idempotency.once(one, first).body == "first"
    assert second(0).body == "first"
    with transaction.atomic(), pytest.raises(RefusalError):
        idempotency.once(idempotency.Request(shop, "/somewhere/", "a", {"other": 1}), first)
