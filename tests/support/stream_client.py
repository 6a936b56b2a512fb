"""Messages between tests and the stream, by a plain `websockets` client, or by a raw one."""

import json
import time
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.support.raw_websocket import CLOSE, Peer


def receive(client: ClientConnection, kind: str | None = None, timeout: float = 10) -> dict[str, Any]:
    """The next message, or the next one of a kind. Raises TimeoutError if none comes in so many seconds."""
    while True:
        message: dict[str, Any] = json.loads(client.recv(timeout=timeout))
        if kind in (None, message["type"]):
            return message


def exchange(client: ClientConnection, **message: Any) -> dict[str, Any]:
    """Send a message and return its answer."""
    client.send(json.dumps({**message, "id": "asked"}))
    while True:
        answer = receive(client)
        if answer.get("id") == "asked":
            return answer


def rejection(client: ClientConnection) -> dict[str, Any]:
    """The error with which the server announces a close with 1008, and nothing but the close comes after it."""
    error = receive(client, "error")
    try:
        client.recv(timeout=10)
    except ConnectionClosed as closed:
        assert closed.rcvd is None or closed.rcvd.code in (1008, 1000)  # stock Daphne sends no 1008
        return error
    raise AssertionError("a message came after the last one")


def end_of(client: ClientConnection) -> tuple[int, str]:
    """Code and reason with which the server closes, within twenty seconds."""
    until = time.monotonic() + 20
    try:
        while True:
            client.recv(timeout=max(until - time.monotonic(), 0))
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "no close frame")


def close_of(peer: Peer) -> tuple[int, str]:
    """The code and the reason with which a connection is closed after an error; 0 where it is served."""
    peer.open()
    code = ""
    while (got := peer.receive()).opcode != CLOSE:
        message = json.loads(got.payload)
        if message["type"] == "priceUpdate":
            return 0, ""
        code = message["code"]
    assert code == "at_capacity"
    return int.from_bytes(got.payload[:2], "big"), got.payload[2:].decode()
