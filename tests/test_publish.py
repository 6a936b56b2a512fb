"""Publishing to a Redis that hangs."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from channels.layers import channel_layers
from pytest_django import Settings

from streaming import publish
from swarna.valkey import EmbeddedValkey
from tests.conftest import start


@pytest.fixture
def hanging_redis(tmp_path: Path, settings: Settings) -> Iterator[None]:
    """The channel layer's Redis takes connections and never answers."""
    valkey = EmbeddedValkey(tmp_path)
    process = start(valkey)
    layer = settings.CHANNEL_LAYERS["default"]
    host = layer["CONFIG"]["hosts"][0] | {"address": valkey.url}
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": layer["CONFIG"] | {"hosts": [host]}}}
    os.kill(process.pid, signal.SIGSTOP)
    yield
    process.kill()
    process.wait()
    channel_layers.backends = {}


def test_whoever_publishes_to_a_redis_that_hangs_is_let_go_and_it_is_logged(
    hanging_redis: None, caplog: pytest.LogCaptureFixture, listen_to: Callable[[str], None]
) -> None:
    listen_to("streaming")
    publisher = threading.Thread(target=publish.reload, daemon=True)
    publisher.start()
    publisher.join(20)
    assert not publisher.is_alive()
    assert "Redis did not take a message" in caplog.text
