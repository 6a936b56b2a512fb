"""The reasons why a provider gave no quote.

ProviderError
├── TemporaryError   the next refresh may succeed (timeout, 429, 5xx, a garbled answer)
├── QuotaError       no call can succeed before the quota begins anew: the provider's, or ours, which is smaller
├── NoDataError      it has none of the requested days: no failure
└── PermanentError   no call can succeed before a person acts (a bad key, an unknown currency)
"""

import datetime as dt


class ProviderError(Exception):
    """The reason, for staff, why a provider gave no quote; never holds a key."""


class TemporaryError(ProviderError):
    """A failure that may pass by itself. `retry_after` is the provider's Retry-After, if it sent one.

    `is_brief`: a second try a moment later is worthwhile.
    """

    def __init__(self, message: str, *, retry_after: dt.timedelta | None = None, is_brief: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_brief = is_brief


class QuotaError(ProviderError):
    """No calls are left in this month or day."""


class NoDataError(ProviderError):
    """No prices of a past day: the market was closed, or the provider's history does not go back so far."""


class PermanentError(ProviderError):
    """A failure that lasts until a person mends the settings or the account."""
