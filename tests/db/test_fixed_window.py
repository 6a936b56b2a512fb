"""Counting in fixed windows: in a real Valkey, over processes, and without one."""

import asyncio
import datetime as dt
import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from infra.fixed_window import FixedWindow, FixedWindowCounter
from infra.process.valkey import EmbeddedValkey
from tests.support.product import free_port, wait_until
from tests.support.valkey import start

MINUTE = dt.timedelta(minutes=1)
_numbers = itertools.count()


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def prefix() -> str:
    """Keys that no other test has counted by."""
    return f"test-counter-{os.getpid()}-{next(_numbers)}"


def test_a_new_window_begins_with_the_first_event_after_the_old_one() -> None:
    window = FixedWindow(60)
    assert [window.count(at).number for at in (0, 1, 59.9, 60, 119, 121)] == [1, 2, 3, 1, 2, 1]


def test_processes_count_together_and_keys_apart(valkey: str, prefix: str) -> None:
    here, there = FixedWindowCounter(valkey, prefix, MINUTE), FixedWindowCounter(valkey, prefix, MINUTE)
    assert [each.count("asha").number for each in (here, there, here)] == [1, 2, 3]
    assert here.count("ravi").number == 1


def test_threads_that_count_at_once_for_the_first_time_share_one_client(valkey: str, prefix: str) -> None:
    """Else a client that another one replaced would close its connection while its thread waits for the answer."""
    for attempt in range(20):
        counter = FixedWindowCounter(valkey, f"{prefix}-{attempt}", MINUTE)
        start = threading.Barrier(16)

        def count(_: int, counter: FixedWindowCounter = counter, start: threading.Barrier = start) -> int:
            start.wait(10)
            return counter.count("asha").number

        with ThreadPoolExecutor(16) as threads:
            assert sorted(threads.map(count, range(16))) == list(range(1, 17))


async def test_the_event_loop_and_threads_count_together(valkey: str, prefix: str) -> None:
    counter = FixedWindowCounter(valkey, prefix, MINUTE)
    assert (await counter.acount("asha")).number == 1
    assert (await asyncio.to_thread(counter.count, "asha")).number == 2
    numbers = [count.number for count in await asyncio.gather(*(counter.acount("asha") for _ in range(50)))]
    assert sorted(numbers) == list(range(3, 53))
    await counter._async_redis.aclose(close_connection_pool=True)


def test_a_window_ends_by_itself_and_is_not_drawn_out_by_more(valkey: str, prefix: str) -> None:
    counter = FixedWindowCounter(valkey, prefix, dt.timedelta(milliseconds=300))
    began = time.monotonic()
    assert counter.count("asha").number == 1
    wait_until(lambda: counter.count("asha").number == 1, "the next window", seconds=5)
    assert time.monotonic() - began >= 0.29


def test_a_count_says_how_long_its_window_is_open(valkey: str, prefix: str) -> None:
    counter = FixedWindowCounter(valkey, prefix, MINUTE)
    assert 59 < counter.count("asha").seconds_left <= 60
    with redis.Redis.from_url(valkey) as client:
        assert 59_000 < client.pttl(f"{prefix}:asha") <= 60_000


@pytest.mark.parametrize("way", ["thread", "loop"])
async def test_a_window_that_a_clock_put_back_holds_open_is_ended(valkey: str, prefix: str, way: str) -> None:
    counter = FixedWindowCounter(valkey, prefix, MINUTE)
    with redis.Redis.from_url(valkey) as client:
        client.set(f"{prefix}:asha", 1000, px=3_600_000)
        for number in (1, 1):  # this process's own, and the first of the next window
            counted = counter.count("asha") if way == "thread" else await counter.acount("asha")
            assert counted.number == number
            assert 59 < counted.seconds_left <= 60
            await asyncio.sleep(0)
        assert client.pttl(f"{prefix}:asha") <= 60_000
    await counter._async_redis.aclose(close_connection_pool=True)


@pytest.mark.parametrize("in_redis", [True, False])
def test_what_is_taken_back_was_never_counted(valkey: str, prefix: str, in_redis: bool) -> None:
    counter = FixedWindowCounter(valkey if in_redis else None, prefix, MINUTE)
    counter.count("asha")
    counter.count("asha")
    counter.count("asha", -1)
    assert counter.count("asha").number == 2
    counter.count("ravi", -1)  # its window has ended meanwhile
    assert counter.count("ravi").number == 1


@pytest.mark.parametrize("redis_url", [None, "a port where nobody listens"])
def test_without_redis_a_process_counts_for_itself(redis_url: str | None, prefix: str) -> None:
    clock = Clock()
    counter = FixedWindowCounter(redis_url and f"redis://127.0.0.1:{free_port()}", prefix, MINUTE, clock=clock)
    assert [counter.count("asha").number for _ in range(3)] == [1, 2, 3]
    clock.now += 45
    assert counter.count("asha") == (4, 15)
    assert counter.count("ravi") == (1, 60)
    clock.now += 15
    assert counter.count("asha") == (1, 60)


def test_a_process_forgets_whom_it_has_not_counted_for_long(prefix: str) -> None:
    clock = Clock()
    counter = FixedWindowCounter(None, prefix, MINUTE, clock=clock)
    for number in range(1000):
        counter.count(str(number))
    clock.now += 60
    counter.count("asha")
    assert len(counter._windows) == 1


def test_threads_do_not_lose_a_count(prefix: str) -> None:
    counter = FixedWindowCounter(None, prefix, MINUTE)
    with ThreadPoolExecutor(4) as threads:
        numbers = list(threads.map(lambda _: counter.count("asha").number, range(2000)))
    assert sorted(numbers) == list(range(1, 2001))


@pytest.fixture
def other_valkey(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A Valkey that a test may stop; its address and its process."""
    valkey = EmbeddedValkey(tmp_path)
    process = start(valkey)
    yield valkey.url, process
    process.kill()
    process.wait()


async def test_a_redis_that_hangs_is_waited_for_once_and_then_left_alone(
    other_valkey: tuple[str, "subprocess.Popen[bytes]"],
    prefix: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url, process = other_valkey
    clock = Clock()
    counter = FixedWindowCounter(url, prefix, MINUTE, clock=clock)
    assert (await counter.acount("asha")).number == 1
    os.kill(process.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert [(await counter.acount("asha")).number for _ in range(100)] == list(range(2, 102))
    assert time.monotonic() - began < 2
    assert caplog.text.count("each process counts for itself") == 1
    clock.now += 5
    await counter.acount("asha")
    assert caplog.text.count("each process counts for itself") == 1
    os.kill(process.pid, signal.SIGCONT)
    clock.now += 5
    await counter.acount("asha")
    assert caplog.text.count("counting in Redis again") == 1
    await counter._async_redis.aclose(close_connection_pool=True)
