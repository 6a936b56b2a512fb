"""Texts and log lines without tokens and the keys of price sources."""

import functools
import logging
import re
from urllib.parse import quote

from django.conf import settings

# The beginning of each token, by which it is recognised: here, and by scanners for secrets.
TOKEN_PREFIX = "swarna_"  # noqa: S105  (public)

# Hexadecimal digits follow, of which eight are the token's public key. A text may be cut anywhere.
_TOKEN = re.compile(f"({TOKEN_PREFIX}[0-9a-f]{{8}})[0-9a-f]+", re.IGNORECASE)


def without_tokens(text: str) -> str:
    """The text with each token cut to its public key, by which it can be found and revoked."""
    return _TOKEN.sub(r"\1…", text)


def without_secrets(text: str) -> str:
    """The text without tokens, and without the values of `SECRET_SETTINGS`, also where a URL quotes them."""
    keys = tuple(key for name in settings.SECRET_SETTINGS if (key := getattr(settings, name)))
    return _any_of(keys).sub("…", without_tokens(text)) if keys else without_tokens(text)


@functools.lru_cache(maxsize=8)
def _any_of(keys: tuple[str, ...]) -> re.Pattern[str]:
    # Ignoring case, as host names are written in small letters; longest first, as one key may begin with another.
    written = sorted({form for key in keys for form in (key, quote(key, safe=""))}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, written)), re.IGNORECASE)


class TokenlessFormatter(logging.Formatter):
    """Formats records, tracebacks included, without the tokens and keys in them."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))
