"""streaming/engine under many connections at once."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import pytest
from websockets.sync.client import connect

from tests.support.echo import EchoServer
from tests.support.raw_websocket import Peer, frame


def test_a_connection_that_has_ended_leaves_nothing_to_the_collector(
    run_echo_server: Callable[..., EchoServer],
) -> None:
    server = run_echo_server()

    def uncollected() -> int:
        with connect(server.ws_url + "garbage", compression=None) as client:
            return int(client.recv(timeout=10))

    uncollected()
    for number in range(40):
        with connect(server.ws_url, compression=None if number % 2 else "deflate") as client:
            client.send("x" * 2000)
            client.recv()
    # One object in a cycle a connection would make 40, and a connection has a hundred.
    assert uncollected() < 20


def test_what_waits_for_a_busy_application_waits_with_the_client(run_echo_server: Callable[..., EchoServer]) -> None:
    """While a token is looked up in a database that hangs, say."""
    server = run_echo_server()
    before = server.peak_memory
    message = frame(1, b"x" * 10_000)
    with Peer(server.port) as peer:
        peer.open("/busy")
        peer.send_for(0.5, message * 10)  # hundreds of megabytes, to whoever would take them
        assert server.peak_memory - before < 30_000_000
        with connect(server.ws_url, compression=None) as other:
            for word in ("and", "go on"):
                other.send(word)
                assert other.recv(timeout=5) == word
        for _ in range(100):
            assert len(peer.read().payload) == 10_000


def test_a_web_process_opens_as_many_files_as_it_may_and_says_when_those_are_too_few() -> None:
    look = (
        "import resource; from swarna import web;"
        "print(web.open_files(1000)); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    for most, words in ((300, "this process may open 300 files: raise its limit"), (1150, "")):
        ran = subprocess.run(
            [sys.executable, "-c", look],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NOFILE, (64, most)),
        )
        said, soft = ran.stdout.splitlines()
        assert soft == str(most)
        assert words in said
        assert bool(said) == bool(words)


def test_a_process_that_stands_still_says_where_and_ends(run_echo_server: Callable[..., EchoServer]) -> None:
    server = run_echo_server(standstill=1)
    with connect(server.ws_url + "stand", compression=None) as client:
        client.send("now")
        assert server.process.popen.wait(20) == 1
    assert 'tests/support/echo_server.py", line' in server.process.output
    assert " in accepted" in server.process.output


@pytest.mark.parametrize("step", [-3600, 19_800])
def test_a_wall_clock_that_steps_ends_no_process_and_stops_no_timer(
    run_echo_server: Callable[..., EchoServer], step: int
) -> None:
    server = run_echo_server(standstill=1, timeout=1.5)
    with connect(f"{server.ws_url}step/{step}", compression=None) as client, Peer(server.port) as silent:
        shown = float(client.recv(timeout=5))
        assert abs(shown - time.time() - step) < 5
        silent.send(b"GET / HTTP/1.1\r\n")  # and nothing more: it is hung up on in time
        # Each of these comes later than a process that stands still would have ended.
        for word in ("one", "two"):
            time.sleep(0.6)
            client.send(word)
            assert client.recv(timeout=5) == word
        assert silent.ends_within(5)
    assert server.process.popen.poll() is None
