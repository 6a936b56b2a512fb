"""The API's rules for requests that are answered before Django: hosts, origins, limits, and the headers of answers.

They are those that Django's middleware and the API's views have for all other requests.
"""

import datetime as dt
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict
from django.http.request import split_domain_port, validate_host

from infra import addresses
from infra.addresses import Network
from infra.asgi import Send
from infra.fixed_window import Count, FixedWindowCounter
from infra.rest.problems import CONTENT_TYPE, problem
from infra.rest.strict import StrictSerializer
from streaming.admission import Gate, Guest
from streaming.auth import End, Identity, RejectedError
from streaming.protocol import Close

Headers: TypeAlias = list[tuple[bytes, bytes]]

# Headers that Django's middleware adds to its answers.
ALWAYS: Final[Headers] = [
    (b"vary", b"Accept-Encoding, origin"),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
NO_STORE: Final = (b"cache-control", b"no-store")
JSON: Final = (b"content-type", b"application/json")
_NO_DATABASE: Final = "Your credential cannot be checked now: the database does not answer. Try again in a few seconds."


class Answer(NamedTuple):
    """An answer to an HTTP request, without the headers that all answers have."""

    status: int
    headers: Headers
    body: bytes = b""


class Rules:
    """The rules of one process: `rate_limit` requests of an address in `rate_window`; 0 is any number.

    `users` counts those of a user, `user_rate_limit` of them, in all processes together. `spread_ms` draws the time,
    in milliseconds, after which a client that finds no room should come back.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[str],
        proxies: Sequence[Network],
        rate_limit: int,
        user_rate_limit: int,
        rate_window: dt.timedelta,
        users: FixedWindowCounter,
        spread_ms: Callable[[], int],
        any_origin: bool,
        origins: Sequence[str],
        exposed: Sequence[str],
    ) -> None:
        self._proxies = proxies
        self._rate_limit = rate_limit
        self._user_rate_limit = user_rate_limit
        # In this process alone: Redis would cost more than an answer from memory does.
        self._counter = FixedWindowCounter(None, "", rate_window)
        self._users = users
        self._spread_ms = spread_ms
        self._any_origin = any_origin
        self._origins = frozenset(origins)
        self._exposed = (b"access-control-expose-headers", ", ".join(exposed).encode())
        self._is_ours = lru_cache(64)(lambda host: validate_host(split_domain_port(host)[0], hosts))

    def is_plain(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
        """Return True for a GET or a HEAD with a Host of ours: any other request is for Django to refuse."""
        return scope["method"] in ("GET", "HEAD") and self._is_ours(headers.get(b"host", b"").decode("latin-1"))

    def too_many(self, scope: Mapping[str, Any]) -> Answer | None:
        """Count a request of an address; the 429 answer if it is one too many."""
        if not self._rate_limit:
            return None
        address = addresses.of_scope(scope, self._proxies)
        count = self._counter.count(addresses.client_key(address) if address else "")
        return _throttled(count, self._rate_limit)

    async def admit(self, gate: Gate, scope: Mapping[str, Any], end: End, *, public: bool = False) -> Guest | Answer:
        """Count a request, of its user if it has one, and admit its client; or the answer that refuses it."""
        try:
            guest = await gate.admit(scope, end, public=public)
        except RejectedError as rejected:
            return self.too_many(scope) or self.refusal(rejected.close, rejected.detail or _NO_DATABASE)
        if throttled := await self._too_many_of(scope, guest.identity):
            guest.leave()
        return throttled or guest

    async def _too_many_of(self, scope: Mapping[str, Any], identity: Identity | None) -> Answer | None:
        if identity is None:
            return self.too_many(scope)
        if not self._user_rate_limit:
            return None
        # The key of the API's other requests.
        return _throttled(await self._users.acount(f"user:{identity.user}"), self._user_rate_limit)

    def refusal(self, close: Close, detail: str) -> Answer:
        """The answer to a client whose WebSocket would be closed so."""
        if close is Close.UNAUTHORIZED:
            return refused(401, detail, (b"www-authenticate", b"Bearer"))
        return refused(503, detail, _retry_after(self._spread_ms() / 1000))

    def for_origin(self, origin: bytes | None) -> Headers:
        """Headers that let a page of another origin read an answer, as django-cors-headers adds them to Django's."""
        if origin is None or not (self._any_origin or origin.decode("latin-1") in self._origins):
            return []
        return [(b"access-control-allow-origin", b"*" if self._any_origin else origin), self._exposed]

    async def send(self, send: Send, scope: Mapping[str, Any], answer: Answer, origin: bytes | None) -> None:
        """Send an answer to a request from a page of this origin, if any; to HEAD without its body."""
        length = [(b"content-length", b"%d" % len(answer.body))] if answer.body else []
        headers = [*answer.headers, *length, *ALWAYS, *self.for_origin(origin)]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


def refused(status: int, detail: str, *headers: tuple[bytes, bytes]) -> Answer:
    """An answer with a problem document."""
    body = json.dumps(problem(status, detail)).encode()
    return Answer(status, [(b"content-type", CONTENT_TYPE.encode()), *headers, NO_STORE], body)


def headers_of(scope: Mapping[str, Any]) -> dict[bytes, bytes]:
    """A request's headers by name; those that come more than once joined by commas.

    A request of HTTP/1.0 may have no Host: then it is the server's address. Django has both so.
    """
    named: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        named[name] = b"%b,%b" % (named[name], value) if name in named else value
    if b"host" not in named and (server := scope.get("server")):
        named[b"host"] = server[0].encode()
    return named


def has_version(if_none_match: bytes | None, etag: bytes) -> bool:
    """Return True if a client has this version already, by weak comparison (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    tag = etag.removeprefix(b"W/")
    return if_none_match.strip() == b"*" or tag in (
        each.strip().removeprefix(b"W/") for each in if_none_match.split(b",")
    )


def accepts_json(headers: Mapping[bytes, bytes]) -> bool:
    """Return True if a client takes JSON, as far as can be told without a look at weights."""
    accept = headers.get(b"accept", b"*/*")
    return b"*/*" in accept or b"application/json" in accept


def parameters(query_string: bytes, serializer: type[StrictSerializer]) -> dict[str, Any] | None:
    """The validated parameters of a query; None if there is a mistake in it."""
    try:
        query = QueryDict(query_string)
    except SuspiciousOperation:  # too many of them
        return None
    given = serializer(data=query.dict())
    is_good = all(len(values) == 1 for _, values in query.lists()) and given.is_valid()
    return dict(given.validated_data) if is_good else None


async def until_gone(receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
    """Wait until the client has gone, or its answer is complete."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _throttled(count: Count, limit: int) -> Answer | None:
    if count.number <= limit:
        return None
    after = _retry_after(count.seconds_left)
    return refused(429, f"Request was throttled. Expected available in {after[1].decode()} seconds.", after)


def _retry_after(seconds: float) -> tuple[bytes, bytes]:
    """Whole seconds, and at least one: none would mean at once."""
    return b"retry-after", str(math.ceil(seconds) or 1).encode()
