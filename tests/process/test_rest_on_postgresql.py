"""REST by HTTP, of real web processes on a real PostgreSQL: the API's other tests call Django on SQLite."""

import csv
import datetime as dt
import io
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.contrib.auth.models import Permission, User

from accounts import tokens
from accounts.models import Token
from prices.models import Configuration, FallbackPrice
from prices.publishing import ingest
from tests.support.members import somebody
from tests.support.product import ROOT, wait_until
from tests.support.quotes import quote
from tests.support.server import Server

MINUTE = dt.timedelta(minutes=1)


class Answer:
    """An answer: status, headers, and the body as it came."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status
        self.headers = response.headers
        self.body: bytes = response.read()

    def json(self) -> Any:
        return json.loads(self.body)


class Shop(Server):
    """A web process on PostgreSQL, and a client of its API."""

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """Ask for a path under /api/v1/, or for a whole address such as one in `next`."""
        request = urllib.request.Request(
            path if "://" in path else f"{self.http_url}/api/v1/{path}",
            None if body is None else json.dumps(body).encode(),
            {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return Answer(response)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error)

    def is_unchanged(self, path: str) -> bool:
        """Return True if a client that has the answer already gets a 304."""
        again = self.ask(path, If_None_Match=self.ask(path).headers["ETag"])
        return again.status == 304 and again.body == b""


@pytest.fixture
def run_shop(on_postgresql: str, valkey: str, tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Start web processes on one seeded PostgreSQL, without counted requests."""
    with redis.Redis.from_url(valkey) as client:
        client.flushdb()
    shops: list[Shop] = []

    def start(*words: str, **settings: str) -> Shop:
        environment = {"DATABASE_URL": on_postgresql, "DJANGO_SETTINGS_MODULE": "tests.support.always_open"} | settings
        shop = Shop(tmp_path / f"{len(shops)}.log", environment, ("manage.py", "serve", *words))
        shops.append(shop)
        shop.start()
        return shop

    yield start
    for shop in shops:
        shop.stop()
    assert not [shop.output for shop in shops if "Traceback" in shop.output]


def test_all_that_the_api_reads_and_writes(run_shop: Callable[..., Shop]) -> None:
    shop = run_shop("--processes=2")
    begin = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0) - 20 * MINUTE

    def publish(*minutes: int) -> None:
        for minute in minutes:
            at = begin + minute * MINUTE
            ingest.record([quote("gold", f"{13000 + 260 * (minute % 2)}.5", at=at, bid="12900.25")], now=at)

    def hire() -> None:
        asha = User.objects.create_user("asha", password="correct horse battery", is_staff=True)
        asha.user_permissions.set(Permission.objects.filter(content_type__app_label="prices"))

    shop.do(lambda: publish(*range(10)))
    shop.do(hire)
    token = shop.ask("auth/token/", "POST", {"username": "asha", "password": "correct horse battery"})
    assert token.status == 201
    staff = {"Authorization": f"Bearer {token.json()['token']}"}

    # Every reader's endpoint: whole, unchanged, and compressed.
    of_gold = ["prices/gold/", "prices/gold/history/", "prices/gold/candles/"]
    for path in ("metals/", "market/", "config/", "changes/", "prices/", *of_gold):
        answer = shop.ask(path)
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache"), path
        small = shop.ask(path, Accept_Encoding="gzip", **staff)
        assert small.headers["Content-Encoding"] == "gzip" or len(answer.body) < 400, path
        assert shop.ask(path, "HEAD").body == b""
        if path != "market/":  # which says what time it is
            # A process that has just started has no prices in memory, and Django makes other tags.
            wait_until(partial(shop.is_unchanged, path), f"304 for {path}")
    wait_until(lambda: shop.ask("prices/gold/").json()["price"] == 13260.5, "the newest price")
    for path in ("providers/", "fallback-prices/", "fallback-prices/gold/", "auth/token/"):
        assert (shop.ask(path).status, shop.ask(path, **staff).status) == (401, 200), path

    # Pages, while others write.
    seqs = [row["seq"] for row in shop.ask("prices/gold/history/").json()["data"]]
    seen: list[int] = []
    address: str | None = "prices/gold/history/?limit=3"
    minutes = iter(range(10, 20))
    while address:
        page = shop.ask(address).json()
        seen += [row["seq"] for row in page["data"]]
        address = page["next"]
        shop.do(lambda: publish(next(minutes)))
    assert seen == seqs
    address, starts = f"prices/gold/candles/?interval=1m&limit=7&from={begin:%Y-%m-%dT%H:%M:%SZ}", []
    while address:
        page = shop.ask(address).json()
        starts += [row["start"] for row in page["data"]]
        address = page["next"]
    assert starts == sorted(set(starts))
    assert len(starts) == len(shop.ask("prices/gold/history/").json()["data"]) - 1  # without staff's price
    moves = shop.ask("changes/?limit=2&direction=down").json()
    assert [row["direction"] for row in moves["data"]] == ["down", "down"]
    assert moves["next"]

    table = shop.ask("prices/gold/candles/?interval=1h&format=csv&unit=10gram&purity=22k")
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert (table.headers["Content-Type"], rows[-1]["close"]) == ("text/csv; charset=utf-8", "121554.5833")

    # What staff write.
    changed = shop.ask("config/", "PATCH", {"maxJumpPercent": 8, "updateIntervalMs": 2000}, **staff)
    assert (changed.status, changed.json()["maxJumpPercent"]) == (200, 8)
    assert shop.ask("config/").json()["updateIntervalMs"] == 2000
    fallback = shop.ask("fallback-prices/silver/", "PATCH", {"price": 106.5, "note": "by hand"}, **staff)
    assert (fallback.status, fallback.json()["price"], fallback.json()["onScreen"]) == (200, 106.5, True)
    wait_until(lambda: shop.ask("prices/silver/").json()["price"] == 106.5, "staff's price")
    for edited in (Configuration, FallbackPrice):
        assert shop.do(edited.history.latest).history_user.username == "asha"
    for path, body, field in (
        ("config/", {"changeThresholdPercent": 10**15}, "changeThresholdPercent"),
        ("config/", {"freshnessLimitMs": 10**30}, "freshnessLimitMs"),
        ("fallback-prices/gold/", {"price": 10**15}, "price"),
        ("fallback-prices/gold/", {"version": 10**30}, "non_field_errors"),  # as of an older one
        ("fallback-prices/gold/", {"note": "\ud800"}, "note"),
        ("fallback-prices/gold/", {"note": "\x00"}, "note"),
        ("fallback-prices/gold/", {"asOf": "9999-12-31T23:59:59Z"}, "asOf"),
    ):
        refusal = shop.ask(path, "PATCH", body, **staff)
        assert (refusal.status, list(refusal.json()["errors"])) == (400, [field]), body

    assert shop.ask("auth/token/%00/", "DELETE", **staff).status == 404
    assert shop.ask(f"auth/token/{token.json()['key']}/", "DELETE", **staff).status == 204
    assert shop.ask("auth/token/", **staff).status == 401


def test_the_commands_of_the_documents_work(run_shop: Callable[..., Shop], tmp_path: Path) -> None:
    shop = run_shop()
    shop.do(lambda: User.objects.create_user("asha", password="correct horse battery"))
    shop.publish(gold="13221.39")
    page = (ROOT / "docs/api.md").read_text()
    blocks = re.findall(r"```(sh|python)\n(.*?)```", page, re.DOTALL)
    typed = "".join(block for kind, block in blocks if kind == "sh")
    (program,) = [block for kind, block in blocks if kind == "python"]

    def printed(*command: str) -> str:
        environment = os.environ | {"API": f"{shop.http_url}/api/v1"}
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "problem" not in ran.stdout
        return ran.stdout

    # Typed one after the other into one shell, as a reader does.
    answers = printed("bash", "-euo", "pipefail", "-c", typed.replace("http://127.0.0.1:3001", shop.http_url))
    assert '"redeemedPrice":12110.7932' in answers
    printed(sys.executable, "-c", program)
    assert [len((tmp_path / name).read_text().splitlines()) for name in ("gold.csv", "gold-minutes.csv")] == [2, 2]
    assert shop.do(lambda: Token.objects.count()) == 1  # the Python one's: the other was revoked


def test_a_crowd_shares_few_connections(run_shop: Callable[..., Shop], on_postgresql: str) -> None:
    shop = run_shop()
    with psycopg.connect(on_postgresql) as locking, psycopg.connect(on_postgresql, autocommit=True) as watching:
        locking.execute("LOCK prices_listedmetal")  # until all of the crowd are there
        with ThreadPoolExecutor(40) as crowd:
            answers = [crowd.submit(shop.ask, "metals/") for _ in range(40)]
            waiting = "datname = current_database() AND wait_event_type = 'Lock'"
            count = f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}"
            wait_until(lambda: watching.execute(count).fetchone() == (10,), "readers at the lock")
            locking.rollback()
            assert {answer.result().status for answer in answers} == {200}


def test_a_postgresql_that_goes_and_comes_back(run_shop: Callable[..., Shop], on_postgresql: str) -> None:
    shop = run_shop()
    wait_until(lambda: "Cookie" not in shop.ask("prices/").headers["Vary"], "the prices in memory")
    assert shop.ask(f"{shop.http_url}/").status == 200
    name = on_postgresql.rpartition("/")[2]
    with psycopg.connect(on_postgresql.removesuffix(name) + "postgres", autocommit=True) as database:
        database.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        away = shop.ask("metals/")
        assert (away.status, away.headers["Retry-After"], away.json()["status"]) == (503, "5", 503)
        assert shop.ask("prices/").status == 200
        watched = shop.ask(f"{shop.http_url}/readyz")
        assert (watched.status, watched.json()["database"]) == (503, "does not answer (OperationalError)")
        assert shop.ask("metals/").status == 503
        assert shop.ask(f"{shop.http_url}/").status == 200  # the board, from memory
        why = shop.ask(f"{shop.http_url}/why/1/")
        assert (why.status, why.headers["Retry-After"]) == (503, "5")
        database.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    # Who asks waits for three seconds: the first who does so has it, however long the database was away.
    assert shop.ask("metals/").status == 200
    # Whoever asked is told, and the log says it once, not at each request and try.
    assert "django.request" not in shop.output
    assert shop.output.count("the database cannot be used") == 1
    assert shop.output.count("WARNING psycopg.pool: error connecting") == 1


def test_web_processes_count_together_and_say_when_to_come_again(run_shop: Callable[..., Shop]) -> None:
    limits = {"API_RATE_LIMIT": "6", "API_USER_RATE_LIMIT": "4"}
    shops = [run_shop(**limits), run_shop(**limits)]
    text = shops[0].do(lambda: tokens.issue(somebody())[1])
    for headers, limit in (({}, 6), ({"Authorization": f"Bearer {text}"}, 4)):
        answers = [shops[number % 2].ask("metals/", **headers) for number in range(limit + 2)]
        assert [answer.status for answer in answers] == [200] * limit + [429] * 2
        assert all(0 < int(answer.headers["Retry-After"]) <= 60 for answer in answers[limit:])
        assert answers[-1].json()["status"] == 429
