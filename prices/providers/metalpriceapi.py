"""metalpriceapi.com: one call for all metals, per troy ounce; the price alone, a daily one in the free plan.

`GET /v1/latest?base=INR&currencies=XAU,XAG,XPT,XPD`, the key in `X-API-KEY`. `rates` holds `INRXAU`, which is INR per
ounce, and `XAU`, its reciprocal; some answers hold the reciprocal alone.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any, Final

from django.conf import settings

from prices.providers.errors import PermanentError, ProviderError, QuotaError, TemporaryError
from prices.providers.http import Client
from prices.providers.parsing import (
    code,
    each,
    expect_currency,
    fields,
    part,
    positive_decimal,
    quote,
    quote_time,
    shown,
)
from prices.quotes import Metal, Quote

NAME = "metalpriceapi"

_QUOTA: Final = "105"
# No key, a bad one, one that is not active; and from 201 on, what was asked for.
_FOR_A_PERSON: Final = ("101", "102", "103", "2")
# A reciprocal of fewer digits may be wrong by more than 0.05 %; and no currency buys less than this.
_FEWEST_DIGITS: Final = 4
_LEAST: Final = Decimal("1e-15")


def fetch(metals: Sequence[Metal], *, client: Client, now: dt.datetime) -> dict[Metal, Quote | ProviderError]:
    """Ask for all metals in the base currency. Raises ProviderError."""
    answer = client.get_json(
        f"{settings.METALPRICEAPI_URL}/v1/latest",
        headers={"X-API-KEY": settings.METALPRICEAPI_KEY},
        params={"base": settings.BASE_CURRENCY, "currencies": ",".join(metal.symbol for metal in metals)},
        explain=failure,
    )
    return parse(answer, metals=metals, currency=settings.BASE_CURRENCY, now=now)


def failure(answer: Any) -> ProviderError | None:
    """What a failure means, which usually comes with HTTP 200; None for an answer that is none."""
    if not isinstance(answer, Mapping) or answer.get("success") is not False:
        return None
    said = answer.get("error")
    said = said if isinstance(said, Mapping) else {"message": said}
    number = code(said, "statusCode")
    message = f"answers with failure {shown(number)}: {shown(said.get('message'))}"
    if number == _QUOTA:
        return QuotaError(message)
    return PermanentError(message) if number.startswith(_FOR_A_PERSON) else TemporaryError(message)


def parse(
    answer: Any, *, metals: Sequence[Metal], currency: str, now: dt.datetime
) -> dict[Metal, Quote | ProviderError]:
    """The quotes in one answer, and why there is none of a metal.

    Raises ProviderError when there are none, or when they are in another currency than was asked for.
    """
    if trouble := failure(answer):
        raise trouble
    given = fields(answer)
    if given.get("success") is not True:
        raise TemporaryError(f"gives {shown(given.get('success'))} as success")
    expect_currency(given.get("base"), currency)
    rates = part(given, "rates")
    quoted_at = quote_time(given, "timestamp", now=now)
    return each(
        metals,
        lambda metal: quote(
            metal=metal,
            price=_per_ounce(rates, metal.symbol, currency),
            currency=currency,
            source=NAME,
            quoted_at=quoted_at,
        ),
    )


def _per_ounce(rates: Mapping[str, Any], symbol: str, currency: str) -> Decimal:
    """The price of an ounce. Raises ProviderError where there is none, or two that contradict each other."""
    pair = currency + symbol
    if rates.get(pair) is None:
        return _inverted(rates, symbol)
    price = positive_decimal(rates, pair)
    # The reciprocal may have a digit or two only: enough to see that a pair is not the wrong way round.
    if rates.get(symbol) is not None and not Decimal("0.5") <= price * positive_decimal(rates, symbol) <= 2:
        raise TemporaryError(f"gives {shown(price)} as {pair} and {shown(rates[symbol])} as {symbol}")
    return price


def _inverted(rates: Mapping[str, Any], symbol: str) -> Decimal:
    ounces = positive_decimal(rates, symbol)
    if ounces < _LEAST or len(ounces.normalize().as_tuple().digits) < _FEWEST_DIGITS:
        raise TemporaryError(f"gives {shown(ounces)} as {symbol}, which has too few digits for a price")
    with localcontext() as context:
        context.prec = 40
        return positive_decimal({symbol: 1 / ounces}, symbol)
