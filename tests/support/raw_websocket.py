"""A WebSocket client of the tests' own, written from RFC 6455: it can send what no library would.

It reads strictly: `Peer.read` fails the test where a server breaks the framing's rules.
"""

import base64
import contextlib
import hashlib
import os
import select
import socket
import struct
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, NamedTuple, Self

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1, RSV2, RSV3 = 4, 2, 1
KEY = base64.b64encode(bytes(range(16))).decode()

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# No answer takes so long; what is expected to take its time says so.
_TIMEOUT = 5.0


def accept_of(key: str) -> str:
    """The Sec-WebSocket-Accept that belongs to a key (4.2.2)."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """A client's frame (5.2). `length` lies about the payload's; `length_bytes` is 0, 2 or 8, by default the fewest."""
    length = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if length <= 125 else 2 if length <= 0xFFFF else 8
    short = {0: length, 2: 126, 8: 127}[length_bytes]
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | short])
    head += length.to_bytes(length_bytes, "big") if length_bytes else b""
    if not masked:
        return head + payload
    mask = os.urandom(4)
    key = int.from_bytes((mask * (len(payload) // 4 + 1))[: len(payload)], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")


def close_frame(code: int | None = None, reason: bytes = b"") -> bytes:
    """A client's close frame; empty without a code (5.5.1)."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def request(
    *, path: str = "/", method: str = "GET", version: str = "HTTP/1.1", without: str = "", **headers: str | list[str]
) -> bytes:
    """An opening handshake (4.1). Headers are named with underscores; a list is several lines."""
    lines: dict[str, str | list[str]] = {
        "host": "127.0.0.1",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
    lines.pop(without.lower(), None)
    lines |= {name.lower().replace("_", "-"): value for name, value in headers.items()}
    text = f"{method} {path} {version}\r\n"
    for name, value in lines.items():
        for one in [value] if isinstance(value, str) else value:
            text += f"{name}: {one}\r\n"
    return (text + "\r\n").encode("latin-1")


def plain_request(*, path: str = "/", method: str = "GET", **headers: str | list[str]) -> bytes:
    """A request that asks for no WebSocket, with headers as for `request`."""
    plain: dict[str, Any] = {"upgrade": [], "connection": [], "sec_websocket_key": [], "sec_websocket_version": []}
    return request(path=path, method=method, **(plain | headers))


class Response(NamedTuple):
    """An answer to an opening handshake."""

    status: int
    headers: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """The values of a header, one for each line of it."""
        return [value for key, value in self.headers if key == name.lower()]

    def one(self, name: str) -> str | None:
        """The value of a header that must not come twice."""
        values = self.all(name)
        assert len(values) <= 1, (name, values)
        return values[0] if values else None


class Frame(NamedTuple):
    """A server's frame, as it came."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0


class CloseReason(NamedTuple):
    """How a server ended a connection. `code` is None where its close frame had none, and -1 where there was none."""

    code: int | None
    reason: str
    before: list[Frame]  # what came before the close frame, without pings
    orderly: bool  # whether the server closed TCP, and did not reset it


class EndedError(Exception):
    """The server closed TCP; `orderly` is False where it reset it."""

    def __init__(self, orderly: bool) -> None:
        super().__init__("closed" if orderly else "reset")
        self.orderly = orderly


class Peer:
    """A client's TCP connection."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(_TIMEOUT)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def shake(self, data: bytes) -> Response:
        """Send an opening handshake, or a malformed one, and read its answer."""
        self.send(data)
        return self.response()

    def open(self, path: str = "/", **headers: str | list[str]) -> Response:
        """Open a WebSocket; its answer."""
        answer = self.shake(request(path=path, **headers))  # type: ignore[arg-type]  # `**` may hold any keyword
        assert answer.status == 101, answer
        return answer

    def send(self, *data: bytes) -> None:
        """Send bytes in one write. An error is ignored, so that the server's earlier messages can be read."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(b"".join(data))

    def send_for(self, seconds: float, data: bytes) -> None:
        """Send this again and again, for as long; a server that takes no more is no matter."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(ConnectionError, TimeoutError):
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                self._socket.sendall(data)
        self._socket.settimeout(_TIMEOUT)

    @property
    def name(self) -> str:
        """Its own end of the connection, as the server sees it."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def close(self) -> None:
        """Close TCP without a word."""
        self._socket.close()

    def reset(self) -> None:
        """End TCP by a reset, as a machine does that knows nothing of the connection."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def finish(self) -> None:
        """End the sending side of TCP."""
        self._socket.shutdown(socket.SHUT_WR)

    def response(self) -> Response:
        """The next HTTP response; its body is not read. Raises EndedError."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.split(":", 1) for line in lines]
        return Response(int(first.split(" ")[1]), [(name.strip().lower(), value.strip()) for name, value in pairs])

    def read(self) -> Frame:
        """The next frame, which must be as a server's are to be. Raises EndedError."""
        first, second = self.take(2)
        fin, rsv, opcode, short = bool(first >> 7), first >> 4 & 7, first & 15, second & 127
        assert not second >> 7, "5.1: a server MUST NOT mask its frames"
        length = short
        if short == 126:
            length = int.from_bytes(self.take(2), "big")
            assert length > 125, "5.2: the minimal number of bytes MUST be used for the length"
        elif short == 127:
            length = int.from_bytes(self.take(8), "big")
            assert 0xFFFF < length < 1 << 63, "5.2: the minimal number of bytes MUST be used for the length"
        if opcode >= 8:
            assert fin, "5.5: control frames MUST NOT be fragmented"
            assert length <= 125, "5.5: control frames MUST have a payload of 125 bytes or less"
            assert rsv == 0, "5.2 and RFC 7692, 6: the reserved bits of a control frame MUST be 0"
        assert opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), f"5.2: reserved opcode {opcode}"
        return Frame(opcode, self.take(length), fin, rsv)

    def receive(self) -> Frame:
        """The next frame that is not a ping; pings are answered."""
        while (got := self.read()).opcode == PING:
            self.send(frame(PONG, got.payload))
        return got

    def echo(self, *data: bytes) -> Frame:
        """Send, and receive one frame."""
        self.send(*data)
        return self.receive()

    def end(self, *data: bytes, reply: bool = True) -> CloseReason:
        """Send, and read to the end of TCP. A close frame is answered, and nothing may come after it (5.5.1)."""
        self.send(*data)
        frames: list[Frame] = []
        try:
            while True:
                frames.append(self.receive())
                if frames[-1].opcode == CLOSE and reply:
                    self.send(frame(CLOSE, frames[-1].payload[:2]))
        except EndedError as ended:
            orderly = ended.orderly
        closes = [number for number, got in enumerate(frames) if got.opcode == CLOSE]
        if not closes:
            return CloseReason(-1, "", frames, orderly)
        assert closes[0] == len(frames) - 1, f"5.5.1: nothing MUST be sent after a close frame: {frames}"
        body = frames.pop().payload
        assert len(body) != 1, "5.5.1: a body of a close frame MUST begin with a code of two bytes"
        code = int.from_bytes(body[:2], "big") if body else None
        return CloseReason(code, body[2:].decode(), frames, orderly)

    def ends_within(self, seconds: float) -> bool:
        """Return True if TCP ends within this time, whatever comes before; a hanging peer sends nothing meanwhile."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                if not self._socket.recv(65536):
                    return True
            except TimeoutError:
                return False
            except ConnectionError:
                return True
        return False

    def is_reset_within(self, seconds: float) -> bool:
        """Return True if the server resets TCP within this time, while nothing is read."""
        poll = select.poll()
        poll.register(self._socket, 0)  # errors are told of without being asked for
        return bool(poll.poll(seconds * 1000))

    def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def sip(self, most: int) -> None:
        """Take a few of the bytes that have come, to be read later. Raises EndedError."""
        self._more(most)

    def _more(self, most: int = 65536) -> None:
        try:
            received = self._socket.recv(most)
        except ConnectionError:
            raise EndedError(orderly=False) from None
        if not received:
            raise EndedError(orderly=True)
        self._buffer += received


def fragments(opcode: int, parts: Iterable[bytes], *, rsv: int = 0) -> bytes:
    """A message in as many frames as there are parts (5.4); `rsv` goes with the first."""
    *firsts, last = parts
    sent = b""
    for part in firsts:
        sent += frame(opcode, part, fin=False, rsv=rsv)
        opcode, rsv = CONTINUATION, 0
    return sent + frame(opcode, last, rsv=rsv)
