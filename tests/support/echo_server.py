"""A process for the tests of streaming/engine/: the engine with an application that knows nothing of prices.

Its argument is a JSON object of `port`, `timeout` and `standstill` (both in seconds), and `files`: how many it may
open; 0 is as many as there are; and `nested`: whether sockets are in a set of the kernel's own.
"""

import asyncio
import contextlib
import gc
import json
import logging
import os
import random
import resource
import socket
import string
import sys
import time
from collections import deque
from functools import partial
from typing import Any

MAX_MESSAGE_BYTES = 16 * 1024
MAX_BODY_BYTES = 1_000_000
COMPRESSION_THRESHOLD = 1024
# What the application does wrong on purpose; any other traceback in the log is the server's.
DELIBERATE = "DeliberateError: as the test wanted"

logger = logging.getLogger(__name__)

# The last messages that the application was given.
heard: deque[str] = deque(maxlen=1000)
# By how many seconds the wall clock of this process has been put forward; negative: back.
stepped = 0.0


def varied(length: int) -> str:
    """Text that compresses, with repetitions near and as far apart as a window can be."""
    chance = random.Random(length)
    words = ["".join(chance.choices(string.ascii_letters, k=8)) for _ in range(2000)]
    return " ".join(chance.choice(words) for _ in range(length // 9 + 1))[:length]


class DeliberateError(Exception):
    """A defect of the application's."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Echo text and bytes; the path asks for something else first."""
    if scope["type"] != "websocket":
        if scope["path"] == "/nothing":
            return
        if scope["path"] == "/raise":
            raise DeliberateError("as the test wanted")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        if scope["path"].startswith("/half"):
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            if scope["path"] == "/half-and-raise":
                raise DeliberateError("as the test wanted")
            return
        await send({"type": "http.response.body", "body": b"This speaks WebSocket."})
        return
    await receive()
    match scope["path"].strip("/").split("/"):
        case ["reject"]:
            await send({"type": "websocket.close"})
        case ["raise"]:
            raise DeliberateError("as the test wanted")
        case ["never"]:
            await receive()
        case ["first"]:
            await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
            await echo(receive, send)
        case ["headers"]:
            await send({"type": "websocket.accept", "headers": [(b"x-asgi", scope["asgi"]["version"].encode())]})
            await echo(receive, send)
        case ["unoffered"]:
            await send({"type": "websocket.accept", "subprotocol": "unoffered"})
            await echo(receive, send)
        case path:
            await send({"type": "websocket.accept"})
            await accepted(path, receive, send)


async def accepted(path: list[str], receive: Any, send: Any) -> None:
    """Run an accepted connection, as its path says."""
    match path:
        case ["raise-later"]:
            raise DeliberateError("as the test wanted")
        case ["close", code]:
            await send({"type": "websocket.close", "code": int(code)})
        case ["close", code, reason]:
            await send({"type": "websocket.close", "code": int(code), "reason": reason})
        case ["close-when-told", code]:
            await receive()
            await send({"type": "websocket.close", "code": int(code)})
            with contextlib.suppress(Exception):  # an application that goes on may be told so in any way
                await echo(receive, send)
        case ["send", length]:
            await send({"type": "websocket.send", "text": varied(int(length))})
            await echo(receive, send)
        case ["send-bytes", length]:
            await send({"type": "websocket.send", "bytes": varied(int(length)).encode()})
            await echo(receive, send)
        case ["enough"]:
            await receive()
            await send({"type": "websocket.close", "code": 4000})
        case ["burst", number]:
            text = varied(1000)
            for count in range(int(number)):
                heard.append(f"sent {count}")
                await send({"type": "websocket.send", "text": text})
            await echo(receive, send)
        case ["flood"]:
            while True:
                await send({"type": "websocket.send", "text": varied(10_000)})
                await asyncio.sleep(0.001)
        case ["garbage"]:
            gc.disable()  # what it would find from now on is for the next time that this is asked
            await send({"type": "websocket.send", "text": str(gc.collect())})
            await echo(receive, send)
        case ["step", seconds]:
            global stepped
            stepped = float(seconds)
            await send({"type": "websocket.send", "text": str(time.time())})
            await echo(receive, send)
        case ["files"]:
            taken = []
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            await send({"type": "websocket.send", "text": str(len(taken))})
            await receive()
            for descriptor in taken:
                os.close(descriptor)
            await echo(receive, send)
        case ["stand"]:
            await receive()
            time.sleep(60)
        case ["busy"]:
            while len(heard) < 2 or heard[-1] != "go on":  # which another connection says
                await asyncio.sleep(0.01)
            await echo(receive, send)
        case ["heard"]:
            await send({"type": "websocket.send", "text": json.dumps(list(heard))})
            await echo(receive, send)
        case _:
            await echo(receive, send)


async def echo(receive: Any, send: Any) -> None:
    """Send back each message, until the client is gone."""
    while (message := await receive())["type"] != "websocket.disconnect":
        heard.append(message.get("text") or repr(message.get("bytes"))[:100])
        if message.get("text") is not None:
            await send({"type": "websocket.send", "text": message["text"]})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def watched(scope: Any, receive: Any, send: Any) -> None:
    """Tell at once what a server raises where it should not; Daphne tells of it a second later, amid another test.

    A send to a client that is gone may raise OSError, says ASGI, and nothing else.
    """
    try:
        await application(scope, receive, send)
    except OSError as error:
        logger.info("the client was gone: %r", error)
    except DeliberateError:
        raise
    except Exception:
        logger.exception("the server raised what ASGI does not know")


def main() -> None:
    order = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO)
    if order["files"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (order["files"], order["files"]))
    # Before anything is imported that keeps the function.
    true_time = time.time
    time.time = lambda: true_time() + stepped

    # Not by the tests that import this module: it takes a while.
    from streaming.engine import server
    from streaming.engine.polling import polling
    from streaming.engine.tcp import Limits

    listener = socket.create_server(("127.0.0.1", order["port"]))
    server.serve(
        watched,
        listener=listener,
        limits=Limits(
            max_message_bytes=MAX_MESSAGE_BYTES,
            max_body_bytes=MAX_BODY_BYTES,
            compression_threshold=COMPRESSION_THRESHOLD,
            timeout=order["timeout"],
            drain=1,
            standstill=order["standstill"],
        ),
        prepare=lambda: asyncio.sleep(0),
        ready=lambda: print("ready", flush=True),
        refused=lambda why: logger.info("refused: %s", why),
        polling=partial(polling, nested=order["nested"]),
    )


if __name__ == "__main__":
    main()
