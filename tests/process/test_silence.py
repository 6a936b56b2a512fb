"""Peers that fall silent without a word, under the whole product: how long prices are gone.

Each wait by itself: tests/process/test_waits.py.
"""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environment import VALKEY
from tests.support.postgresql import Cluster
from tests.support.product import Process, free_port, wait_until
from tests.support.relay import Relay, relay


class Product:
    """`manage.py up` with a source that always answers, and the ways that its processes go to their peers."""

    def __init__(self, database: Relay, redis: Relay, port: int) -> None:
        self.ways = {"database": database, "redis": redis}
        self._url = f"http://127.0.0.1:{port}/api/v1/prices/"

    def seq(self) -> int:
        """The newest publication that the web process has."""
        try:
            with urllib.request.urlopen(self._url, timeout=5) as answer:
                return int(json.load(answer)["seq"])
        except OSError:
            return 0

    def publishes(self, within: float) -> None:
        """See that new publications come, before so many seconds have passed."""
        seen = self.seq()
        wait_until(lambda: self.seq() > seen + 1, "prices", within)


@pytest.fixture(scope="module")
def product(postgresql: Cluster, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    folder, port = tmp_path_factory.mktemp("silence"), free_port()
    postgresql.create("silence")
    with (
        relay(str(postgresql.folder / ".s.PGSQL.5432")) as database,
        relay(("127.0.0.1", VALKEY.port)) as redis,
    ):
        settings = {
            "DATABASE_URL": f"postgres://swarna@127.0.0.1:{database.port}/silence",
            "REDIS_URL": valkey.replace(f":{VALKEY.port}/", f":{redis.port}/"),
            "REDIS_PREFIX": "silence",
            "SWARNA_STATE_DIR": str(folder / "state"),
            "WEBSOCKET_PORT": str(port),
            "PRICE_PROVIDERS": "simulated",
            "PRICE_UPDATE_INTERVAL": "500ms",
        }
        up = Process(["manage.py", "up"], Path(folder / "log"), settings)
        made = Product(database, redis, port)
        try:
            wait_until(made.seq, "a first price", 60)
            yield made
        finally:
            assert up.stop() == 0, up.output


@pytest.mark.parametrize("silent", [["database"], ["redis"], ["database", "redis"]], ids=" and ".join)
def test_prices_come_again_though_all_connections_fall_silent(product: Product, silent: list[str]) -> None:
    product.publishes(within=30)
    for name in silent:
        product.ways[name].fall_silent()
    time.sleep(1)  # what was on its way is there
    product.publishes(within=29)


def test_prices_come_again_soon_after_peers_that_were_gone_answer_again(product: Product) -> None:
    product.publishes(within=30)
    for way in product.ways.values():
        way.answers = 0
        way.fall_silent()
    time.sleep(12)
    for way in product.ways.values():
        way.answers = None  # those that fell silent, or were made meanwhile, stay silent: nobody tells of their end
    product.publishes(within=15)
