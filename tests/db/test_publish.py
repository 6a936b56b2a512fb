"""Publishing: over one connection a process, and to a Redis that hangs."""

import multiprocessing
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from channels.layers import channel_layers
from pytest_django import Settings

from infra.process.valkey import EmbeddedValkey
from streaming import publish
from tests.support.valkey import start


@pytest.fixture
def own_redis(tmp_path: Path, settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """The channel layer has a Redis of its own."""
    valkey = EmbeddedValkey(tmp_path)
    process = start(valkey)
    settings.REDIS_URL = valkey.url
    layer = settings.CHANNEL_LAYERS["default"]
    host = layer["CONFIG"]["hosts"][0] | {"address": valkey.url}
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": layer["CONFIG"] | {"hosts": [host]}}}
    yield process
    process.kill()
    process.wait()
    channel_layers.backends = {}


@pytest.fixture
def subscriber(own_redis: "subprocess.Popen[bytes]", settings: Settings) -> Iterator[redis.client.PubSub]:
    """Somebody who listens to whatever is published."""
    client: Any = redis.Redis.from_url(settings.REDIS_URL)
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.psubscribe("*")
        pubsub.get_message(timeout=10)
        yield pubsub


def heard(subscriber: redis.client.PubSub) -> bool:
    return subscriber.get_message(timeout=10) is not None


def test_a_process_publishes_all_over_one_connection(subscriber: redis.client.PubSub, settings: Settings) -> None:
    publish.reload()
    assert heard(subscriber)
    client: Any = redis.Redis.from_url(settings.REDIS_URL)
    before = client.info("stats")["total_connections_received"]
    for _ in range(5):
        publish.reload()
        assert heard(subscriber)
    assert client.info("stats")["total_connections_received"] == before


def test_a_process_that_was_forked_from_one_that_has_published_publishes_too(subscriber: redis.client.PubSub) -> None:
    publish.reload()
    assert heard(subscriber)
    child = multiprocessing.get_context("fork").Process(target=publish.reload, daemon=True)
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert heard(subscriber)


def test_whoever_publishes_to_a_redis_that_hangs_is_let_go_and_it_is_logged(
    own_redis: "subprocess.Popen[bytes]", caplog: pytest.LogCaptureFixture
) -> None:
    os.kill(own_redis.pid, signal.SIGSTOP)
    publisher = threading.Thread(target=publish.reload, daemon=True)
    publisher.start()
    publisher.join(20)
    assert not publisher.is_alive()
    assert "Redis did not take a message" in caplog.text
