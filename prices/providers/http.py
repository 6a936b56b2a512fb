"""One guarded HTTP GET for all sources: bounded in time and size, JSON numbers as Decimal, failures in words."""

import datetime as dt
import json
import time
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from prices.providers.errors import PermanentError, TemporaryError
from prices.providers.parsing import shown

LARGEST_BODY = 256 * 1024  # the largest known answer is under 10 KB
_CONNECT_TIMEOUT = 3.05
_LONGEST_REST = dt.timedelta(hours=1)
_PERMANENT = {400, 401, 403, 404, 410, 422}


class _Session(requests.Session):
    """Leaves redirects alone. With `allow_redirects=False` too, requests would take their address apart, which may be
    none, and read their body to its end, which may never come.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def get_json(url: str, *, deadline: float) -> Any:
    """The JSON answer of `url`, its numbers as Decimal. `deadline` is a `time.monotonic()`.

    Raises ProviderError for everything else: no answer in time, a redirect, a status other than 200, a huge body, no
    JSON, NaN. A GET is not repeated here: the next source, or the next refresh, is the better second try.
    """
    try:
        with (
            _Session() as session,
            session.get(
                url,
                headers={"Accept": "application/json", "User-Agent": "swarna"},
                timeout=(min(_CONNECT_TIMEOUT, _left(deadline)), _left(deadline)),
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            if response.is_redirect:
                raise PermanentError(f"redirects to {_host(response.headers['Location'])}")
            if response.status_code != 200:
                raise _refusal(response, deadline)
            body = _read(response, deadline)
    except (requests.Timeout, ReadTimeoutError) as error:
        raise TemporaryError("no answer in time") from error
    except (requests.RequestException, HTTPError) as error:
        raise TemporaryError(f"cannot be reached ({type(error).__name__})") from error
    return _decoded(body)


def _read(response: requests.Response, deadline: float) -> bytes:
    """The whole body, as it arrives: with the read time-out alone, or with a wait for full chunks, a source that drips
    would hold us for ever. Raises urllib3's own errors, which `requests` translates in its readers only.
    """
    body = bytearray()
    while chunk := response.raw.read1(16 * 1024, decode_content=True):
        body += chunk
        if len(body) > LARGEST_BODY:
            raise TemporaryError(f"answers with more than {LARGEST_BODY // 1024} KB")
        _left(deadline)
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


def _refusal(response: requests.Response, deadline: float) -> TemporaryError | PermanentError:
    """What a status other than 200 means; a body that cannot be read does not change it."""
    try:
        reason = _reason(_read(response, deadline))
    except (TemporaryError, HTTPError):
        reason = ""
    message = f"answers HTTP {response.status_code}{reason}"
    if response.status_code in _PERMANENT:
        return PermanentError(message)
    return TemporaryError(message, retry_after=_retry_after(response.headers.get("Retry-After")))


def _reason(body: bytes) -> str:
    """What a JSON error body says, if it says anything short."""
    try:
        said = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f": {shown(said)}" if isinstance(said, str) else ""


def _host(location: str) -> str:
    """Where a redirect leads; not its whole address, which may hold a key."""
    try:
        return shown(urlsplit(location).hostname or "itself")
    except ValueError:
        return "an address that is none"


def _retry_after(header: str | None) -> dt.timedelta | None:
    """Seconds or an HTTP date; bounded, so that no answer can silence a source for good."""
    if header is None:
        return None
    try:
        if header.strip().isdecimal():
            span = dt.timedelta(seconds=min(int(header), _LONGEST_REST.total_seconds()))
        else:
            span = parsedate_to_datetime(header) - dt.datetime.now(dt.UTC)
    except (ValueError, TypeError):
        return None
    return min(span, _LONGEST_REST) if span > dt.timedelta(0) else None
