"""Types of ASGI, for code that an application is given to or made of."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

# An event or a message, whose "type" says which other keys it has.
Message: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
# Called with a scope, `receive` and `send`, which each server and framework types in its own way.
Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
