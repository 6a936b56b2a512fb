"""A site below a path of its host, such as `/gold-prices/`, in place of `/`."""

from collections.abc import Awaitable
from typing import Any

from infra.asgi import Application


def below(prefix: str, application: Application) -> Application:
    """An application that gets each path without the prefix, whether a proxy in front has left it there or not."""

    def without_prefix(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        path = scope.get("path", "")
        if path == prefix or path.startswith(f"{prefix}/"):
            scope = {**scope, "path": path.removeprefix(prefix) or "/"}
        return application(scope, receive, send)

    return without_prefix if prefix else application
