"""Requests to the ASGI applications that answer before Django, and the rules that these have."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any

from infra.asgi import Application
from infra.fixed_window import FixedWindowCounter
from streaming.http_rules import Rules
from streaming.hub import Hub

HOST = "shop.example"


def rules_of(hub: Hub) -> Rules:
    """Rules without limits of rates and origins."""
    minute = dt.timedelta(minutes=1)
    return Rules(
        hosts=[HOST],
        proxies=[],
        rate_limit=0,
        user_rate_limit=0,
        rate_window=minute,
        users=FixedWindowCounter(None, "", minute),
        spread_ms=hub.spread_ms,
        any_origin=False,
        origins=[],
        exposed=[],
    )


async def not_for_django(scope: Any, receive: Any, send: Any) -> None:
    """The next application, which no request is to reach."""
    raise AssertionError(f"{scope['path']}?{scope['query_string']!r} went on to Django")


class AsgiRequest:
    """A GET that is on its way. `gone` is set when the client leaves."""

    def __init__(self, application: Application, path: str, query: str, headers: Mapping[str, str]) -> None:
        self.gone = asyncio.Event()
        self.sent: list[Any] = []
        self._is_received = False
        named = [(name.lower().replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"host", HOST.encode()), *named],
            "client": ["127.0.0.1", 5],
        }
        self.task = asyncio.ensure_future(application(scope, self.receive, self.send))

    async def receive(self) -> Any:
        if not self._is_received:
            self._is_received = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.gone.set()

    @property
    def body(self) -> bytes:
        """The body so far."""
        return b"".join(message["body"] for message in self.sent[1:])

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """Status, headers and body, once the answer is complete."""
        async with asyncio.timeout(8):
            await self.task
        start = self.sent[0]
        return start["status"], dict(start["headers"]), self.body
