"""The rate at which a server answers requests, on a few connections that are kept alive."""

import contextlib
import re
import selectors
import socket
import time
from typing import Final

_CONNECTIONS: Final = 16
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


def rate(port: int, path: str, *, seconds: float, status: int = 200, **headers: str) -> float:
    """Answers a second. Raises RuntimeError for one of another status."""
    request = _request(path, **headers)
    expected = f"HTTP/1.1 {status} ".encode()
    buffers: dict[socket.socket, bytes] = {}
    answers = 0
    with contextlib.ExitStack() as opened:
        selector = opened.enter_context(selectors.DefaultSelector())
        for _ in range(_CONNECTIONS):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            selector.register(connection, selectors.EVENT_READ, connection)
            buffers[connection] = b""
            connection.sendall(request)
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            for key, _ in selector.select(1):
                connection = key.data
                buffers[connection] += connection.recv(65536)
                if not _is_whole(buffers[connection], bodiless=status == 304):
                    continue
                if not buffers[connection].startswith(expected):
                    raise RuntimeError(f"{path} answers {buffers[connection][:80]!r}")
                buffers[connection] = b""
                answers += 1
                connection.sendall(request)
        return answers / (time.monotonic() - began)


def header(port: int, path: str, name: str, **headers: str) -> str:
    """The value of a header of an answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(_request(path, Connection="close", **headers))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    found = re.search(rf"(?i)\r\n{name}: *([^\r]*)".encode(), answer)
    if found is None:
        raise RuntimeError(f"{path} has no {name}: {answer[:80]!r}")
    return found[1].decode()


def _request(path: str, **headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _is_whole(answer: bytes, *, bodiless: bool) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if bodiless:
        return True
    length = _LENGTH.search(head)
    return length is not None and len(body) >= int(length[1])
