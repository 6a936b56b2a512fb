"""Why a source gave no quote.

ProviderError
├── TemporaryError   the next refresh may fare better (time-out, 429, 5xx, a garbled answer)
├── QuotaError       it will once the source's quota begins anew: the vendor's own, or ours, which ends before it
├── NoDataError      there is none of the days that were asked for: no failure
└── PermanentError   it will not until a person acts (a bad key, an unknown currency)
"""

import datetime as dt


class ProviderError(Exception):
    """Says in words for staff what was wrong with a source's answer; never holds a key."""


class TemporaryError(ProviderError):
    """`retry_after` is how long the source asked to be left alone, where it did.

    `is_brief`: a second try a moment later is worth it.
    """

    def __init__(self, message: str, *, retry_after: dt.timedelta | None = None, is_brief: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_brief = is_brief


class QuotaError(ProviderError):
    """No more calls in this month or day."""


class NoDataError(ProviderError):
    """Of a past day: the market was closed, or the vendor's history does not go back so far."""


class PermanentError(ProviderError):
    """Calling again changes nothing until the settings or the account are mended."""
