"""Exchange rates, for providers that quote only US dollars. Neither provider of rates needs a key.

- Frankfurter: the European Central Bank's rates of working days, published about 16:00 CET.
- open.er-api.com: daily; wants a link to https://www.exchangerate-api.com wherever its rates are shown.

A rate stays in the process's memory for an hour. One thread at a time fetches one.
"""

import datetime as dt
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.conf import settings

from infra import clock
from infra.formats import to_ms
from prices.domain.source_quotes import Exchange
from prices.providers import parsing
from prices.providers.errors import PermanentError, ProviderError, TemporaryError
from prices.providers.http import Client

logger = logging.getLogger(__name__)

# The ECB's longest time between two rates is from the Thursday before Easter to the Tuesday after it: five days and
# sixteen hours, counted from the beginning of that Thursday, as a rate has only a date.
OLDEST: Final = dt.timedelta(days=6)
_KEPT: Final = 3600.0  # seconds
# The source of the rate of a currency in itself.
_PAR: Final = "par"
# A provider that has just failed is not called for so long, so that four metals do not wait for it in turn.
_REST: Final = dt.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of one currency in another, as of the provider's own time: a date's beginning, where it is a date."""

    value: Decimal
    as_of: dt.datetime
    source: str

    @property
    def exchange(self) -> Exchange | None:
        """The rate for a receipt; None where both currencies are the same."""
        return None if self.source == _PAR else Exchange(self.value, self.source, to_ms(self.as_of))


def rate(base: str, quote: str, *, client: Client, now: dt.datetime) -> Rate:
    """The price of one `base` in `quote`. Raises ProviderError if there is none before the client's deadline.

    Its calls are not the client's: they do not count against the quota of the provider that needs the rate.
    """
    if base == quote:
        return Rate(Decimal(1), now, _PAR)
    return _rates.rate(base, quote, deadline=client.deadline, now=now)


def frankfurter(answer: Any, *, base: str, quote: str, now: dt.datetime) -> Rate:
    """Parse Frankfurter's answer, `{"amount":1.0,"base":"USD","date":"2026-09-24","rates":{"INR":95.96}}`.

    Raises ProviderError if it has no rate, or one of another currency.
    """
    given = parsing.fields(answer)
    _expect_base(given.get("base"), base)
    if (amount := given.get("amount", Decimal(1))) != 1:
        raise TemporaryError(f"gives {parsing.shown(amount)} as amount")
    return Rate(
        parsing.positive_decimal(parsing.part(given, "rates"), quote),
        parsing.quote_time(given, "date", now=now),
        "frankfurter",
    )


def open_er_api(answer: Any, *, base: str, quote: str, now: dt.datetime) -> Rate:
    """Parse open.er-api.com's answer, `{"result":"success","time_last_update_unix":1736726552,…}`.

    Raises ProviderError if it has no rate, or one of another currency.
    """
    if error := _failure(answer):
        raise error
    given = parsing.fields(answer)
    _expect_base(given.get("base_code"), base)
    as_of = parsing.quote_time(given, "time_last_update_unix", now=now)
    return Rate(parsing.positive_decimal(parsing.part(given, "rates"), quote), as_of, "open_er_api")


def _failure(answer: Any) -> ProviderError | None:
    if not isinstance(answer, Mapping) or answer.get("result") != "error":
        return None
    kind = answer.get("error-type")
    message = f"answers with an error: {parsing.shown(kind)}"
    return PermanentError(message) if kind == "unsupported-code" else TemporaryError(message)


def _expect_base(given: Any, wanted: str) -> None:
    if given != wanted:
        raise TemporaryError(f"answers for {parsing.shown(given)}, not for {wanted}")


def _fetch_frankfurter(base: str, quote: str, *, client: Client, now: dt.datetime) -> Rate:
    answer = client.get_json(f"{settings.FRANKFURTER_URL}/v1/latest", params={"base": base, "symbols": quote})
    return frankfurter(answer, base=base, quote=quote, now=now)


def _fetch_open_er_api(base: str, quote: str, *, client: Client, now: dt.datetime) -> Rate:
    answer = client.get_json(f"{settings.OPEN_ER_API_URL}/v6/latest/{base}", explain=_failure)
    return open_er_api(answer, base=base, quote=quote, now=now)


_PROVIDERS: Final = {"frankfurter": _fetch_frankfurter, "open_er_api": _fetch_open_er_api}


class Rates:
    """The rates that a process knows, and the providers that have just failed to give one."""

    def __init__(self) -> None:
        self._fetching = threading.Lock()
        # Each with the end of its time, by the steady clock.
        self._known: dict[tuple[str, str], tuple[Rate, float]] = {}
        self._failed: dict[str, tuple[ProviderError, float]] = {}

    def rate(self, base: str, quote: str, *, deadline: float, now: dt.datetime) -> Rate:
        """Like the function `rate`, until `deadline`, a `time.monotonic()`."""
        if not self._fetching.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise TemporaryError(f"no rate of {base} in {quote} in time")
        try:
            known, until = self._known.get((base, quote), (None, 0.0))
            if known and clock.steady() < until:
                return known
            try:
                rate = self._fetch(base, quote, deadline=deadline, now=now)
            except ProviderError:
                # One of some hours ago will do while there is no other.
                if known and now - known.as_of <= OLDEST:
                    return known
                raise
            self._known[base, quote] = rate, clock.steady() + _KEPT
            return rate
        finally:
            self._fetching.release()

    def _fetch(self, base: str, quote: str, *, deadline: float, now: dt.datetime) -> Rate:
        """Fetch from the first provider with a rate. Each may use its share of the time; one is left to the caller."""
        errors: dict[str, ProviderError] = {}
        for position, (name, fetch) in enumerate(_PROVIDERS.items()):
            failed, until = self._failed.get(name, (None, 0.0))
            if failed and clock.steady() < until:
                errors[name] = failed
                continue
            share = max(0.0, deadline - time.monotonic()) / (len(_PROVIDERS) - position + 1)
            try:
                rate = fetch(base, quote, client=Client(deadline=time.monotonic() + share), now=now)
                if now - rate.as_of > OLDEST:
                    raise TemporaryError(f"gives a rate of {rate.as_of:%Y-%m-%d}, which is too old")
                return rate
            except ProviderError as error:
                errors[name] = error
                rest = (error.retry_after if isinstance(error, TemporaryError) else None) or _REST
                self._failed[name] = error, clock.steady() + rest.total_seconds()
                logger.warning("%s gave no rate of %s in %s: %s", name, base, quote, error)
        detail = "; ".join(f"{name} {error}" for name, error in errors.items())
        kind = PermanentError if all(isinstance(error, PermanentError) for error in errors.values()) else TemporaryError
        raise kind(f"no rate of {base} in {quote}: {detail}")


_rates = Rates()
