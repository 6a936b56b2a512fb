"""GET prices/ and prices/<metal>/ from this process's memory, before Django: encoded once a publication, not a request.

A request that is not plain goes on to Django, whose answer would be the same: one with a token, which has to be looked
up; one with a mistake in it; and any, until the database has been read. Cookies are not read, for the answer does not
depend on the user. Requests are counted by address, in this process alone: Redis would cost more than the answer does.
"""

import gzip
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from infra.asgi import Application
from infra.rest.caching import takes_gzip
from infra.rest.renderers import NumberRenderer
from prices.api import answers
from prices.domain.fineness import PURITIES_OF
from prices.domain.quotes import METAL_NAMES, Metal
from prices.domain.units import PURITIES, UNITS
from streaming.http_rules import JSON, Answer, Rules, accepts_json, has_version, headers_of
from streaming.hub import Hub

PATH: Final = "/api/v1/prices/"
# The key in the scope of a function that returns the problem of this process's feed, for people, or None.
PROBLEM: Final = "swarna.problem"
# All possible requests: each metal and all of them, in each unit and purity.
_MOST_KEPT: Final = (len(Metal) + 1) * len(UNITS) * len(PURITIES)
# A cache has to ask for each use whether its copy is still right.
_CACHED: Final = (b"cache-control", b"no-cache")


class _Query(NamedTuple):
    metal: str | None  # None: all
    unit: str
    purity: str


class _Body(NamedTuple):
    etag: bytes
    plain: bytes
    small: bytes


class CurrentPrices:
    """The ASGI application `http`, with plain requests for current prices answered before they reach it."""

    def __init__(self, http: Application, hub: Hub, rules: Rules) -> None:
        self._http = http
        self._hub = hub
        self._rules = rules
        self._bodies: dict[_Query, _Body | None] = {}
        self._shown = 0  # the log's version

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        for_django = {**scope, answers.SNAPSHOT: self._hub.feed.snapshot, PROBLEM: self._hub.feed.problem}
        if not scope["path"].startswith(PATH):
            await self._http(for_django, receive, send)
            return
        self._hub.start()
        headers = headers_of(scope)
        body = self._body(scope) if self._is_plain(scope, headers) else None
        if body is None:
            await self._http(for_django, receive, send)
            return
        answer = self._rules.too_many(scope) or self._answer(body, headers)
        await self._rules.send(send, scope, answer, headers.get(b"origin"))

    def _is_plain(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
        return self._rules.is_plain(scope, headers) and accepts_json(headers) and b"authorization" not in headers

    def _body(self, scope: Mapping[str, Any]) -> _Body | None:
        """The answer's body, from memory; None if it is not there."""
        query = _parse_query(scope["path"], scope["query_string"])
        if query is None:
            return None
        if self._shown != (version := self._hub.log.version):
            self._shown = version
            self._bodies.clear()
        if query not in self._bodies:
            if len(self._bodies) >= _MOST_KEPT:
                self._bodies.clear()
            self._bodies[query] = self._encoded(query)
        return self._bodies[query]

    def _encoded(self, query: _Query) -> _Body | None:
        snapshot = self._hub.feed.snapshot()
        if snapshot is None:
            return None
        per = {"unit": query.unit, "purity": query.purity}
        now = self._hub.now()
        if query.metal is None:
            content: Mapping[str, Any] | None = answers.prices(snapshot, per, now)
        else:
            content = answers.price(snapshot, query.metal, per, now)
        if content is None:
            return None
        plain = NumberRenderer().render(content)
        etag = b'"%s"' % hashlib.sha256(plain).hexdigest()[:32].encode()
        return _Body(etag, plain, gzip.compress(plain, compresslevel=6, mtime=0))

    def _answer(self, body: _Body, headers: Mapping[bytes, bytes]) -> Answer:
        if has_version(headers.get(b"if-none-match"), body.etag):
            return Answer(304, [(b"etag", body.etag), _CACHED])
        content, etag, kind = body.plain, body.etag, [JSON]
        if takes_gzip(headers.get(b"accept-encoding", b"").decode("latin-1")):
            content, etag = body.small, b"W/" + etag
            kind.append((b"content-encoding", b"gzip"))
        return Answer(200, [*kind, (b"etag", etag), _CACHED], content)


@lru_cache(1024)
def _parse_query(path: str, query_string: bytes) -> _Query | None:
    """The request in a path and a query; None if they have a mistake, which Django will name."""
    name = path[len(PATH) :].removesuffix("/") or None
    if not path.endswith("/") or (name is not None and name not in METAL_NAMES):
        return None
    metal = METAL_NAMES[name] if name else None
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    query = {"unit": "gram", "purity": "24k", "format": "json"} | dict(pairs)
    if len(dict(pairs)) < len(pairs) or len(query) > 3 or query["format"] != "json":
        return None
    if query["unit"] not in UNITS or query["purity"] not in (PURITIES_OF[metal] if metal else PURITIES):
        return None
    return _Query(metal, query["unit"], query["purity"])
