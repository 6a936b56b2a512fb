"""Celery's connections to Redis when that is lost: worker and beat come back, soon, and do not end."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kombu
import pytest
import redis
from kombu.common import ignore_errors

from infra.process.valkey import EmbeddedValkey, free_port
from swarna.celery import app
from tests.support.environment import VALKEY
from tests.support.product import Process, wait_until
from tests.support.relay import Relay, relay
from tests.support.valkey import start

NOWHERE = "/nobody/listens/here"


@pytest.fixture
def way(valkey: str) -> Iterator[Relay]:
    with relay(("127.0.0.1", VALKEY.port)) as way:
        yield way


def broker(port: int) -> Any:
    """As worker and beat have it."""
    return app.connection_for_read(url=VALKEY.url.replace(f":{VALKEY.port}/", f":{port}/"))


def test_a_broker_that_is_away_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", pauses.append)
    with pytest.raises(kombu.exceptions.OperationalError):
        broker(free_port()).ensure_connection(max_retries=3)
    assert [pause for pause in pauses if pause] == [1, 1, 1, 1, 1]  # pauses of 1, 2 and 2 seconds


def test_a_task_that_is_due_is_sent_as_soon_as_redis_is_back_and_that_is_logged_once(
    way: Relay, valkey: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = broker(way.port).ensure_connection()  # as beat does before its first task
    way.target = NOWHERE
    way.drop()
    with redis.Redis.from_url(valkey) as there, ThreadPoolExecutor(1) as threads:
        sent = threads.submit(app.send_task, "broker-test", connection=connection, queue="broker-test")
        tries = wait_until(lambda: way.accepted > 25 and way.accepted, "more than a few tries")
        way.target = ("127.0.0.1", VALKEY.port)
        sent.result(5)
        assert way.accepted < tries + 10
        assert there.delete("swarna:broker-test") == 1
        there.delete("swarna:_kombu.binding.broker-test")
    lost, back = (record.getMessage() for record in caplog.records)
    assert lost.startswith("Redis takes no tasks, trying again: ")
    assert re.fullmatch(r"Redis takes tasks again, after \d+ s and \d\d+ tries", back)


def test_a_channel_that_was_half_taken_apart_does_not_end_a_worker(way: Relay) -> None:
    connection = broker(way.port)
    channel = connection.default_channel
    channel.connection = None  # as where it broke while it was being closed
    ignore_errors(connection, connection.close)  # as Celery's consumer does before it connects anew


def test_a_task_that_was_taken_is_neither_kept_in_redis_nor_put_back_by_a_lost_connection(
    way: Relay, valkey: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = broker(way.port)
    queue = kombu.Queue("broker-test", channel=connection.default_channel)
    queue.declare()
    kombu.Producer(connection.default_channel).publish({}, routing_key="broker-test")
    taken: list[Any] = []
    with redis.Redis.from_url(valkey) as there:
        consumer = kombu.Consumer(connection.default_channel, [queue], on_message=taken.append)
        consumer.consume()
        connection.drain_events(timeout=5)
        assert taken
        assert not list(there.scan_iter("*unacked*"))
        way.target = NOWHERE
        way.drop()
        with contextlib.suppress(*connection.connection_errors):
            connection.close()
        assert not there.exists("swarna:broker-test")
        there.delete("swarna:_kombu.binding.broker-test")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.fixture
def another_valkey(tmp_path: Path) -> Iterator[str]:
    """The address of a Valkey that no other process uses."""
    valkey = EmbeddedValkey(tmp_path)
    process: subprocess.Popen[bytes] = start(valkey)
    yield valkey.url
    process.terminate()
    process.wait(10)


@pytest.mark.usefixtures("django_db_setup")
def test_a_redis_that_takes_nothing_for_a_while_does_not_end_a_worker_and_is_logged_once(
    another_valkey: str, tmp_path: Path
) -> None:
    command = ["-m", "celery", "--skip-checks", "-A", "swarna", "worker", "--concurrency=1", "--loglevel=WARNING"]
    environment = {"REDIS_URL": another_valkey}
    worker = Process([*command, "--without-gossip", "--without-mingle"], tmp_path / "log", environment)
    with redis.Redis.from_url(another_valkey) as there, app.connection_for_write(url=another_valkey) as connection:

        def takes_a_task() -> None:
            app.send_task("broker-test", connection=connection)
            wait_until(lambda: not there.exists("swarna:celery"), "a worker that takes a task", 30)

        try:
            takes_a_task()
            there.replicaof("127.0.0.1", free_port())
            wait_until(lambda: "Redis takes no tasks" in worker.output, "a worker whose task is refused", 30)
            tries = connections_of(there)
            wait_until(lambda: connections_of(there) > tries + 3, "more tries")
            there.replicaof("NO", "ONE")
            takes_a_task()
            assert worker.popen.poll() is None
        finally:
            worker.stop()
    # It logs that once, and its end, however often it tried.
    lines = re.findall("Connection to broker lost|Redis takes no tasks|Redis takes tasks again", worker.output)
    assert lines == ["Connection to broker lost", "Redis takes no tasks", "Redis takes tasks again"]
    assert "Frequent restarts" not in worker.output


def connections_of(there: "redis.Redis") -> int:
    stats: Any = there.info("stats")
    return int(stats["total_connections_received"])


def test_a_task_that_is_due_waits_for_a_redis_that_is_full(
    another_valkey: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = app.connection_for_write(url=another_valkey).ensure_connection()
    with connection, redis.Redis.from_url(another_valkey) as there, ThreadPoolExecutor(1) as threads:
        there.config_set("maxmemory", 1)
        sent = threads.submit(app.send_task, "broker-test", connection=connection, queue="broker-test")
        try:
            tries = connections_of(there)
            wait_until(lambda: connections_of(there) > tries + 5, "several tries")
        finally:
            there.config_set("maxmemory", "256mb")
        sent.result(5)
        assert there.exists("swarna:broker-test")
    full, again = (record.getMessage() for record in caplog.records)
    assert full.startswith("Redis takes no tasks, trying again: command not allowed when used memory")
    assert again.startswith("Redis takes tasks again, after ")
