"""The one view: as many bytes of JSON as the prices of four metals have."""

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

_QUOTE: Final = {
    "price": 13221.3912,
    "change": 20.2134,
    "changePercent": 0.15,
    "high": 13274.1023,
    "low": 13116.0412,
    "open": 13178.4345,
    "previousClose": 13201.1834,
    "timestamp": "2026-09-26T07:57:03.120Z",
    "source": "simulated",
    "stale": False,
    "bid": 13220.1212,
    "ask": 13222.3434,
}
_BODY: Final = {
    "data": dict.fromkeys(("gold", "silver", "platinum", "palladium"), _QUOTE),
    "seq": 18231,
    "market": "open",
    "currency": "INR",
    "unit": "gram",
    "purity": "24k",
}


async def bare(request: HttpRequest) -> HttpResponse:
    response = JsonResponse(_BODY)
    response["Content-Length"] = str(len(response.content))  # which a middleware would write
    return response


async def alive(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


urlpatterns = [path("bare/", bare), path("healthz", alive)]
