"""A real nginx in front of a web process, as fixtures: unprivileged, in a folder of its own.

Its configurations are made of the one in docs/operations.md, so that this stays true.
"""

import contextlib
import http.client
import itertools
import os
import re
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from websockets.sync.client import ClientConnection, connect

from tests.support.environment import STATE_DIR
from tests.support.event_source import EventClient
from tests.support.product import ROOT, Process, free_port, wait_until

_PAGE = (ROOT / "docs/operations.md").read_text().split("\n## Behind a proxy\n")[1].split("\n## ")[0]
# The configuration, and the part that keeps connections to a web process.
DOCUMENTED: str
UPSTREAM: str
DOCUMENTED, UPSTREAM = re.findall(r"^```nginx\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)
# Its lines without which nginx passes on no WebSocket.
FOR_WEBSOCKET: tuple[str, ...] = tuple(
    re.findall(r"^ +(proxy_http_version .*;|proxy_set_header (?:Upgrade|Connection) .*;)$", DOCUMENTED, re.MULTILINE)
)
# What Debian's configuration has around it, as far as it matters; paths are relative to the folder.
_AROUND = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events { worker_connections 768; }
http {
    access_log off;
    gzip on;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    %s
}
"""
_numbers = itertools.count()


def kept(configuration: str) -> str:
    """The configuration with connections to the web process that are kept."""
    return UPSTREAM + configuration.replace("proxy_pass http://127.0.0.1:3001;", "proxy_pass http://swarna;")


def without(*lines: str) -> str:
    """The documented configuration without these lines."""
    configuration = DOCUMENTED
    for line in lines:
        configuration = configuration.replace(line, "")
    return configuration


def with_lines(configuration: str, lines: str) -> str:
    """The configuration with lines added to its location."""
    return configuration.replace("location / {", "location / { " + lines)


class Answer(NamedTuple):
    """A whole answer to a request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Nginx:
    """One nginx, which passes on to a port of this machine, and requests to it."""

    def __init__(self, program: str, configuration: str, target: int, folder: Path) -> None:
        self.port = free_port()
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        self.tls = ssl.create_default_context()
        authority.configure_trust(self.tls)
        folder.mkdir()
        certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        for documented, here in (
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("/etc/ssl/prices.example.pem", f"{folder}/certificate.pem"),
            ("/etc/ssl/private/prices.example.pem", f"{folder}/key.pem"),
            ("127.0.0.1:3001", f"127.0.0.1:{target}"),
        ):
            assert configuration.count(documented) == 1, documented
            configuration = configuration.replace(documented, here)
        (folder / "nginx.conf").write_text(_AROUND % configuration)
        arguments = ["-p", str(folder), "-c", "nginx.conf"]
        self.process = Process(arguments, folder / "log", {}, program)
        wait_until(self._listens, "nginx to listen")

    def _listens(self) -> bool:
        assert self.process.popen.poll() is None, self.process.output
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def get(self, path: str, **headers: str) -> Answer:
        with contextlib.closing(self._connection()) as connection:
            connection.request("GET", path, headers=_named(headers))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def websocket(self, path: str = "/", **headers: str) -> ClientConnection:
        """Open a WebSocket. Raises InvalidStatus if it is refused."""
        return connect(f"wss://127.0.0.1:{self.port}{path}", ssl=self.tls, additional_headers=_named(headers))

    def events(self, **headers: str) -> EventClient:
        return EventClient(self._connection(), **headers)

    def _connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.tls)


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture(scope="module")
def run_nginx() -> Iterator[Callable[[str, int], Nginx]]:
    """Start nginx with a configuration before a port; without it tests are skipped, or fail with REQUIRE_NGINX=1."""
    # Debian has it where only root looks for programs.
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        give_up = pytest.fail if os.environ.get("REQUIRE_NGINX") == "1" else pytest.skip
        give_up("no nginx: install it; it need not run as a service")
    started: list[Nginx] = []

    def start(configuration: str, target: int) -> Nginx:
        started.append(Nginx(program, configuration, target, STATE_DIR / f"nginx-{next(_numbers)}"))
        return started[-1]

    yield start
    for nginx in started:
        nginx.process.stop()
