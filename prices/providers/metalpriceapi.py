"""metalpriceapi.com: one call for all metals, per troy ounce; the price alone, a daily one in the free plan.

`GET /v1/latest?base=INR&currencies=XAU,XAG,XPT,XPD`, the key in `X-API-KEY`. `rates` holds `INRXAU`, which is INR per
ounce, and `XAU`, its reciprocal; some answers hold the reciprocal alone.

Past days: `GET /v1/timeframe?start_date=&end_date=` and `/v1/{YYYY-MM-DD}` have each day's last price in the same
shape, `/v1/ohlc?base=XAU&currency=INR&date=` one metal's figures of one day, the right way round.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any, Final

from django.conf import settings

from infra.clock import Clock
from prices.domain.quotes import Metal, Quote
from prices.domain.source_quotes import RawUnit
from prices.providers import parsing
from prices.providers.errors import NoDataError, PermanentError, ProviderError, QuotaError, TemporaryError
from prices.providers.http import Client, api_key, base_url
from prices.providers.parsing import Days

NAME = "metalpriceapi"

_QUOTA: Final = "105"
# No key, a bad one, one that is not active; from 201 on, an unacceptable request.
_FOR_A_PERSON: Final = ("101", "102", "103", "2")
_NO_DATA: Final = "300"


def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote | ProviderError]:
    """Fetch all metals in the base currency. Raises ProviderError."""
    answer = client.get_json(
        f"{base_url(NAME)}/v1/latest",
        headers={"X-API-KEY": api_key(NAME)},
        params={"base": settings.BASE_CURRENCY, "currencies": ",".join(metal.symbol for metal in metals)},
        explain=failure,
    )
    return parse(answer, metals=metals, currency=settings.BASE_CURRENCY, now=clock())


def failure(answer: Any) -> ProviderError | None:
    """The failure that an answer reports, usually with HTTP 200; None if it reports none."""
    if not isinstance(answer, Mapping) or answer.get("success") is not False:
        return None
    said = answer.get("error")
    said = said if isinstance(said, Mapping) else {"message": said}
    number = parsing.code(said, "statusCode")
    message = f"answers with failure {parsing.shown(number)}: {parsing.shown(said.get('message'))}"
    if number == _QUOTA:
        return QuotaError(message)
    return PermanentError(message) if number.startswith(_FOR_A_PERSON) else TemporaryError(message)


def parse(
    answer: Any, *, metals: Sequence[Metal], currency: str, now: dt.datetime
) -> dict[Metal, Quote | ProviderError]:
    """Parse one answer: the quote of each metal, or the reason why it has none.

    Raises ProviderError if it has no quotes at all, or has them in another currency.
    """
    given = _successful(answer, failure)
    parsing.expect_currency(given.get("base"), currency)
    rates = parsing.part(given, "rates")
    quoted_at = parsing.quote_time(given, "timestamp", now=now)
    return parsing.each(metals, lambda metal: _quote(rates, metal, currency, quoted_at))


def _quote(rates: Mapping[str, Any], metal: Metal, currency: str, quoted_at: dt.datetime) -> Quote:
    pair, reciprocal = currency + metal.symbol, None
    if rates.get(pair) is not None:
        price, unit = _per_ounce(rates, metal.symbol, pair), RawUnit.TROY_OUNCE
    else:
        price, unit = parsing.quotient(Decimal(1), rates, metal.symbol), RawUnit.RECIPROCAL_TROY_OUNCE
        reciprocal = parsing.positive_decimal(rates, metal.symbol)
    return parsing.quote(
        metal=metal,
        price=price,
        currency=currency,
        source=NAME,
        quoted_at=quoted_at,
        unit=unit,
        raw_price=reciprocal,
    )


def _per_ounce(rates: Mapping[str, Any], symbol: str, pair: str) -> Decimal:
    """The price of an ounce by its pair. Raises ProviderError if it is none, or the reciprocal contradicts it."""
    price = parsing.positive_decimal(rates, pair)
    # The reciprocal may have a digit or two only: enough to see that a pair is not the wrong way round.
    if rates.get(symbol) is not None and not Decimal("0.5") <= price * parsing.positive_decimal(rates, symbol) <= 2:
        raise TemporaryError(f"gives {parsing.shown(price)} as {pair} and {parsing.shown(rates[symbol])} as {symbol}")
    return price


def fetch_days(metals: Sequence[Metal], first: dt.date, last: dt.date, *, client: Client, now: dt.datetime) -> Days:
    """Fetch the last price of each day, all metals in one call. Raises ProviderError.

    A single day has an address of its own, which is in every plan; `timeframe`, for several, is not.
    """
    single = first == last
    dates = {} if single else {"start_date": first.isoformat(), "end_date": last.isoformat()}
    answer = client.get_json(
        f"{base_url(NAME)}/v1/{first.isoformat() if single else 'timeframe'}",
        headers={"X-API-KEY": api_key(NAME)},
        params=dates | {"base": settings.BASE_CURRENCY, "currencies": ",".join(metal.symbol for metal in metals)},
        explain=_failure_of_days,
    )
    if single:
        return parse_day(answer, date=first, metals=metals, currency=settings.BASE_CURRENCY, now=now)
    return parse_days(answer, first=first, last=last, metals=metals, currency=settings.BASE_CURRENCY)


def fetch_ohlc(metals: Sequence[Metal], first: dt.date, last: dt.date, *, client: Client, now: dt.datetime) -> Days:
    """Fetch one metal's figures of one day. Raises ProviderError."""
    (metal,) = metals
    (date,) = parsing.dates_between(first, last)
    answer = client.get_json(
        f"{base_url(NAME)}/v1/ohlc",
        headers={"X-API-KEY": api_key(NAME)},
        params={"base": metal.symbol, "currency": settings.BASE_CURRENCY, "date": date.isoformat()},
        explain=_failure_of_days,
    )
    return {(date, metal): parse_ohlc(answer, date=date, metal=metal, currency=settings.BASE_CURRENCY, now=now)}


def _failure_of_days(answer: Any) -> ProviderError | None:
    """Like `failure`, but \"no results\" is NoDataError, which does not count as a failure."""
    error = failure(answer)
    if error and isinstance(answer["error"], Mapping) and parsing.code(answer["error"], "statusCode") == _NO_DATA:
        return NoDataError(str(error))
    return error


def _successful(answer: Any, explain: Callable[[Any], ProviderError | None]) -> Mapping[str, Any]:
    if error := explain(answer):
        raise error
    given = parsing.fields(answer)
    if given.get("success") is not True:
        raise TemporaryError(f"gives {parsing.shown(given.get('success'))} as success")
    return given


def parse_day(answer: Any, *, date: dt.date, metals: Sequence[Metal], currency: str, now: dt.datetime) -> Days:
    """Parse an answer for one day: the quote of each metal, or the reason why it has none. No data is left out.

    Raises ProviderError if it has no quotes at all, or has them of another day or in another currency.
    """
    given = _successful(answer, _failure_of_days)
    parsing.expect_currency(given.get("base"), currency)
    quoted_at = parsing.quote_time(given, "timestamp", now=now)
    parsing.expect_date(quoted_at, date)
    rates = parsing.part(given, "rates")
    return parsing.each(product([date], metals), lambda day: _quote_of_day(rates, day[1], currency, quoted_at))


def parse_days(answer: Any, *, first: dt.date, last: dt.date, metals: Sequence[Metal], currency: str) -> Days:
    """Parse an answer of `timeframe`: a quote for each metal and day, as of its end, or the reason why it has none.

    Days and metals without a price are left out. Raises ProviderError if it has no quotes at all, or has them in
    another currency.
    """
    given = _successful(answer, _failure_of_days)
    parsing.expect_currency(given.get("base"), currency)
    rates = parsing.part(given, "rates")

    def of_day(day: tuple[dt.date, Metal]) -> Quote:
        date, metal = day
        if rates.get(date.isoformat()) is None:
            raise NoDataError(f"gives nothing as {date}")
        return _quote_of_day(parsing.part(rates, date.isoformat()), metal, currency, parsing.close_of(date))

    return parsing.each(product(parsing.dates_between(first, last), metals), of_day)


def parse_ohlc(answer: Any, *, date: dt.date, metal: Metal, currency: str, now: dt.datetime) -> Quote:
    """Parse an answer of `ohlc`, whose price is the day's close.

    Raises ProviderError if it has no quote, or one of another metal, day or currency.
    """
    given = _successful(answer, _failure_of_days)
    parsing.expect_symbol(given.get("base"), metal)
    parsing.expect_currency(given.get("quote"), currency)
    quoted_at = parsing.quote_time(given, "timestamp", now=now)
    parsing.expect_date(quoted_at, date)
    rate = parsing.part(given, "rate")
    return parsing.quote(
        metal=metal,
        price=parsing.price_of_day(rate, "close"),
        currency=currency,
        source=NAME,
        quoted_at=quoted_at,
        open=rate.get("open"),
        high=rate.get("high"),
        low=rate.get("low"),
    )


def _quote_of_day(rates: Mapping[str, Any], metal: Metal, currency: str, quoted_at: dt.datetime) -> Quote:
    pair = currency + metal.symbol
    parsing.price_of_day(rates, pair if rates.get(pair) is not None else metal.symbol)
    return _quote(rates, metal, currency, quoted_at)
