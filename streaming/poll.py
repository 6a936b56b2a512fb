"""GET prices/?wait=…, a waiting poll: answered as soon as there is news since the client's position, before Django.

A waiting client is a connection of the hub, whose sink is written to at most once. One answer is made for all that wait
for the same. A request that is not plain goes on to Django, which refuses it.
"""

import asyncio
import hashlib
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from infra.asgi import Application
from infra.rest.renderers import NumberRenderer
from prices.api.serializers import PricesQuerySerializer
from streaming.admission import FULL, Gate
from streaming.connection import Connection
from streaming.engine.frames import Frame
from streaming.engine.reasons import CloseReason
from streaming.engine.sinks import Listener
from streaming.http_rules import (
    JSON,
    NO_STORE,
    Answer,
    Rules,
    accepts_json,
    has_version,
    headers_of,
    parameters,
    until_gone,
)
from streaming.hub import Hub
from streaming.metrics import Transport
from streaming.protocol import EVERY_METAL, Close
from streaming.publication_log import PublicationLog
from streaming.rest import PATH

_RESTART: Final = "This process is about to end. Send the same again after the time in Retry-After."


class _Wish(NamedTuple):
    """The wishes of a poll, and how long it waits; without `since` it has no position."""

    seconds: int
    metals: frozenset[str]
    since: int | None
    epoch: str | None
    candles: frozenset[str]


class WaitingPoll:
    """The ASGI application `http`, with plain waiting polls answered before they reach it."""

    def __init__(self, http: Application, hub: Hub, gate: Gate, rules: Rules) -> None:
        self._http = http
        self._hub = hub
        self._gate = gate
        self._rules = rules
        self._answers = PollAnswers(hub.log)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = headers_of(scope) if scope["path"] == PATH and b"wait=" in scope["query_string"] else {}
        wish = self._wish(scope, headers) if headers else None
        if wish is None:
            await self._http(scope, receive, send)
            return
        poll = _Poll(self._hub, self._answers, self._rules)
        admitted = await self._rules.admit(self._gate, scope, poll.end, public=True)
        if isinstance(admitted, Answer):
            answer: Answer | None = admitted
        else:
            try:
                answer = await poll.answer(wish, headers.get(b"if-none-match"), receive)
            finally:
                poll.leave()
                admitted.leave()
        if answer is not None:
            await self._rules.send(send, scope, answer, headers.get(b"origin"))

    def _wish(self, scope: Any, headers: dict[bytes, bytes]) -> _Wish | None:
        """The wish of a request; None for one that Django is to refuse."""
        is_plain = self._rules.is_plain(scope, headers) and accepts_json(headers)
        return _parse_query(scope["query_string"]) if is_plain else None


class PollAnswers:
    """The answers of one process: each is made once, for all that wait for the same."""

    def __init__(self, log: PublicationLog) -> None:
        self._log = log
        self._shown = -1  # the log's version
        self._etags: dict[frozenset[str], bytes] = {}
        self._answers: dict[Frame, Answer] = {}

    def etag(self, metals: frozenset[str]) -> bytes:
        """The version of these metals' state: their prices, which of them are stale, and the status.

        It is the same in all processes that know the same, and whatever other metals do.
        """
        self._begin_version()
        if metals not in self._etags:
            log = self._log
            state = [(name, quoted.data, name in log.stale) for name, quoted in log.latest.items() if name in metals]
            status = {} if log.status is None else msgspec.json.decode(log.status.payload) | {"timestamp": None}
            digest = hashlib.sha256(NumberRenderer().render([state, status])).hexdigest()[:32]
            self._etags[metals] = b'W/"%b"' % digest.encode()
        return self._etags[metals]

    def answer(self, news: Frame, connection: Connection) -> Answer | None:
        """The answer to a client that is to be sent `news`, an update or the status; None while no price is known."""
        self._begin_version()
        log, metals = self._log, connection.metals
        if log.status is None:
            return None
        if news is log.status:
            update = log.update(metals, connection.since, connection.candles, renew=True)
            if update is None:
                return None
            news = update.frame
        if news not in self._answers:
            body = b'%b,"status":%b}' % (news.payload[:-1], log.status.payload)
            self._answers[news] = Answer(200, [JSON, (b"etag", self.etag(metals)), NO_STORE], body)
        return self._answers[news]

    def _begin_version(self) -> None:
        if self._shown != self._log.version:
            self._shown = self._log.version
            self._etags.clear()
            self._answers.clear()


class _Poll:
    """One client, as the sink of its connection: the first message that is written makes its answer."""

    direct = None

    def __init__(self, hub: Hub, answers: PollAnswers, rules: Rules) -> None:
        self.writable = True
        self.dropped = ""
        self.listener: Listener | None = None
        self._hub = hub
        self._answers = answers
        self._rules = rules
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._connection = hub.connection(self, Transport.POLL, self._restart)

    def write(self, frame: Frame) -> int:
        answer = self._answers.answer(frame, self._connection)
        return self._settle(answer) if answer else 0

    def stop(self) -> None:
        self.listener = None

    async def answer(self, wish: _Wish, if_none_match: bytes | None, receive: Any) -> Answer | None:
        """Wait for news, for as long as the client wishes. None if it has gone."""
        connection = self._connection
        if wish.since is not None:
            await self._hub.feed.wait_for_seq(wish.since, wish.epoch)
        connection.subscribe(wish.metals, wish.since, candles=wish.candles, epoch=wish.epoch)
        etag = self._answers.etag(wish.metals)
        if wish.since is not None and (if_none_match is None or has_version(if_none_match, etag)):
            connection.know_state()
        else:
            connection.renew()
        if not self._hub.join(connection):
            return self._rules.refusal(Close.AT_CAPACITY, FULL)
        if not self._answer.done():
            gone = asyncio.ensure_future(until_gone(receive))
            either: set[asyncio.Future[Any]] = {gone, self._answer}
            try:
                await asyncio.wait(either, timeout=wish.seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
            if not self._answer.done():
                if gone.done():
                    return None
                # News that wait for the next broadcast: without them the answer would have the version of those news.
                connection.push()
                self._settle(self._no_news(304 if if_none_match is not None else 204))
        return self._answer.result()

    def leave(self) -> None:
        """Forget the client, which was answered, or has gone."""
        self._hub.leave(self._connection, CloseReason.ANSWERED if self._answer.done() else CloseReason.CLIENT)
        del self._connection  # it refers to its sink: the two would wait for the collector

    async def end(self, close: Close, detail: str) -> None:
        """Refuse a client whose credential has become invalid."""
        self._settle(self._rules.refusal(close, detail))
        self._hub.leave(self._connection, CloseReason[close.name])

    def _restart(self, connection: Connection) -> None:
        """Send the client away: this process ends."""
        self._settle(self._rules.refusal(Close.RESTART, _RESTART))
        self._hub.leave(connection, CloseReason.RESTART)

    def _no_news(self, status: int) -> Answer:
        return Answer(status, [(b"etag", self._answers.etag(self._connection.metals)), NO_STORE])

    def _settle(self, answer: Answer) -> int:
        """Give the answer, unless another was given before. Returns its size in bytes."""
        self.writable = False
        if not self._answer.done():
            self._answer.set_result(answer)
        return len(answer.body)


@lru_cache(256)
def _parse_query(query_string: bytes) -> _Wish | None:
    given = parameters(query_string, PricesQuerySerializer)
    if given is None or "wait" not in given:
        return None
    return _Wish(
        given["wait"],
        given.get("metals", EVERY_METAL),
        given.get("since"),
        given.get("epoch"),
        given.get("candles", frozenset()),
    )
