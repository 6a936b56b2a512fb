"""The client: its connections, one after the other, by the package `websockets`."""

import asyncio
import contextlib
import datetime as dt
import inspect
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from swarna_client.errors import RejectedError
from swarna_client.messages import Disconnected, Event, Position, PriceUpdate, Quote, Status, UnreadableError
from swarna_client.stream_state import StreamState, Subscription, steady_seconds

_log = logging.getLogger("swarna_client")

_SUBPROTOCOL: Final = Subprotocol("swarnaai-v1")
# What was missed comes merged in one update, which may have hours of candles.
_LARGEST_MESSAGE: Final = 16 * 1024 * 1024
_LOSSES: Final = (OSError, EOFError, TimeoutError, WebSocketException, UnreadableError)


class SwarnaClient:
    """Live prices, as an asynchronous iterator of events. It connects with the first one, and again whenever it has to.

        async with SwarnaClient("wss://prices.example/", metals=["gold"]) as client:
            async for event in client:
                match event:
                    case PriceUpdate(prices=prices, changes=changes): ...
                    case Disconnected(reason=reason): ...

    Whoever takes an event late gets no backlog: the server waits, and merges what came meanwhile into one update, with
    every significant move. A wait for the next event may be cancelled, and nothing is lost. One task at a time waits.
    """

    def __init__(
        self,
        url: str,
        *,
        metals: Iterable[str] | None = None,
        token: str | None = None,
        interval: float | None = None,
        candles: Iterable[str] = (),
        heartbeat: float = 15.0,
        since: Position | None = None,
        **connecting: Any,
    ) -> None:
        """Prepare a client; nothing is sent yet.

        `url` is a server's, `http:` or `ws:`, or with TLS. `metals` are names or ISO codes; None is all. `token` is for
        a server that requires one. `interval` limits updates to one in so many seconds. `candles` are intervals of
        candles that come with each update, such as "1m". After `heartbeat` seconds of silence, 1 to 60, the server
        gives a sign of life; a connection without any for twice as long is replaced. `since` is the `position` from
        which a program that ran before goes on. `connecting` are further arguments of `websockets`' `connect`, such as
        `ssl`.

        Raises ValueError and TypeError for what cannot be meant.
        """
        if isinstance(metals, str) or isinstance(candles, str):
            raise TypeError('metals and candles are lists, such as ["gold"]')
        if not 1 <= heartbeat <= 60:
            raise ValueError("heartbeat has to be from 1 to 60 seconds")
        if interval is not None and interval < 0:
            raise ValueError("interval has to be 0 seconds or more")
        self.token = token
        self._url = _websocket_url(url)
        self._connecting = connecting
        self._state = StreamState(
            Subscription(
                metals=("*",) if metals is None else tuple(metals),
                interval=None if interval is None else round(interval * 1000),
                candles=tuple(candles),
                heartbeat=round(heartbeat * 1000),
            ),
            since,
        )
        self._line: ClientConnection | None = None
        self._retry_at = 0.0
        self._closing = asyncio.Event()
        self._is_awaited = False

    @property
    def prices(self) -> Mapping[str, Quote]:
        """The last quote of each metal. They stay when the connection is lost: they are of now while `connected`."""
        return self._state.prices

    @property
    def status(self) -> Status | None:
        """The server's last status; None while there is none, or where the server is not heard, as in `connected`."""
        return self._state.status if self._is_heard else None

    @property
    def position(self) -> Position | None:
        """The place in the stream of the last update: `since` for the next run of a program."""
        return self._state.position

    @property
    def connected(self) -> bool:
        """True while the subscription is confirmed and the server is heard.

        It is not once the client was closed, the connection lost, or the last message was taken more than twice
        `heartbeat` ago, as where nobody iterates.
        """
        return self._state.is_confirmed and self._is_heard

    @property
    def _is_heard(self) -> bool:
        return self._line is not None and self._line.state is State.OPEN and self._state.is_heard

    @property
    def is_timed(self) -> bool:
        """True once `server_time` is by the server's clock, and not by this machine's, which may be wrong."""
        return self._state.is_timed

    @property
    def server_time(self) -> dt.datetime:
        """The server's time, for the age of a quote; this machine's until `is_timed`, soon after it is connected."""
        return self._state.server_time()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection, and end the iteration, in whichever task it is."""
        self._closing.set()
        if self._line is not None:
            await self._line.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event, waited for.

        Raises RefusedError where the server will have nothing of this client (another `token` can be set, and the
        iteration begun again), RejectedError where it does not take the subscription; both are SwarnaErrors.
        """
        if self._is_awaited:
            raise RuntimeError("Two tasks wait for one client's events: give each a client of its own.")
        self._is_awaited = True
        try:
            while not self._closing.is_set():
                if (event := await self._step()) is not None:
                    return event
        finally:
            self._is_awaited = False
        raise StopAsyncIteration

    def updates(self) -> AsyncIterator[PriceUpdate]:
        """The updates alone. While the connection is lost there are none, and the log has a warning."""
        return _Updates(self)

    async def run(self, callback: Callable[[Event], Awaitable[None] | None]) -> None:
        """Call a function, or a coroutine function, with each event until the client is closed. Raises SwarnaErrors."""
        async for event in self:
            waiting = callback(event)
            if inspect.isawaitable(waiting):
                await waiting

    async def _step(self) -> Event | None:
        """Read one message, or connect."""
        try:
            if self._line is None:
                await self._connect()
                return None
            while (message := self._state.to_send()) is not None:
                await self._line.send(message)
            async with asyncio.timeout(self._state.longest_silence):
                text = await self._line.recv()
            return self._state.receive(text)
        except RejectedError:
            self._leave()
            raise
        except _LOSSES as error:
            return None if self._closing.is_set() else self._lost(error)

    async def _connect(self) -> None:
        """Connect, once it is time to."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), max(0.0, self._retry_at - steady_seconds()))
            return
        options: dict[str, Any] = {"max_size": _LARGEST_MESSAGE, "subprotocols": [_SUBPROTOCOL]}
        if self.token is not None:
            options["additional_headers"] = {"Authorization": f"Bearer {self.token}"}
        self._line = await connect(self._url, **(options | self._connecting))
        self._state.begin()
        if self._closing.is_set():
            await self._line.close()

    def _leave(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.transport.abort()  # a close of a dead connection would wait

    def _lost(self, error: Exception) -> Disconnected:
        self._leave()
        match error:
            case InvalidStatus(response=response):
                event = self._state.not_served(response.status_code, _retry_after(response.headers))
            case ConnectionClosed(rcvd=close) if close is not None:
                event = self._state.lost(close.reason or f"closed with {close.code}")
            case TimeoutError():
                event = self._state.lost("The server is silent")
            case _:
                event = self._state.lost(str(error) or type(error).__name__)
        self._retry_at = steady_seconds() + event.retry_in
        _log.warning(
            "No live prices from %s: %s. Next try in %.0f s.", parse_uri(self._url).host, event.reason, event.retry_in
        )
        return event


class _Updates(AsyncIterator[PriceUpdate]):
    """A client's updates. A generator would end with the first wait that is cancelled; this goes on."""

    def __init__(self, client: SwarnaClient) -> None:
        self._client = client

    async def __anext__(self) -> PriceUpdate:
        async for event in self._client:
            if isinstance(event, PriceUpdate):
                return event
        raise StopAsyncIteration


def _websocket_url(url: str) -> str:
    """The stream's address. Raises ValueError for one that is none; does not repeat it, as it may have a password."""
    address = re.sub(r"^http(?=s?://)", "ws", url, flags=re.IGNORECASE)
    try:
        parse_uri(address)
    except InvalidURI:
        raise ValueError("url has to be a server's, such as https://prices.example/") from None
    return address


def _retry_after(headers: Headers) -> float | None:
    header = headers.get("Retry-After")
    return float(header) if header and header.isascii() and header.isdigit() else None
