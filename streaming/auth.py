"""A client's identity: the credential that it presents at the handshake, and its validity while it is connected.

A client without a credential costs nothing here: no query, no thread, no wait. Credentials are looked up in batches:
those of a storm of connects; and those of all connections, in a regular sweep that finds revoked and expired ones. One
that is revoked by us is found at once (streaming/revocations.py).
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import islice
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.utils.http import is_same_domain

from accounts import sessions, sign_ins, tokens
from infra import addresses
from infra.redaction import TOKEN_PREFIX
from streaming.protocol import BEARER_SUBPROTOCOL, Close

logger = logging.getLogger(__name__)

# The number of values that a database takes in a query, SQLite the fewest.
_MOST_IN_A_QUERY = 500

_MISSING = (
    "A credential is required here. Send a token in the header Authorization: Bearer TOKEN; a WebSocket may offer it "
    f"as the subprotocol {BEARER_SUBPROTOCOL}TOKEN."
)
_INVALID = (
    "The credential is no token of ours, or an expired or revoked one. POST a username and a password to "
    "/api/v1/auth/token/ for another, and connect with that."
)
_NO_LOGIN = "Your login has ended. Log in again, or connect with a token."
ENDED = "Your token has expired or was revoked, or your login has ended. Come back with another."


class RejectedError(Exception):
    """A client is not to be served. `close` is how its connection ends, and `detail` says what to do instead."""

    def __init__(self, close: Close, detail: str = "") -> None:
        super().__init__(close.reason)
        self.close = close
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Credential:
    """The digest of a token, or the key of a session, as a client presented it. Too secret to be printed."""

    kind: Literal["token", "session"]
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a client that is not anonymous: its user's id, and the credential that it presented."""

    user: int
    credential: Credential


# Ends a connection, with a text that says what to do instead.
End: TypeAlias = Callable[[Close, str], Awaitable[None]]
Holders: TypeAlias = Mapping[Credential, int]


def holders(credentials: Collection[Credential]) -> Holders:
    """The users' ids by credential, without those that are not valid (any more). Queries the database."""
    found: dict[Credential, int] = {}
    for kind, look_up in (("token", tokens.holders), ("session", sessions.holders)):
        of_kind = {each.key: each for each in credentials if each.kind == kind}
        for keys in _batches(of_kind):
            found |= {of_kind[key]: user for key, user in look_up(keys).items()}
    return found


def note_use(credentials: Collection[Credential]) -> None:
    """Record that these credentials are in use. Queries the database."""
    for kind, see in (("token", sign_ins.see_tokens_on_stream), ("session", sign_ins.see_logins_on_stream)):
        for keys in _batches(each.key for each in credentials if each.kind == kind):
            see(keys)


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    """The keys, as many at a time as a query takes."""
    remaining = iter(keys)
    while batch := list(islice(remaining, _MOST_IN_A_QUERY)):
        yield batch


class Authenticator:
    """Identifies the clients of one process, and ends those whose credentials become invalid.

    `look_up` is an awaitable `holders`, never called twice at a time, and `note_use` an awaitable one of that name. All
    credentials are checked every `recheck` seconds. Made outside any event loop.
    """

    def __init__(
        self,
        *,
        look_up: Callable[[Collection[Credential]], Awaitable[Holders]],
        note_use: Callable[[Collection[Credential]], Awaitable[object]] | None = None,
        required: bool,
        recheck: float,
    ) -> None:
        self._look_up = look_up
        self._note_use = note_use
        self._noted_at = -math.inf
        self._required = required
        self._recheck = recheck
        self._watched: dict[Identity, set[End]] = {}
        self._querying = asyncio.Lock()
        self._gathering: set[Credential] | None = None
        self._answer: asyncio.Task[Holders | None] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._running: set[asyncio.Future[None]] = set()
        self._lost = False

    async def identify(self, scope: Mapping[str, Any], *, public: bool = False) -> Identity | None:
        """The identity of a client that connects, or None if it is anonymous. Raises RejectedError.

        Waits only if a credential is presented. A token has to be valid. A session that is not, or cannot be looked up
        in a lost database, counts as none: browsers send its cookie unasked. What is `public` never requires one.
        """
        credential = presented(scope)
        required = self._required and not public
        if credential is None:
            if required:
                raise RejectedError(Close.UNAUTHORIZED, _MISSING)
            return None
        found = await self._find({credential})
        if found is not None and credential in found:
            return Identity(found[credential], credential)
        if credential.kind == "session" and not required:
            return None
        # While the database is away, the client should come again with the same token: 1008 would have it give up.
        if found is None:
            raise RejectedError(Close.INTERNAL_ERROR)
        raise RejectedError(Close.UNAUTHORIZED, _INVALID if credential.kind == "token" else _NO_LOGIN)

    def watch(self, identity: Identity, end: End) -> None:
        """Call `end` once if the client's credential becomes invalid before `forget`."""
        self._watched.setdefault(identity, set()).add(end)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    def forget(self, identity: Identity | None, end: End) -> None:
        """Stop watching a connection that is over. Harmless for one that was never watched."""
        if identity is not None and (ends := self._watched.get(identity)):
            ends.discard(end)
            if not ends:
                del self._watched[identity]

    async def _sweep(self) -> None:
        """Check the credentials of all open connections regularly, as long as there are any."""
        try:
            while self._watched:
                await asyncio.sleep(self._recheck)
                await self._check(list(self._watched))
                await self._record_use()
        finally:
            self._sweeping = None

    def recheck(self, user: int) -> None:
        """Check the credentials of a user's connections soon, and not only in the next sweep."""
        self._in_background(self._check_user(user), "the credentials of a user could not be checked")

    async def _check_user(self, user: int) -> None:
        # A client whose credential is being looked up may have been found before it ended: it is watched after this.
        await self._find(())
        await self._check([identity for identity in self._watched if identity.user == user])

    async def _check(self, watched: Collection[Identity]) -> None:
        """End the connections of those whose credential is not valid any more."""
        found = await self._find({identity.credential for identity in watched}) if watched else None
        if found is None:
            return  # a lost database is no reason to lose its clients
        for identity in watched:
            if found.get(identity.credential) != identity.user:
                self._end(identity)

    async def _record_use(self) -> None:
        """Record now and then which credentials are in use: staff look before they revoke one."""
        now = time.monotonic()
        is_due = now - self._noted_at >= sign_ins.SEEN_EVERY.total_seconds()
        if self._note_use is None or not self._watched or not is_due:
            return
        self._noted_at = now
        try:
            await self._note_use({identity.credential for identity in self._watched})
        except Exception as error:
            # Whatever a database raises: it is of no consequence for the clients.
            logger.warning("the use of credentials could not be recorded: %s", error or type(error).__name__)

    def _end(self, identity: Identity) -> None:
        for end in self._watched.pop(identity, ()):
            # Not awaited: a slow one must delay neither the others nor the next sweep.
            self._in_background(
                end(Close.UNAUTHORIZED, ENDED), "a connection that is no longer authorized could not be ended"
            )

    def _in_background(self, work: Awaitable[None], failure: str) -> None:
        """Let this go on by itself; if it fails, `failure` is logged."""
        running = asyncio.ensure_future(work)
        self._running.add(running)
        running.add_done_callback(partial(self._over, failure))

    def _over(self, failure: str, running: "asyncio.Future[None]") -> None:
        self._running.discard(running)
        if not running.cancelled() and (error := running.exception()):
            logger.error(failure, exc_info=error)

    async def _find(self, credentials: Collection[Credential]) -> Holders | None:
        """Look up these credentials among others; None if the database does not answer. Never raises.

        Credentials that come during a query are gathered for one query after it.
        """
        if self._gathering is None or self._answer is None:
            self._gathering = set()
            self._answer = asyncio.get_running_loop().create_task(self._find_gathered())
        self._gathering.update(credentials)
        try:
            async with asyncio.timeout(settings.DATABASE_READ_TIMEOUT):
                return await asyncio.shield(self._answer)
        except TimeoutError as error:
            self._fail(error)
            return None

    async def _find_gathered(self) -> Holders | None:
        async with self._querying:
            gathered, self._gathering = self._gathering or set(), None
            try:
                found = await self._look_up(gathered)
            except Exception as error:
                # Whatever a database raises: connected clients stay, and new ones are to come again.
                self._fail(error)
                return None
        if self._lost:
            self._lost = False
            logger.warning("credentials can be checked again")
        return found

    def _fail(self, error: Exception) -> None:
        if not self._lost:
            self._lost = True
            logger.error("credentials cannot be checked, trying again: %s", error or type(error).__name__)


def presented(scope: Mapping[str, Any]) -> Credential | None:
    """The credential of a handshake, not yet looked up. Raises RejectedError for anything but a token of ours."""
    given = _tokens(scope)
    if given:
        digest = tokens.digest(given.pop())
        if digest is None or given:  # not one of ours; two that differ
            raise RejectedError(Close.UNAUTHORIZED, _INVALID)
        return Credential("token", digest)
    key = _session_key(scope)
    return Credential("session", key) if key else None


def _tokens(scope: Mapping[str, Any]) -> set[str]:
    headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    given = {token for header in headers if (token := tokens.presented(header)) is not None}
    for offered in scope.get("subprotocols", ()):
        if offered.startswith((BEARER_SUBPROTOCOL, TOKEN_PREFIX)):  # a bare token is one here too
            given.add(offered.removeprefix(BEARER_SUBPROTOCOL))
    return given


def _session_key(scope: Mapping[str, Any]) -> str | None:
    """The session that a browser sends from a page of ours. A page of another site must not act for its user."""
    sent = {name: value for name, value in scope["headers"] if name in (b"cookie", b"origin", b"sec-fetch-site")}
    # A browser names the origin of a page that opens a WebSocket, but not of one that reads from where it came from.
    is_own = scope["type"] == "http" and sent.get(b"sec-fetch-site") == b"same-origin"
    if settings.SESSION_COOKIE_NAME.encode() not in sent.get(b"cookie", b"") or not (is_own or b"origin" in sent):
        return None
    scheme = addresses.scheme_of_scope(scope, settings.TRUSTED_PROXIES)
    request = ASGIRequest({**scope, "method": "GET", "scheme": scheme}, BytesIO())
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    if not (key.isascii() and key.isalnum()):
        return None
    return key if is_own or _is_ours(sent[b"origin"].decode("latin-1"), request) else None


def _is_ours(origin: str, request: ASGIRequest) -> bool:
    """Return True if Django would accept a form posted from a page of this origin."""
    try:
        if origin == f"{request.scheme}://{request.get_host()}":
            return True
        given = urlsplit(origin)
    except (DisallowedHost, ValueError):
        return False
    for trusted in settings.CSRF_TRUSTED_ORIGINS:
        scheme, _, host = trusted.partition("://")
        if origin == trusted or (
            host.startswith("*.") and given.scheme == scheme and is_same_domain(given.netloc, host[1:])
        ):
            return True
    return False
