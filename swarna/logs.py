"""Log lines in which no token can be read. No Django: settings.py names this."""

import logging
import re

# Each token begins with it, so that it is known as one wherever it turns up: here, or where secrets are scanned for.
TOKEN_PREFIX = "swarna_"  # noqa: S105  (public)

# What follows the prefix is hexadecimal; of that, eight digits are the token's public key. A text may be cut anywhere.
_TOKEN = re.compile(f"({TOKEN_PREFIX}[0-9a-f]{{8}})[0-9a-f]+", re.IGNORECASE)


def without_tokens(text: str) -> str:
    """The same text, with each token cut down to its key, by which it can be found and revoked."""
    return _TOKEN.sub(r"\1…", text)


class TokenlessFormatter(logging.Formatter):
    """Formats whole records, their tracebacks too, without the tokens in them."""

    def format(self, record: logging.LogRecord) -> str:
        return without_tokens(super().format(record))
