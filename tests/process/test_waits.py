"""Every way by which a process of ours opens a socket, against a peer that falls silent: each wait has an end.

docs/operations.md has the same table for people. tests/process/test_silence.py has
worker, beat and web processes as such.
"""

import asyncio
import contextlib
import datetime as dt
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import kombu
import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings as ours
from django.core import mail
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import Error as DatabaseError
from django.db import connection, connections, transaction
from django.test import RequestFactory
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from infra import database_threads
from infra.database_threads import in_a_thread
from infra.fixed_window import FixedWindowCounter
from infra.postgresql.base import use_a_pool
from infra.process.valkey import wait_for_redis
from prices.models import Head
from prices.providers import fx
from prices.providers.http import Client
from prices.publishing import snapshot
from prices.publishing.position_memory import PositionMemory
from streaming import publish, subscription
from swarna import readiness
from swarna.celery import app
from swarna.management.commands import up
from swarna.scheduler import Scheduler
from tests.support.environment import VALKEY
from tests.support.postgresql import Cluster, in_place_of_sqlite
from tests.support.quotes import NOW, START
from tests.support.relay import Relay, relay

# Seconds that a busy machine needs beside the limit itself.
MARGIN = 3.0

ANSWER_TIMEOUT = ours.DATABASE_ANSWER_TIMEOUT

# Uses a peer once; says by an exception, or by whatever it returns, that there was no answer.
Use: TypeAlias = Callable[[], Any]


def ends_within(seconds: float, use: Use) -> None:
    """See that it does, whether it raises or not."""
    began = time.monotonic()
    try:
        use()
    except Exception as error:  # which one is for others to test
        assert not isinstance(error, AssertionError)
    assert time.monotonic() - began < seconds + MARGIN


@pytest.fixture(params=["before its first answer", "after it"])
def silence(request: pytest.FixtureRequest) -> Callable[[Relay, Use], None]:
    """Let the peer behind a relay fall silent, before or after it has answered once."""

    def begin(way: Relay, use: Use) -> None:
        if request.param == "after it":
            use()
            way.fall_silent()
        way.answers = 0

    return begin


def test_no_limit_is_longer_than_ten_seconds() -> None:
    peers, kinds = ("DATABASE_", "REDIS_", "BROKER_", "EMAIL_"), ("_TIMEOUT", "_INTERVAL", "_PAUSE")
    limits = {name: getattr(ours, name) for name in dir(ours) if name.startswith(peers) and name.endswith(kinds)}
    assert len(limits) >= 10
    assert [name for name, limit in limits.items() if limit > 10] == ["DATABASE_LONG_ANSWER_TIMEOUT"]
    of_tcp = ours.POSTGRESQL_OPTIONS
    silence = of_tcp["keepalives_idle"] + of_tcp["keepalives_interval"] * of_tcp["keepalives_count"]
    assert max(silence, of_tcp["tcp_user_timeout"] / 1000) <= 10


# --- Redis -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def redis_way(valkey: str) -> Iterator[Relay]:
    with relay(("127.0.0.1", VALKEY.port)) as way:
        yield way


def url_of(way: Relay) -> str:
    return VALKEY.url.replace(f":{VALKEY.port}/", f":{way.port}/")


def layer_by(url: str) -> RedisPubSubChannelLayer:
    return RedisPubSubChannelLayer(hosts=[{"address": url, **ours.REDIS_OPTIONS}], prefix="waits")


def publishes(url: str) -> Use:
    layer = layer_by(url)

    def use() -> None:
        sent = publish._group_send(layer, {"type": publish.RELOAD})
        asyncio.run_coroutine_threadsafe(sent, publish._event_loop()).result()

    return use


def sends_a_task(url: str) -> Use:
    broker = app.connection_for_write(url=url)
    return lambda: kombu.Producer(broker.ensure_connection(max_retries=1), auto_declare=False).publish(
        {}, routing_key="waits", retry=False
    )


def counts_in_a_thread(url: str) -> Use:
    counter = FixedWindowCounter(url, "waits", dt.timedelta(minutes=1))
    return lambda: counter.count("asha")


def counts_in_the_event_loop(url: str) -> Use:
    async def count() -> None:
        counter = FixedWindowCounter(url, "waits", dt.timedelta(minutes=1))
        await counter.acount("asha")
        await counter._async_redis.aclose(close_connection_pool=True)

    return lambda: asyncio.run(count())


def remembers_a_position(url: str) -> Use:
    memory = PositionMemory(ours.STATE_DIR, url, "waits")
    return lambda: memory.keep(START)


def recalls_a_position(url: str) -> Use:
    return PositionMemory(ours.STATE_DIR, url, "waits").recall


def tells_readiness(url: str) -> Use:
    return readiness._redis


def begins(url: str) -> Use:
    return lambda: wait_for_redis(url, timeout=3)


@pytest.mark.parametrize(
    ("way_of", "seconds"),
    [
        (publishes, ours.REDIS_PUBLISH_TIMEOUT),
        (sends_a_task, 2 * (ours.REDIS_CONNECT_TIMEOUT + ours.REDIS_ANSWER_TIMEOUT) + 1),
        (counts_in_a_thread, 1),
        (counts_in_the_event_loop, 1),
        (remembers_a_position, ours.REDIS_CONNECT_TIMEOUT + ours.REDIS_ANSWER_TIMEOUT),
        (recalls_a_position, ours.REDIS_CONNECT_TIMEOUT + ours.REDIS_ANSWER_TIMEOUT),
        (tells_readiness, 4),
        (begins, 3 + ours.REDIS_CONNECT_TIMEOUT + ours.REDIS_ANSWER_TIMEOUT),
    ],
)
def test_a_redis_that_falls_silent_is_waited_for_so_long(
    redis_way: Relay,
    silence: Callable[[Relay, Use], None],
    settings: Settings,
    way_of: Callable[[str], Use],
    seconds: float,
) -> None:
    settings.REDIS_URL = url_of(redis_way)
    use = way_of(url_of(redis_way))
    silence(redis_way, use)
    ends_within(seconds, use)


async def test_a_subscription_that_falls_silent_ends(redis_way: Relay) -> None:
    begun = asyncio.Event()

    async def begin() -> None:
        begun.set()

    async def take(message: dict[str, Any]) -> None: ...

    following = asyncio.create_task(
        subscription.follow(layer_by(url_of(redis_way)), "waits", begin=begin, take=take, stalled=asyncio.Event())
    )
    await asyncio.wait([following, asyncio.create_task(begun.wait())], return_when=asyncio.FIRST_COMPLETED)
    redis_way.fall_silent(oldest=1)  # pings are sent by another, as publications are
    with pytest.raises(ConnectionError, match="brings nothing"):
        async with asyncio.timeout(2 * subscription.PING_EVERY + MARGIN):
            await following


async def test_to_subscribe_ends_too(redis_way: Relay) -> None:
    redis_way.answers = 0

    async def never(*_: Any) -> None:
        raise AssertionError("it cannot begin")

    async with asyncio.timeout(2 * subscription.TIMEOUT + MARGIN):
        with pytest.raises(Exception, match="^(?!it cannot)"):
            await subscription.follow(
                layer_by(url_of(redis_way)), "waits", begin=never, take=never, stalled=asyncio.Event()
            )


# --- the mail server -------------------------------------------------------------------------------------------------


def test_a_mail_server_that_says_nothing_is_waited_for_so_long(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = silent.getsockname()
        ends_within(ours.EMAIL_TIMEOUT, lambda: mail.send_mail("An edit waits", "", None, ["asha@shop.example"]))


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture
def database_way(
    postgresql: Cluster,
    migrated: str,
    valkey: str,
    django_db_blocker: Any,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Relay]:
    """A way to a seeded database, which Django goes."""
    settings.DATABASE_ANSWER_TIMEOUT = 2.0
    with (
        relay(str(postgresql.folder / ".s.PGSQL.5432")) as way,
        ThreadPoolExecutor(2) as threads,  # those of others know the way to another database
        django_db_blocker.unblock(),
        in_place_of_sqlite(f"postgres://swarna@127.0.0.1:{way.port}/{migrated}"),
    ):
        monkeypatch.setattr(database_threads, "_threads", threads)
        yield way
        threads.submit(connections.close_all).result()


def ask() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def reads_from_the_event_loop() -> None:
    asyncio.run(call_in_loop())


async def call_in_loop() -> None:
    await in_a_thread(snapshot.read)()


def ticks() -> None:
    Scheduler(app=app).tick()


def is_ready() -> None:
    readiness._check(RequestFactory().get("/readyz"))


def is_asked_for_health() -> None:
    with contextlib.suppress(CommandError):  # that refreshes are late
        call_command("healthy", "refreshes")


@pytest.mark.parametrize(
    "use",
    [ask, reads_from_the_event_loop, ticks, is_ready, is_asked_for_health],
    ids=["a statement", "the stream's read", "beat", "/readyz", "healthy refreshes"],
)
def test_a_database_that_falls_silent_is_waited_for_so_long(
    database_way: Relay, silence: Callable[[Relay, Use], None], use: Use
) -> None:
    silence(database_way, use)
    ends_within(ours.DATABASE_CONNECT_TIMEOUT, use)  # which is the longer one here


def test_a_connection_without_an_answer_is_given_up_and_says_so(database_way: Relay) -> None:
    ask()
    database_way.fall_silent()
    with pytest.raises(Exception, match="the server has not answered for 2 s"):
        ask()
    connection.close()
    ask()


def test_a_pool_whose_connections_are_all_silent_costs_one_wait(database_way: Relay) -> None:
    use_a_pool(connection.settings_dict)
    held = [connections.create_connection("default") for _ in range(4)]
    for each in held:
        each.settings_dict = connection.settings_dict
        each.ensure_connection()
    for each in held:
        each.close()  # back into the pool
    database_way.fall_silent()
    began = time.monotonic()
    while True:
        try:
            ask()
        except Exception:
            connection.close()
            continue
        break
    assert time.monotonic() - began < ours.DATABASE_POOL_TIMEOUT + MARGIN
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # of PostgreSQL's


def test_who_vanishes_in_the_middle_of_a_tick_loses_the_lock_before_others_give_up(
    database_way: Relay, settings: Settings
) -> None:
    settings.DATABASE_ANSWER_TIMEOUT = ANSWER_TIMEOUT
    is_locked, is_over = threading.Event(), threading.Event()

    def vanish() -> None:
        with contextlib.suppress(DatabaseError), transaction.atomic():
            Head.locked()
            is_locked.set()
            is_over.wait(20)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(vanish)
        assert is_locked.wait(10)
        database_way.fall_silent()
        began = time.monotonic()
        with transaction.atomic():
            Head.locked()
        assert time.monotonic() - began < ANSWER_TIMEOUT
        settings.DATABASE_ANSWER_TIMEOUT = 0.5
        is_over.set()


# --- HTTP ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def http_way(http: HTTPServer, settings: Settings) -> Iterator[Relay]:
    http.clear()
    http.expect_request("/healthz").respond_with_data("")
    http.expect_request("/prices").respond_with_json({})
    http.expect_request("/v1/latest").respond_with_json(
        {"base": "USD", "date": f"{NOW:%Y-%m-%d}", "rates": {"INR": 95.96}}
    )
    with relay((http.host, http.port)) as way:
        settings.FRANKFURTER_URL = settings.OPEN_ER_API_URL = f"http://127.0.0.1:{way.port}"
        settings.WEBSOCKET_PORT = way.port
        yield way


def fetches_a_price(way: Relay) -> Use:
    return lambda: Client(deadline=time.monotonic() + 1).get_json(f"http://127.0.0.1:{way.port}/prices")


def asks_for_a_rate(way: Relay) -> Use:
    return lambda: fx.Rates().rate("USD", "INR", deadline=time.monotonic() + 1, now=NOW)


def is_healthy(way: Relay) -> Use:
    return lambda: call_command("healthy", "web")


def greets(way: Relay) -> Use:
    return lambda: asyncio.run(up.is_healthy("127.0.0.1", way.port))


@pytest.mark.parametrize(
    ("way_of", "seconds"), [(fetches_a_price, 1), (asks_for_a_rate, 1), (is_healthy, 5), (greets, 3)]
)
def test_a_server_that_falls_silent_is_waited_for_so_long(
    http_way: Relay, silence: Callable[[Relay, Use], None], way_of: Callable[[Relay], Use], seconds: float
) -> None:
    use = way_of(http_way)
    silence(http_way, use)
    ends_within(seconds, use)
