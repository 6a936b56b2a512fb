"""What is answered to HTTP on a descriptor that was kept back: health, and else when to come again."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from streaming.crowd import CROWDED
from streaming.metrics import Refusal
from swarna.problems import CONTENT_TYPE, problem

Application = Callable[[Any, Any, Any], Awaitable[None]]

# Whoever watches over this process is to see what is wrong with it.
_ANSWERED: Final = ("/healthz", "/readyz", "/metrics")
_COME_AGAIN_IN: Final = 5  # seconds
_BODY: Final = json.dumps(problem(503, "This process has no room for another connection. Try again later.")).encode()
_HEADERS: Final = [
    (b"content-type", CONTENT_TYPE.encode()),
    (b"content-length", str(len(_BODY)).encode()),
    (b"retry-after", str(_COME_AGAIN_IN).encode()),
    (b"cache-control", b"no-store"),
]


def unless_crowded(http: Application, refused: Callable[[Refusal], object]) -> Application:
    """`http`, but for requests that the server cannot keep a descriptor for: streaming/crowd.py."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if CROWDED not in scope.get("extensions", ()) or scope["path"] in _ANSWERED:
            await http(scope, receive, send)
            return
        refused(Refusal.DESCRIPTORS)
        await send({"type": "http.response.start", "status": 503, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else _BODY})

    return application
