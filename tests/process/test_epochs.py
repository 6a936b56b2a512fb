"""A database that is put back, while nothing runs or beneath a web process: its clients learn of another epoch."""

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
import redis
import requests
from websockets.sync.client import connect

from tests.support.event_source import EventClient
from tests.support.product import Process, answers, free_port, wait_until
from tests.support.stream_client import exchange, receive


class Product:
    """A database in a file, whose publications `simulate` writes, and a web process of it that ends with each block."""

    def __init__(self, folder: Path, redis_url: str, first_start: Path) -> None:
        shutil.copy(first_start, folder)
        self.folder = folder
        self.port = free_port()
        self.environment = {
            "SWARNA_STATE_DIR": str(folder / "state"),
            "DATABASE_URL": f"sqlite:///{folder}/prices.sqlite3",
            "REDIS_URL": redis_url,
            "REDIS_PREFIX": folder.name,
            "PRICE_PROVIDERS": "simulated",
            "WEBSOCKET_PORT": str(self.port),
        }

    def simulate(self, publications: int) -> None:
        command = ["manage.py", "simulate", "--interval-ms", "5", "--count", str(publications)]
        process = Process(command, self.folder / "log", self.environment)
        assert process.popen.wait(60) == 0, process.output

    def __enter__(self) -> str:
        self.process = Process(["manage.py", "serve"], self.folder / "log", self.environment)
        wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/healthz"), "the web process to answer")
        return f"ws://127.0.0.1:{self.port}/"

    def __exit__(self, *exception: object) -> None:
        self.process.stop()


@pytest.fixture
def product(tmp_path: Path, valkey: str, first_start: Path) -> Iterator[Product]:
    yield Product(tmp_path, valkey, first_start)
    with redis.Redis.from_url(valkey) as client:
        client.delete(f"{tmp_path.name}:position")


@pytest.mark.parametrize("memory", ["the state folder", "redis"])
def test_a_client_that_comes_back_to_a_database_that_was_put_back_while_nothing_ran_is_given_the_state(
    product: Product, valkey: str, memory: str
) -> None:
    product.simulate(5)
    database = product.folder / "prices.sqlite3"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(product.folder / "copy")) as copy:
        source.backup(copy)
    product.simulate(10)
    with product as address, connect(address) as client:
        seen = receive(client, "priceUpdate")
        assert receive(client, "status")["epoch"] == seen["epoch"]
        remembered = product.folder / "state" / "position.json"
        wait_until(lambda: remembered.exists() and f"{seen['seq']}, " in remembered.read_text(), "it to be remembered")
    if memory == "redis":
        remembered.unlink()
    else:
        with redis.Redis.from_url(valkey) as redis_client:
            wait_until(lambda: redis_client.delete(f"{product.folder.name}:position"), "Redis to remember it")
    # Into the very file, as sqlite3's .restore does it; and then it outgrows what was seen.
    with closing(sqlite3.connect(database)) as target, closing(sqlite3.connect(product.folder / "copy")) as copy:
        copy.backup(target)
    product.simulate(20)
    with product as address, connect(address) as client:
        answer = exchange(client, type="subscribe", metals=["gold"], since=seen["seq"], epoch=seen["epoch"])
        update = receive(client, "priceUpdate")
    assert (update["snapshot"], update["changes"]) == (True, [])
    assert update["seq"] > seen["seq"]
    assert update["epoch"] == answer["epoch"] != seen["epoch"]


def test_clients_of_http_learn_at_once_that_the_database_was_put_back_beneath_their_server(product: Product) -> None:
    product.simulate(5)
    database = product.folder / "prices.sqlite3"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(product.folder / "copy")) as copy:
        source.backup(copy)
    product.simulate(10)
    original = product.environment["DATABASE_URL"]
    product.environment["DATABASE_URL"] = f"sqlite:///{product.folder}/copy"
    product.simulate(20)  # so that it has outgrown what will have been seen
    product.environment["DATABASE_URL"] = original
    with product, EventClient(HTTPConnection("127.0.0.1", product.port, timeout=20)) as events:
        seen = events.next("priceUpdate").message
        prices = f"http://127.0.0.1:{product.port}/api/v1/prices/"
        present = requests.get(prices, {"wait": 1}, timeout=10).headers["ETag"]
        position = {"wait": 30, "epoch": seen["epoch"], "since": seen["seq"]}
        with ThreadPoolExecutor(1) as pool:
            poll = pool.submit(requests.get, prices, position, headers={"If-None-Match": present}, timeout=40)
            with (
                closing(sqlite3.connect(database)) as target,
                closing(sqlite3.connect(product.folder / "copy")) as copy,
            ):
                copy.backup(target)
            update, answer = events.next("priceUpdate"), poll.result().json()
    for message in (update.message, answer):
        assert (message["snapshot"], message["changes"]) == (True, [])
        assert message["epoch"] != seen["epoch"]
        assert message["seq"] > seen["seq"]
        assert update.last_event_id == f"{message['epoch']}:{message['seq']}"
