"""Log lines without the tokens and the keys of price sources."""

import functools
import logging
import re
from urllib.parse import quote

from django.conf import settings

# Each token begins with it, so that it is known as one wherever it turns up: here, or where secrets are scanned for.
TOKEN_PREFIX = "swarna_"  # noqa: S105  (public)

# What follows the prefix is hexadecimal; of that, eight digits are the token's public key. A text may be cut anywhere.
_TOKEN = re.compile(f"({TOKEN_PREFIX}[0-9a-f]{{8}})[0-9a-f]+", re.IGNORECASE)


def without_tokens(text: str) -> str:
    """The same text, with each token cut down to its key, by which it can be found and revoked."""
    return _TOKEN.sub(r"\1…", text)


def without_secrets(text: str) -> str:
    """The same text without its tokens and without the values of `SECRET_SETTINGS`, also as an address writes them."""
    keys = tuple(key for name in settings.SECRET_SETTINGS if (key := getattr(settings, name)))
    return _any_of(keys).sub("…", without_tokens(text)) if keys else without_tokens(text)


@functools.lru_cache(maxsize=8)
def _any_of(keys: tuple[str, ...]) -> re.Pattern[str]:
    # A host name is in small letters, whatever was sent; and of two keys, one may begin with the other.
    written = sorted({form for key in keys for form in (key, quote(key, safe=""))}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, written)), re.IGNORECASE)


class TokenlessFormatter(logging.Formatter):
    """Formats whole records, their tracebacks too, without the tokens and keys in them."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))
