"""The HTTP GET of all providers: bounded in time and size, JSON numbers as Decimal, failures as ProviderErrors."""

import datetime as dt
import io
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from prices.domain.provider_table import PROVIDER_TABLE
from prices.providers.errors import PermanentError, ProviderError, QuotaError, TemporaryError
from prices.providers.parsing import shown

LARGEST_BODY = 256 * 1024  # the largest known answer is under 10 KB
TRIES = 2  # at most, for one answer
_CONNECT_TIMEOUT = 3.05
LONGEST_REST = dt.timedelta(hours=1)
_PERMANENT = {400, 401, 403, 404, 410, 422}
# Statuses of a server that fails for a moment, where it sends no Retry-After.
_BRIEF = {500, 502, 504}
_BEFORE_ANOTHER_TRY = (0.1, 0.4)  # seconds

# Maps an answer to the failure that it reports; None for an answer that reports none.
Explain: TypeAlias = Callable[[Any], ProviderError | None]


class _Timely(io.RawIOBase):
    """A connection that can be read, headers and all, until a deadline.

    A socket's own timeout is for a single read, and a server that drips makes any number of reads necessary.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._sent = connection.makefile("rb", buffering=0)

    def makefile(self, mode: str) -> io.BufferedReader:
        """The socket method that `http.client` calls."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(_left(self._deadline))
        return self._sent.readinto(buffer)

    def close(self) -> None:
        self._sent.close()
        super().close()


class _Adapter(HTTPAdapter):
    """A requests adapter whose responses can be read until a deadline."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)

        def response(connection: socket.socket, *args: Any, **options: Any) -> HTTPResponse:
            timely: Any = _Timely(connection, self._deadline)
            return HTTPResponse(timely, *args, **options)

        pool.ConnectionCls = type("Connection", (pool.ConnectionCls,), {"response_class": staticmethod(response)})
        return pool


class _Session(requests.Session):
    """A requests session that ignores redirects.

    Even with `allow_redirects=False`, requests would parse their address, which may be malformed, and read their body
    to its end, which may never come.
    """

    def __init__(self, deadline: float) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(deadline))

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def base_url(provider: str) -> str:
    """The address that a provider's paths follow, of its setting `<NAME>_URL`."""
    return str(getattr(settings, PROVIDER_TABLE[provider].setting("URL")))


def api_key(provider: str) -> str:
    """The key of a provider that needs one, of its setting `<NAME>_KEY`; empty if it is not set."""
    return str(getattr(settings, PROVIDER_TABLE[provider].setting("KEY")))


class Client:
    """HTTP client for one provider in one refresh: its calls share a deadline, a `time.monotonic()`, and are counted.

    `most_calls` is the number that the quota grants; None for any number. Threads may share a client.
    """

    def __init__(self, *, deadline: float, most_calls: int | None = None) -> None:
        self.calls = 0
        self.deadline = deadline
        self._most_calls = most_calls
        self._counting = threading.Lock()

    def get_json(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        explain: Explain = lambda answer: None,
    ) -> Any:
        """Get `url` and return its JSON, numbers as Decimal. A brief failure gets a second try, if there is time.

        With a status other than 200, `explain` has the first say: a provider's own code says more than the status.
        Raises ProviderError for no answer in time, a redirect, a status other than 200, a huge body, no JSON, NaN, and
        a quota that is used up.
        """
        try:
            return self._get_json_once(url, headers, params, explain)
        except TemporaryError as error:
            # A pause at random: a server that fails under load is not helped by four calls in step.
            pause = random.uniform(*_BEFORE_ANOTHER_TRY)  # noqa: S311  (no secret)
            if not error.is_brief or time.monotonic() + 2 * pause > self.deadline:
                raise
            time.sleep(pause)
            return self._get_json_once(url, headers, params, explain)

    def _get_json_once(
        self, url: str, headers: Mapping[str, str] | None, params: Mapping[str, str] | None, explain: Explain
    ) -> Any:
        left = _left(self.deadline)
        self._count()
        try:
            with (
                _Session(self.deadline) as session,
                session.get(
                    url,
                    params=params,
                    headers={"Accept": "application/json", "User-Agent": "swarna"} | dict(headers or {}),
                    timeout=(min(_CONNECT_TIMEOUT, left), left),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                if response.is_redirect:
                    raise PermanentError(f"redirects to {_host(response.headers['Location'])}")
                if response.status_code != 200:
                    raise _failure(response, explain)
                body = _read(response)
        except (requests.Timeout, ReadTimeoutError) as error:
            raise TemporaryError("no answer in time") from error
        except (requests.RequestException, HTTPError) as error:
            raise TemporaryError(f"cannot be reached ({type(error).__name__})", is_brief=True) from error
        return _decoded(body)

    def _count(self) -> None:
        with self._counting:
            if self._most_calls is not None and self.calls >= self._most_calls:
                raise QuotaError("the quota that is set for it is used up")
            self.calls += 1


def _read(response: requests.Response) -> bytes:
    """Read the whole body. Raises urllib3's own errors, which `requests` translates in its own readers only."""
    body = bytearray()
    while chunk := response.raw.read1(16 * 1024, decode_content=True):
        body += chunk
        if len(body) > LARGEST_BODY:
            raise TemporaryError(f"answers with more than {LARGEST_BODY // 1024} KB")
    return bytes(body)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TemporaryError("no answer in time")
    return left


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=_number, parse_int=_number, parse_constant=_not_a_number)
    except (ValueError, RecursionError) as error:
        kind = "HTML" if body.lstrip()[:1] == b"<" else "something that is not JSON"
        raise TemporaryError(f"answers with {kind}") from error


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error


def _not_a_number(text: str) -> Any:
    raise TemporaryError(f"gives {text} as a number")


def _failure(response: requests.Response, explain: Explain) -> ProviderError:
    """The error for a status other than 200, from its body too if that can be read."""
    try:
        said = _decoded(_read(response))
    except (ProviderError, HTTPError):
        said = None
    rest = _retry_after(response.headers)
    if explained := explain(said):
        if isinstance(explained, TemporaryError):
            explained.retry_after = rest
        return explained
    message = f"answers HTTP {response.status_code}{_reason(said)}"
    if response.status_code in _PERMANENT:
        return PermanentError(message)
    return TemporaryError(message, retry_after=rest, is_brief=rest is None and response.status_code in _BRIEF)


def _reason(said: Any) -> str:
    """The short message in an error's body; empty without one."""
    texts = (said.get(name) for name in ("error", "message")) if isinstance(said, Mapping) else ()
    return next((f": {shown(text)}" for text in texts if isinstance(text, str)), "")


def _host(location: str) -> str:
    """The host that a redirect leads to. Its whole address may hold a key."""
    try:
        return shown(urlsplit(location).hostname or "itself")
    except ValueError:
        return "a malformed address"


def _retry_after(headers: Mapping[str, str]) -> dt.timedelta | None:
    """The rest that Retry-After asks for, in seconds or as an HTTP date; bounded by LONGEST_REST.

    A date is by the server's clock, which is read from its `Date` header: this machine's may differ.
    """
    header = headers.get("Retry-After")
    if header is None:
        return None
    try:
        if header.strip().isdecimal():
            span = dt.timedelta(seconds=min(int(header), LONGEST_REST.total_seconds()))
        else:
            answered_at = parsedate_to_datetime(headers["Date"]) if "Date" in headers else dt.datetime.now(dt.UTC)
            span = parsedate_to_datetime(header) - answered_at
    except (ValueError, TypeError, OverflowError):
        return None
    return min(span, LONGEST_REST) if span > dt.timedelta(0) else None
