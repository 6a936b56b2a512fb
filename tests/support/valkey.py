"""A real Valkey, as a fixture."""

import subprocess
from collections.abc import Iterator

import pytest

from infra.process.valkey import EmbeddedValkey, wait_for_redis
from tests.support.environment import VALKEY


def start(valkey: EmbeddedValkey) -> "subprocess.Popen[bytes]":
    """A real Valkey that answers, for the caller to end."""
    program = valkey.program()
    process = subprocess.Popen(program.command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(program.stdin)
    process.stdin.close()
    wait_for_redis(valkey.url, 10)
    return process


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """A real Valkey for as long as the tests run; its address."""
    process = start(VALKEY)
    yield VALKEY.url
    process.terminate()
    process.wait(10)
