"""Examples for the API's page, one for each endpoint."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

from prices.domain.fineness import PURITIES_OF, WEIGHTS_OF, purity_labels
from prices.domain.quotes import Metal
from prices.domain.units import UNITS

_QUOTE: Final[dict[str, Any]] = {
    "price": 13221.39,
    "change": 20.21,
    "changePercent": 0.15,
    "high": 13274.1,
    "low": 13116,
    "open": 13178.4,
    "previousClose": 13201.18,
    "timestamp": "2026-09-24T08:00:00.120Z",
    "source": "gold_api_com",
    "stale": False,
    "bid": 13220,
    "ask": 13222.5,
}
_AGREED: Final = _QUOTE | {"source": "consensus", "contributors": 3, "dispersionPercent": 0.05}
_PER: Final = {"market": "open", "currency": "INR", "unit": "gram", "purity": "24k"}


def _answer(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True, status_codes=["200"])


def _table(name: str, text: str) -> OpenApiExample:
    return OpenApiExample(name, text, response_only=True, status_codes=["200"], media_type="text/csv")


METAL: Final = _answer(
    "Gold",
    {
        "name": "gold",
        "displayName": "Gold",
        "symbol": "XAU",
        "units": list(UNITS),
        "weights": list(WEIGHTS_OF[Metal.GOLD]),
        "purities": list(PURITIES_OF[Metal.GOLD]),
        "purityLabels": purity_labels(Metal.GOLD),
    },
)
PRICES: Final = _answer("Prices", {"data": {"gold": _AGREED}, "epoch": "q7Vb2xWk", "seq": 18231, **_PER})
POLL: Final = _answer(
    "News of a waiting poll",
    {
        "type": "priceUpdate",
        "data": {"gold": _QUOTE},
        "changes": [
            {"metal": "gold", "oldPrice": 13080, "newPrice": 13221.39, "changePercent": 1.08, "direction": "up"}
        ],
        "timestamp": "2026-09-24T08:00:01.004Z",
        "epoch": "q7Vb2xWk",
        "seq": 18231,
        "snapshot": False,
        "currency": "INR",
        "unit": "gram",
        "status": {
            "type": "status",
            "feed": "live",
            "market": "open",
            "nextChange": "2026-09-24T21:00:00.000Z",
            "source": "gold_api_com",
            "metals": {"gold": "live"},
            "epoch": "q7Vb2xWk",
            "timestamp": "2026-09-24T08:00:01.004Z",
        },
    },
)
PRICE: Final = _answer("Price", {"metal": "gold", **_QUOTE, **_PER})
PRICE_AT: Final = _answer(
    "Price at a moment",
    {"metal": "gold", **_QUOTE, "epoch": "q7Vb2xWk", "seq": 18231, "publishedAt": "2026-09-24T08:00:01.004Z", **_PER},
)
PUBLICATION: Final = _answer(
    "Two sources that agree, and one that does not",
    {
        "epoch": "q7Vb2xWk",
        "seq": 18231,
        "publishedAt": "2026-09-24T08:00:01.004Z",
        "currency": "INR",
        "unit": "gram",
        "metals": {
            "gold": {
                "price": 13221.3876,
                "spot": 12473.0072,
                "bid": 13220.8484,
                "ask": 13221.5024,
                "source": "consensus",
                "kind": "live",
                "method": "consensus",
                "quotedAt": "2026-09-24T08:00:00.120Z",
                "ageMs": 884,
                "freshnessLimitMs": 300000,
                "stale": False,
                "premium": 1.06,
                "premiumIncludedBySource": False,
                "contributors": 2,
                "dispersionPercent": 0.002,
                "sources": [
                    {
                        "source": "gold_api_com",
                        "used": True,
                        "rawPrice": 387960.12,
                        "rawCurrency": "INR",
                        "rawUnit": "troy_ounce",
                        "quotedAt": "2026-09-24T08:00:00.120Z",
                        "fetchedAt": "2026-09-24T08:00:00.731Z",
                        "spot": 12473.2075,
                        "deviationPercent": 0.0016,
                    },
                    {
                        "source": "swissquote",
                        "used": True,
                        "rawPrice": 4042.806,
                        "rawCurrency": "USD",
                        "rawUnit": "troy_ounce",
                        "quotedAt": "2026-09-24T08:00:00.322Z",
                        "fetchedAt": "2026-09-24T08:00:00.873Z",
                        "exchangeRate": 95.96,
                        "exchangeRateSource": "frankfurter",
                        "exchangeRateAsOf": "2026-09-23T00:00:00.000Z",
                        "spot": 12472.807,
                        "bid": 12472.4985,
                        "ask": 12473.1155,
                        "deviationPercent": -0.0016,
                    },
                    {"source": "metals_dev", "used": False, "excludedBy": "error"},
                ],
            }
        },
    },
)
STREAM: Final = OpenApiExample(
    "A price",
    'id: q7Vb2xWk:18231\nevent: priceUpdate\ndata: {"type":"priceUpdate",…}\n\n',
    response_only=True,
    status_codes=["200"],
    media_type="text/event-stream",
)
MARKET: Final = _answer(
    "Open", {"market": "open", "nextChange": "2026-09-24T21:00:00.000Z", "timestamp": "2026-09-24T08:00:00.000Z"}
)
CONFIG: Final = _answer(
    "Config",
    {
        "baseCurrency": "INR",
        "unit": "gram",
        "changeThresholdPercent": 1,
        "updateIntervalMs": 60000,
        "freshnessLimitMs": 300000,
        "closedUpdateIntervalMs": 900000,
        "fallbackAfterMs": 3600000,
        "providers": ["gold_api_com"],
        "consensusSources": 0,
        "maxJumpPercent": 5,
        "maxDriftPercentGold": 15,
        "maxDriftPercentSilver": 25,
        "maxDriftPercentPlatinum": 25,
        "maxDriftPercentPalladium": 25,
        "premiums": {"gold": {"multiplier": 1.06, "effectiveFrom": "2026-09-24T08:00:00.000Z", "note": "duty"}},
        "bands": {"gold": {"lowest": 2305.829, "highest": 36893.2648}},
        "maxConnections": 100,
        "rateLimit": 10,
        "userRateLimit": 300,
        "rateWindowMs": 60000,
        "maxMessageBytes": 16384,
        "timeZone": "Asia/Kolkata",
    },
)
CONFIG_CHANGES: Final = OpenApiExample(
    "Every two minutes", {"updateIntervalMs": 120000, "changeThresholdPercent": 0.5}, request_only=True
)
FALLBACK: Final = _answer(
    "Gold",
    {
        "metal": "gold",
        "currency": "INR",
        "price": 13200,
        "asOf": "2026-09-24T08:00:00.000Z",
        "expiresAt": "2026-09-24T18:30:00.000Z",
        "note": "the association's rate of this morning",
        "example": False,
        "onScreen": False,
        "version": 7,
    },
)
FALLBACK_CHANGES: Final = OpenApiExample(
    "A new price",
    {"price": 13250, "expiresAt": "2026-09-24T18:30:00Z", "note": "the association's rate", "version": 7},
    request_only=True,
)
_PROPOSAL: Final = {
    "id": 12,
    "summary": "fallback price of gold: price per gram 13,200.0000 → 13,900",
    "detail": "13,900.0000 is +5.1 % from 13,221.3900, the last price. asha may move a price by 2 % alone.",
    "reason": "",
    "proposedBy": "asha",
    "proposedAt": "2026-09-24T08:00:00.000Z",
    "expiresAt": "2026-09-24T09:00:00.000Z",
    "state": "pending",
    "decidedBy": None,
    "decidedAt": None,
    "outcome": "",
}
PROPOSED: Final = OpenApiExample("It waits", _PROPOSAL, response_only=True, status_codes=["202"])
PROPOSAL: Final = _answer(
    "Approved",
    {**_PROPOSAL, "state": "approved", "decidedBy": "meera", "decidedAt": "2026-09-24T08:04:10.000Z"},
)
DECISION: Final = OpenApiExample("Approve it", {"decision": "approve"}, request_only=True)
PROVIDER: Final = _answer(
    "A source",
    {
        "name": "gold_api_com",
        "position": 0,
        "enabled": True,
        "tolerancePercent": 1,
        "health": "well",
        "healthInWords": "works",
        "breaker": "closed",
        "lastSuccessAt": "2026-09-24T08:00:00.000Z",
        "lastErrorAt": None,
        "lastError": "",
        "latencyMs": 210,
        "quota": None,
        "restsUntil": None,
        "openUntil": None,
        "failures": 0,
        "standsStillMs": {},
        "disagreement": "",
        "disagreedAt": None,
        "refreshesTotal": 1200,
        "failuresTotal": 3,
        "callsTotal": 4812,
        "setAsideTotal": 0,
    },
)

_SERIES: Final = {"metal": "gold", "currency": "INR", "unit": "gram", "purity": "24k"}
HISTORY: Final = _answer(
    "Ticks",
    {
        **_SERIES,
        "data": [
            {
                "metal": "gold",
                "price": 13221.39,
                "bid": 13220,
                "ask": 13222.5,
                "source": "gold_api_com",
                "timestamp": "2026-09-24T08:00:00.120Z",
                "publishedAt": "2026-09-24T08:00:01.004Z",
                "seq": 18231,
                "at": "2026-09-24T08:00:00.120Z",
            }
        ],
        "next": None,
    },
)
CANDLES: Final = _answer(
    "Candles",
    {
        **_SERIES,
        "interval": "1h",
        "lane": "live",
        "data": [
            {
                "start": "2026-09-24T08:00:00.000Z",
                "end": "2026-09-24T09:00:00.000Z",
                "open": 13221.39,
                "high": 13240,
                "low": 13210.5,
                "close": 13233.1,
                "ticks": 60,
                "closed": True,
                "seq": 18231,
            }
        ],
        "next": None,
    },
)
CHANGES: Final = _answer(
    "Moves",
    {
        "currency": "INR",
        "unit": "gram",
        "data": [
            {
                "metal": "gold",
                "oldPrice": 13080,
                "newPrice": 13221.39,
                "changePercent": 1.08,
                "direction": "up",
                "timestamp": "2026-09-24T08:00:01.004Z",
                "seq": 18231,
            }
        ],
        "next": None,
    },
)
HISTORY_CSV: Final = _table(
    "Ticks",
    "metal,currency,unit,purity,date,time,price,source,timestamp,publishedAt,seq,at\r\n"
    "gold,INR,gram,24k,2026-09-24,13:30:00,13221.39,gold_api_com,2026-09-24T08:00:00.120Z,2026-09-24T08:00:01.004Z,18231,"
    "2026-09-24T08:00:00.120Z\r\n",
)
CANDLES_CSV: Final = _table(
    "Candles",
    "metal,currency,unit,purity,interval,lane,date,time,start,end,open,high,low,close,ticks,closed,seq\r\n"
    "gold,INR,gram,24k,1h,live,2026-09-24,13:30:00,2026-09-24T08:00:00.000Z,2026-09-24T09:00:00.000Z,13221.39,13240,"
    "13210.5,13233.1,60,true,18231\r\n",
)
CHANGES_CSV: Final = _table(
    "Moves",
    "metal,currency,unit,date,time,oldPrice,newPrice,changePercent,direction,timestamp,seq\r\n"
    "gold,INR,gram,2026-09-24,13:30:01,13080,13221.39,1.08,up,2026-09-24T08:00:01.004Z,18231\r\n",
)
