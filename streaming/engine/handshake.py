"""The head of an HTTP request, and the WebSocket handshake in it (RFC 9112; RFC 6455, 4.2). Sans-I/O."""

import base64
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from streaming.engine import compression

# Limits on a request's head, which browsers behind several proxies do not come near.
MOST_HEAD_BYTES: Final = 16 * 1024
MOST_HEADERS: Final = 100
_MOST_CACHED_BYTES: Final = 256
# In the scope of each connection and request. (What may be left out of one, such as an empty `root_path`, is.)
ASGI: Final = {"version": "3.0", "spec_version": "2.3"}

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# In this module repetitions are possessive: no input makes them try again.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105  (a grammar, not a password)
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([!-~]++) (HTTP/\d\.\d)".encode())
_HEADER = re.compile(rf"({_TOKEN}):([\t\x20-\x7e\x80-\xff]*+)".encode("latin-1"))
_AUTHORITY = r"(?:\[[0-9A-Fa-f:.]++\]|[!$%&'()*+,\-.;=_~0-9A-Za-z]*+)(?::\d*+)?"
_HOST = re.compile(_AUTHORITY.encode())
_TARGET = re.compile(rf"(?:(?i:http|ws)s?://({_AUTHORITY}))?(/[^?#]*+)?(?:\?([^#]*+))?".encode())
_ORIGIN = re.compile(rf"(?i:null|[a-z][a-z0-9+.\-]*+://{_AUTHORITY}(?:/.*)?)".encode())
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_PARAMETER = rf'[ \t]*+;[ \t]*+{_TOKEN}(?:[ \t]*+=[ \t]*+(?:{_TOKEN}|"{_TOKEN}"))?+'
_EXTENSION = rf"[ \t]*+(?:{_TOKEN}(?:{_PARAMETER})*+[ \t]*+)?+"
_EXTENSIONS = re.compile(rf"{_EXTENSION}(?:,{_EXTENSION})*+".encode())
# As RFC 9110 names them; older Pythons do not.
_TITLES = {413: "Content Too Large", 414: "URI Too Long"}


class RefusedError(Exception):
    """A request is refused; the detail says what to send instead."""

    def __init__(self, status: int, detail: str, *headers: bytes) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self._headers = headers

    @property
    def answer(self) -> bytes:
        """A problem document (RFC 9457), as the API sends them; the connection ends after it."""
        title = _TITLES.get(self.status) or HTTPStatus(self.status).phrase
        problem = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}
        body = json.dumps(problem, separators=(",", ":")).encode()
        lines = (
            f"HTTP/1.1 {self.status} {title}".encode(),
            *self._headers,
            b"Content-Type: application/problem+json",
            b"Content-Length: %d" % len(body),
            b"Connection: close",
        )
        return b"\r\n".join((*lines, b"", body))


class Head(NamedTuple):
    """A request's head; names of headers are in lower case. `length` is that of its bytes, with the empty line."""

    method: bytes
    target: bytes
    version: bytes
    headers: Sequence[tuple[bytes, bytes]]
    length: int

    @property
    def asks_for_websocket(self) -> bool:
        """True for a handshake, by its Upgrade, or by its key where there is none.

        Such a one had an Upgrade until a proxy took it away: an answer as to a plain request would hide that.
        """
        if upgrades := [value for name, value in self.headers if name == b"upgrade"]:
            return b"websocket" in _words(upgrades)
        return any(name == b"sec-websocket-key" for name, _ in self.headers)


class Handshake(NamedTuple):
    """A legal handshake, for the application to accept."""

    key: bytes
    scope: dict[str, Any]  # its part of the application's scope, as ASGI describes it
    extension: str  # the answer to the client's offers; empty without compression
    window_bits: int  # the client's window for compressed messages, as a power of two; 0 without compression


def may_be_handshake(data: bytes) -> bool:
    """Return True if a request that begins so can still be a WebSocket handshake."""
    return b"GET ".startswith(data[:4])


def parse_head(data: bytes) -> Head | None:
    """Parse the head that the data begin with; None while it is incomplete. Raises RefusedError."""
    end = data.find(b"\r\n\r\n", 0, MOST_HEAD_BYTES)
    if end < 0:
        if len(data) < MOST_HEAD_BYTES:
            return None
        if b"\r\n" not in data[:MOST_HEAD_BYTES]:
            raise RefusedError(414, f"Send a request line of less than {MOST_HEAD_BYTES} bytes")
        raise RefusedError(431, f"Send a request line and headers of less than {MOST_HEAD_BYTES} bytes in all")
    first, *lines = data[:end].split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(first)
    if request is None:
        raise RefusedError(400, "Begin with a request line, such as GET / HTTP/1.1")
    method, target, version = request.groups()
    if version not in (b"HTTP/1.0", b"HTTP/1.1"):
        raise RefusedError(505, "Send the request as HTTP/1.1")
    if len(lines) > MOST_HEADERS:
        raise RefusedError(431, f"Send {MOST_HEADERS} headers at most")
    headers = []
    for number, line in enumerate(lines, 1):
        header = _short_header(line) if len(line) <= _MOST_CACHED_BYTES else _header(line)
        if header is None:
            raise RefusedError(400, f"Send header {number} as a line of name: value, without control characters")
        headers.append(header)
    return Head(method, target, version, headers, end + 4)


def _header(line: bytes) -> tuple[bytes, bytes] | None:
    """The name, in lower case, and the value of a header's line; None if it is ill-formed."""
    header = _HEADER.fullmatch(line)
    return (header[1].lower(), header[2].strip(b" \t")) if header else None


# Clients send mostly the same: then they also share the objects, for as long as they are connected.
_short_header = lru_cache(2048)(_header)


def check(version: bytes, hosts: Sequence[bytes], encodings: Sequence[bytes]) -> None:
    """Check any request, by the values of its Host and Transfer-Encoding headers. Raises RefusedError.

    Where two servers read these differently, one sees another request than the other (RFC 9112, 3.2 and 11.2).
    """
    if len(hosts) > 1 or (not hosts and version == b"HTTP/1.1"):
        raise RefusedError(400, "Send one Host header")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise RefusedError(400, "Send the Host header as name or name:port")
    if _words(encodings) not in ([], [b"chunked"]):
        raise RefusedError(400, "Send one Transfer-Encoding: chunked")


def split_target(target: bytes) -> tuple[bytes | None, bytes, bytes]:
    """The host (None where the target is a path), path and query of a request's target. Raises RefusedError."""
    match = _TARGET.fullmatch(target)
    if match is None or (match[1] is None and match[2] is None):
        raise RefusedError(400, "Send a target such as /path?query, without a fragment")
    return match[1], match[2] or b"/", match[3] or b""


def parse_handshake(head: Head) -> Handshake:
    """The handshake in a head that asks for WebSocket, by RFC 6455, 4.2.1. Raises RefusedError."""
    values: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for name, value in head.headers:
        values[name].append(value)
    if head.method != b"GET":
        raise RefusedError(405, "Send a WebSocket handshake as GET", b"Allow: GET")
    _check_hops(head.version, values)
    check(head.version, values[b"host"], values[b"transfer-encoding"])
    if values[b"transfer-encoding"] or any(length != b"0" for length in values[b"content-length"]):
        raise RefusedError(400, "Send a WebSocket handshake without a body")
    host, path, query = split_target(head.target)
    if values[b"sec-websocket-version"] != [b"13"]:
        raise RefusedError(400, "Send one Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 13")
    keys = values[b"sec-websocket-key"]
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise RefusedError(400, "Send one Sec-WebSocket-Key, of 16 bytes in base64")
    origins = values[b"origin"]
    if len(origins) > 1 or not all(map(_ORIGIN.fullmatch, origins)):
        raise RefusedError(400, "Send one Origin at most, such as https://host:port")
    # An application may take an underscore for a hyphen, and so for a proxy's header.
    headers = [header for header in head.headers if b"_" not in header[0]]
    if host is not None:
        headers = [(name, host if name == b"host" else value) for name, value in headers]
    scope = {
        "type": "websocket",
        "asgi": ASGI,
        "path": unquote(path.decode()),
        "raw_path": path,
        "query_string": query,
        "headers": headers,
        "subprotocols": _subprotocols(values[b"sec-websocket-protocol"]),
    }
    return Handshake(keys[0], scope, *_agreement(b",".join(values[b"sec-websocket-extensions"])))


def _check_hops(version: bytes, values: Mapping[bytes, list[bytes]]) -> None:
    """Check what a proxy has to make anew on its way to us (RFC 9110, 7.6.1).

    Raises RefusedError, which names the lines that nginx lacks.
    """
    is_upgrade = b"upgrade" in _words(values[b"connection"])
    hops = (
        (version == b"HTTP/1.1", "as HTTP/1.1", "proxy_http_version 1.1;"),
        (values[b"upgrade"], "with Upgrade: websocket", "proxy_set_header Upgrade $http_upgrade;"),
        (is_upgrade, "with Connection: Upgrade", "proxy_set_header Connection upgrade;"),
    )
    if missing := [hop for hop in hops if not hop[0]]:
        _, ways, lines = zip(*missing, strict=True)
        raise RefusedError(400, f"Send a WebSocket handshake {', '.join(ways)} (nginx: {' '.join(lines)})")


def switching_protocols(
    handshake: Handshake, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]] = ()
) -> bytes:
    """The answer to a handshake, with the subprotocol that the application chose, and headers of its own."""
    digest = base64.b64encode(hashlib.sha1(handshake.key + _GUID).digest())  # noqa: S324  (RFC 6455 wants this one)
    answer = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n" % digest
    )
    if subprotocol is not None:
        answer += b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode()
    if handshake.extension:
        answer += b"Sec-WebSocket-Extensions: %b\r\n" % handshake.extension.encode()
    return answer + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n"


def _words(values: Sequence[bytes]) -> list[bytes]:
    """The elements of a header that is a list, in lower case."""
    return [word for part in b",".join(values).lower().split(b",") if (word := part.strip(b" \t"))]


def _subprotocols(values: Sequence[bytes]) -> list[str]:
    if not values:
        return []
    offered = [part.strip(" \t") for part in b",".join(values).decode("latin-1").split(",")]
    if len(set(offered)) < len(offered) or not all(re.fullmatch(_TOKEN, name) for name in offered):
        raise RefusedError(400, "Send Sec-WebSocket-Protocol as a list of different names")
    return offered


@lru_cache(maxsize=64)
def _agreement(offers: bytes) -> tuple[str, int]:
    """The answer to a client's offers of extensions (RFC 6455, 9.1), and its window: see `compression.agreement`."""
    if not _EXTENSIONS.fullmatch(offers):
        raise RefusedError(400, "Send Sec-WebSocket-Extensions as a list of names with parameters")
    return compression.agreement(offers.decode())
