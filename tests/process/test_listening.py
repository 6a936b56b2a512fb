"""Addresses of a web process: each serves, is printed for a browser, and is checked for health."""

import contextlib
import re
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from infra.process.supervisor import Supervisor
from swarna import web
from swarna.management.commands import up
from tests.support.product import Process, free_port, wait_until

NOBODY = "http://127.0.0.1:9"  # a proxy at which nobody listens


def _is_there(host: str) -> bool:
    try:
        web.listening(host, 0).close()
    except CommandError:
        return False
    return True


def needs(host: str, *names: str) -> object:
    """A case for machines that have this address."""
    return pytest.param(host, *names, marks=pytest.mark.skipif(not _is_there(host), reason=f"no {host} here"))


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


class _At(HTTPServer):
    """A server on a socket that listens already."""

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(("", 0), _Healthy, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


@pytest.fixture
def serve(settings: Settings) -> Iterator[Callable[[str], int]]:
    """Listen at an address, which the settings name then, and answer /healthz; returns the port."""
    with contextlib.ExitStack() as stack:

        def start(host: str) -> int:
            server = stack.enter_context(_At(web.listening(host, 0)))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            settings.BIND_ADDRESS = host
            port: int = server.socket.getsockname()[1]
            settings.WEBSOCKET_PORT = port
            return port

        yield start


@pytest.mark.parametrize(
    "host", [needs(each) for each in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::", "localhost")]
)
def test_health_is_checked_where_the_process_listens_and_never_through_a_proxy(
    serve: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, NOBODY)
    serve(host)
    call_command("healthy", "web")


def test_a_process_that_does_not_answer_is_named_by_its_address(settings: Settings) -> None:
    settings.BIND_ADDRESS, settings.WEBSOCKET_PORT = "::1", free_port()
    with pytest.raises(CommandError, match=rf"at http://\[::1\]:{settings.WEBSOCKET_PORT}/ does not answer"):
        call_command("healthy", "web")


def test_a_process_that_answers_byte_by_byte_times_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout for each read would never end the check."""
    monkeypatch.setattr("infra.process.probe._TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.WEBSOCKET_PORT = listener.getsockname()[1]

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                while True:
                    connection.sendall(b"H")
                    time.sleep(0.05)

        dripping = threading.Thread(target=drip)
        dripping.start()
        began = time.monotonic()
        with pytest.raises(CommandError, match="no answer in"):
            call_command("healthy", "web")
        assert time.monotonic() - began < 3
        dripping.join()


@pytest.mark.parametrize(
    ("host", "shown"),
    [needs("127.0.0.1", "127.0.0.1"), needs("::1", "[::1]")]
    + [needs(each, "localhost") for each in ("0.0.0.0", "::", "0::0")],
)
async def test_up_prints_an_address_that_a_browser_takes(
    serve: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, host: str, shown: str
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Supervisor, "say", lambda _, text: said.append(text))
    port = serve(host)
    await up.greet(Supervisor(), (host, port), staffed=True)
    assert said == [f"ready: http://{shown}:{port}/"]


@pytest.mark.parametrize("host", [needs("::")])
def test_all_of_ipv6_is_all_of_ipv4_too(serve: Callable[[str], int], host: str) -> None:
    port = serve(host)
    for at in ("127.0.0.1", "[::1]"):
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{at}:{port}/healthz") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("host", "written"), [needs("::1", "[::1]"), needs("::", "[::]"), needs("127.0.0.1", "127.0.0.1")]
)
def test_an_address_is_printed_as_a_browser_takes_it(
    django_db_setup: None, valkey: str, tmp_path: Path, host: str, written: str
) -> None:
    port = free_port()
    process = Process(
        ["manage.py", "serve", "--host", host, "--port", str(port)],
        tmp_path / "output",
        {},
    )
    try:
        found = wait_until(lambda: re.search(r"^listening on (.*)$", process.output, re.MULTILINE), "it to listen")
        assert found
        assert found[1] == f"http://{written}:{port}/"
    finally:
        process.stop(signal.SIGTERM)
