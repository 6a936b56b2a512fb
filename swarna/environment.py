"""Parsers of environment variables, whose errors say what to write instead."""

import datetime as dt
import ipaddress
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

import dj_database_url
from environs import Env
from marshmallow import ValidationError

from infra import formats
from infra.addresses import Network
from prices.domain.calendar import Calendar
from prices.domain.quota import Quota

T = TypeVar("T")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_UNITS = {"": 0.001, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_ORIGIN = re.compile(
    r"https?://(?:(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::[0-9]+)?", re.ASCII | re.I
)
_SHORTEST = dt.timedelta(milliseconds=1)
_A_DAY = dt.timedelta(days=1)
_LONGEST = dt.timedelta(days=3650)  # more is a slip, and beyond what a thread can wait


def duration(text: str, *, shortest: dt.timedelta = _SHORTEST, longest: dt.timedelta = _LONGEST) -> dt.timedelta:
    """Parse a positive duration: `60000` (milliseconds, as in the seed), `500ms`, `60s`, `5m`, `1h`, `1d`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValidationError("write milliseconds (60000) or a number with a unit: 500ms, 60s, 5m, 1h, 1d")
    seconds = float(match[1]) * _UNITS[match[2]]
    if not shortest.total_seconds() <= seconds <= longest.total_seconds():
        raise ValidationError(
            f"must be from {formats.milliseconds(shortest)} ms to {formats.milliseconds(longest)} ms; "
            "without a unit it is milliseconds"
        )
    return dt.timedelta(seconds=seconds)


def retention(text: str) -> dt.timedelta | None:
    """Parse how long to keep something, a day at least: `400d`; None for `0`, which is for good."""
    if text.strip() == "0":
        return None
    return duration(text, shortest=_A_DAY)


def database_url(text: str) -> dict[str, Any]:
    """Parse a database's address into Django's settings of it."""
    try:
        database = dict(dj_database_url.parse(text))
    except ValueError:
        database = {}
    # Raised without a cause, which might quote the address, and with it the password.
    if database.get("ENGINE") not in ("django.db.backends.postgresql", "django.db.backends.sqlite3"):
        raise ValidationError("write postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:////PATH")
    if database["ENGINE"] == "django.db.backends.postgresql":
        database["ENGINE"] = "infra.postgresql"  # Django's own, with timeouts
    return database


def redis_url(text: str) -> str:
    """Check a Redis address, such as `redis://127.0.0.1:6379/0`; empty for the embedded Valkey."""
    parts = _parts(text)
    by_network = parts.scheme in ("redis", "rediss") and re.fullmatch(r"/?\d*", parts.path)
    if text and not by_network and parts.scheme != "unix":
        raise ValidationError("write redis://HOST:PORT/NUMBER, or leave it empty for the embedded Valkey")
    return text


def http_url(text: str) -> str:
    """Check a provider's base address; return it without a trailing slash."""
    parts = _parts(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValidationError("write http://HOST or https://HOST")
    return text.rstrip("/")


def url_prefix(text: str) -> str:
    """Check the path of a site on its host; return it as `/gold-prices`, and empty for the whole host."""
    prefix = "".join(f"/{part}" for part in text.strip().split("/") if part)
    if not re.fullmatch(r"(/[\w~-][\w.~-]*)*", prefix, re.ASCII):
        raise ValidationError("write a path of letters, digits, -, _ and ~, such as /gold-prices")
    return prefix


def api_key(text: str) -> str:
    """Check a provider's key, or "". It is sent in a header, and sought in each log line: no blanks, not short."""
    key = text.strip()
    if key and not re.fullmatch(r"[\x21-\x7e]{8,200}", key):
        raise ValidationError("write the key alone, as the provider gave it: 8 to 200 letters, digits and signs")
    return key


def networks(text: str) -> list[Network]:
    """Parse addresses and ranges with commas between; an empty text is an empty list."""
    try:
        return [ipaddress.ip_network(each.strip()) for each in text.split(",")] if text.strip() else []
    except ValueError as error:
        raise ValidationError("write addresses or ranges with commas between: 10.0.0.5, 172.16.0.0/12") from error


def origins(text: str) -> list[str]:
    """Check web origins with commas between, or `*` for any; an empty text is an empty list.

    They are written into headers, so other signs than these would spoil a whole policy.
    """
    given = [each.strip() for each in text.split(",") if each.strip()]
    for each in given:
        if each != "*" and not (_ORIGIN.fullmatch(each) and _parts(each).hostname):
            advice = "write origins with commas between, such as https://shop.example, or * for any"
            raise ValidationError(
                advice if each.isascii() else f"{advice}; a name of other letters as browsers send it: https://xn--…"
            )
    return given


def currency(text: str) -> str:
    """Check an ISO 4217 code; return it in capitals."""
    if not re.fullmatch(r"[A-Za-z]{3}", text.strip()):
        raise ValidationError("write a three-letter ISO 4217 code such as INR")
    return text.strip().upper()


def quota(text: str) -> Quota | None:
    """Parse `100/month`, `1000/day`, or `none`."""
    if text.strip().lower() == "none":
        return None
    try:
        return Quota.parse(text)
    except ValueError as error:
        raise ValidationError(f"{error}, or none") from error


def market_calendar(text: str) -> Calendar:
    """Parse corrections of the market's holidays, New York dates with commas between, into its calendar."""
    try:
        return Calendar.built_in().corrected(text)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def time_zone(text: str) -> str:
    """Check a name of the IANA time zone database."""
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ValidationError("write an IANA time zone such as Asia/Kolkata") from error
    return text


class _Reader(Env):
    """An environment in which an empty variable counts as absent, as in the seed's `process.env.X || default`."""

    def __init__(self, may_be_empty: Collection[str]) -> None:
        super().__init__(eager=False)
        self._may_be_empty = may_be_empty

    def _get_value(self, env_key: str, default: Any) -> Any:
        value = super()._get_value(env_key, default)
        is_empty = isinstance(value, str) and not value.strip()
        return default if is_empty and env_key not in self._may_be_empty else value


def reader(file: Path | None, *, may_be_empty: Collection[str] = ()) -> Env:
    """An environment reader with the parsers above, which gathers all errors: call `seal()` last.

    An empty variable has its default, except those in `may_be_empty`. `file` is a `.env` file for variables that the
    process environment does not set. Raises SystemExit with one line if it exists and cannot be read.
    """
    env = _Reader(may_be_empty)
    if file is not None:
        try:
            env.read_env(file, recurse=False)
        except (OSError, ValueError) as error:
            raise SystemExit(f"{file} cannot be read: {error}. Write it as lines of NAME=value, in UTF-8.") from error
    texts = (database_url, redis_url, http_url, url_prefix, api_key, currency, time_zone)
    for parser in (duration, retention, networks, origins, quota, market_calendar, *texts):
        env.add_parser(parser.__name__, _of_text(parser))
    return env


def read(parser: Callable[..., Any], name: str, default: T, **options: Any) -> T:
    """Read a variable by one of the reader's parsers; the default if it is absent or cannot be read.

    `seal()` raises the error of the latter.
    """
    value: T | None = parser(name, None, **options)
    return default if value is None else value


def _of_text(parser: Callable[..., T]) -> Callable[..., T | None]:
    """Adapt a parser to environs, which calls it for an absent variable too: None stays None."""

    def parse(text: str | None, **options: Any) -> T | None:
        return None if text is None else parser(text, **options)

    return parse


def _parts(address: str) -> SplitResult:
    """Split an address; text that is none has empty parts."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  (raises for a port that is no number)
    except ValueError:
        return urlsplit("")
    return parts
