"""HTTP on a reserved file descriptor: health and metrics are answered, all else is 503."""

import json
from collections.abc import Callable
from typing import Any, Final

from infra.asgi import Application
from infra.hosts import HEALTH
from infra.rest.problems import CONTENT_TYPE, problem
from streaming.engine.descriptors import OUT_OF_DESCRIPTORS
from streaming.engine.reasons import RejectReason

_ANSWERED: Final = (*HEALTH, "/metrics")
_RETRY_AFTER: Final = 5  # seconds
_BODY: Final = json.dumps(problem(503, "This process has no room for another connection. Try again later.")).encode()
_HEADERS: Final = [
    (b"content-type", CONTENT_TYPE.encode()),
    (b"content-length", str(len(_BODY)).encode()),
    (b"retry-after", str(_RETRY_AFTER).encode()),
    (b"cache-control", b"no-store"),
]


def unless_out_of_descriptors(http: Application, refused: Callable[[RejectReason], object]) -> Application:
    """`http`, except on reserved descriptors; calls `refused` for each request that is turned away."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if OUT_OF_DESCRIPTORS not in scope.get("extensions", ()) or scope["path"] in _ANSWERED:
            await http(scope, receive, send)
            return
        refused(RejectReason.DESCRIPTORS)
        await send({"type": "http.response.start", "status": 503, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else _BODY})

    return application
