"""The APIs of all providers, for tests: the good answers of each, where its figures stand, and its failures."""

import datetime as dt
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from prices.providers.errors import PermanentError, ProviderError, QuotaError, TemporaryError
from tests.support.strange import changed

# With a sign that an address writes in another way.
KEY: Final = "Not-a-real-key-0123456789+abcdef"
NAMES: Final = {"XAU": "gold", "XAG": "silver", "XPT": "platinum", "XPD": "palladium"}
_PER_OUNCE: Final = {"XAU": 286877.2, "XAG": 3267.3, "XPT": 118954.04, "XPD": 102613.34}
PER_GRAM: Final = {"gold": 9223.3162, "silver": 105.0461, "platinum": 3824.4612, "palladium": 3299.0955}
_IN_DOLLARS: Final = {"XAU": 2989.55, "XAG": 34.05, "XPT": 1239.62, "XPD": 1069.34}
_RECIPROCALS: Final = {"XAU": 3.4858e-06, "XAG": 0.00030606, "XPT": 8.4066e-06, "XPD": 9.7453e-06}
DOLLAR: Final = 95.96

Failure: TypeAlias = tuple[int, str, type[ProviderError], str]  # the status, the body, its kind, and its cause in words


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderApi:
    """One provider: `well` is its good answer for a symbol; `price`, `time`, … are where these stand in the answer.

    `requests` are what a refresh of all metals in INR sends, and `key_header` the header of its key, if it has one.
    `published` is what its good answers come to, per gram in INR. `failures` are its own messages.
    """

    name: str
    requests: Sequence[str]
    well: Callable[[str, dt.datetime], Any]
    price: Sequence[str]
    time: str
    published: Mapping[str, str]
    failures: Sequence[Failure]
    currency: str = ""
    metal: str = ""
    key_header: str = ""

    def with_price(self, answer: Any, value: Any) -> Any:
        """The answer with another price of gold wherever it has one; without any where the value is `...`."""
        for path in self.price:
            answer = changed(answer, path, value)
        return answer

    def with_time(self, answer: Any, value: Any) -> Any:
        """The answer with another time."""
        return changed(answer, self.time, value)


def _iso(at: dt.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _gold_api_com(symbol: str, at: dt.datetime) -> Any:
    return {"currency": "INR", "price": _PER_OUNCE[symbol], "symbol": symbol, "updatedAt": _iso(at)}


def _goldapi_io(symbol: str, at: dt.datetime) -> Any:
    price = _PER_OUNCE[symbol]
    return {
        "timestamp": int(at.timestamp()),
        "metal": symbol,
        "currency": "INR",
        "price": price,
        "bid": price,
        "ask": round(price * 1.0001, 2),
        "open_price": price,
        "high_price": round(price * 1.001, 2),
        "low_price": round(price * 0.999, 2),
        "prev_close_price": None,
    }


def _metals_dev(symbol: str, at: dt.datetime) -> Any:
    return {
        "status": "success",
        "currency": "INR",
        "unit": "g",
        "metals": dict(PER_GRAM),
        "timestamps": {"metal": _iso(at), "currency": _iso(at)},
    }


def _metalpriceapi(symbol: str, at: dt.datetime) -> Any:
    rates = _RECIPROCALS | {f"INR{name}": price for name, price in _PER_OUNCE.items()}
    return {"success": True, "base": "INR", "timestamp": int(at.timestamp()), "rates": rates}


def _swissquote(symbol: str, at: dt.datetime) -> Any:
    # To the cent, as these are: a float's own error would be a price of its own.
    bid, ask = round(_IN_DOLLARS[symbol] - 0.01, 2), round(_IN_DOLLARS[symbol] + 0.01, 2)
    profile = {"spreadProfile": "prime", "bid": bid, "ask": ask}
    return [{"topo": {"platform": "AT"}, "spreadProfilePrices": [profile], "ts": int(at.timestamp()) * 1000}]


_AS_IT_IS = {name: str(price) for name, price in PER_GRAM.items()}
_ALL: Final = (
    ProviderApi(
        name="gold_api_com",
        requests=[f"/price/{symbol}/INR" for symbol in NAMES],
        well=_gold_api_com,
        price=["price"],
        time="updatedAt",
        currency="currency",
        metal="symbol",
        published=_AS_IT_IS,
        failures=[
            (200, '{"error":"Symbol not found"}', TemporaryError, "answers with an error: 'Symbol not found'"),
            (404, '{"error":"Symbol not found"}', PermanentError, "answers HTTP 404: 'Symbol not found'"),
        ],
    ),
    ProviderApi(
        name="goldapi_io",
        requests=[f"/api/{symbol}/INR" for symbol in NAMES],
        key_header="x-access-token",
        well=_goldapi_io,
        price=["price"],
        time="timestamp",
        currency="currency",
        metal="metal",
        published=_AS_IT_IS,
        failures=[
            (200, '{"error":"No data"}', TemporaryError, "answers with an error: 'No data'"),
            (200, '{"error":"Invalid API Key"}', PermanentError, "answers with an error: 'Invalid API Key'"),
            (401, '{"error":"Unauthorized"}', PermanentError, "answers HTTP 401: 'Unauthorized'"),
            (403, '{"error":"You hit your monthly quota"}', QuotaError, ".*: 'You hit your monthly quota'"),
            (429, '{"error":"You hit your monthly quota"}', QuotaError, ".*: 'You hit your monthly quota'"),
        ],
    ),
    ProviderApi(
        name="metals_dev",
        requests=[f"/v1/latest?api_key={quote(KEY)}&currency=INR&unit=g"],
        well=_metals_dev,
        price=["metals.gold"],
        time="timestamps.metal",
        currency="currency",
        published=_AS_IT_IS,
        failures=[
            (
                status,
                f'{{"status":"failure","error_code":{code},"error_message":"No."}}',
                kind,
                f"answers with failure '{code}': 'No.'",
            )
            for status in (200, 401, 429, 503)
            for code, kind in ((1101, PermanentError), (1203, QuotaError), (2103, PermanentError), (9, TemporaryError))
        ],
    ),
    ProviderApi(
        name="metalpriceapi",
        requests=["/v1/latest?base=INR&currencies=XAU%2CXAG%2CXPT%2CXPD"],
        key_header="x-api-key",
        well=_metalpriceapi,
        price=["rates.INRXAU", "rates.XAU"],
        time="timestamp",
        currency="base",
        published=_AS_IT_IS,
        failures=[
            *(
                (
                    status,
                    f'{{"success":false,"error":{{"statusCode":{code},"message":"No."}}}}',
                    kind,
                    f"answers with failure '{code}': 'No.'",
                )
                for status in (200, 403)
                for code, kind in ((101, PermanentError), (104, TemporaryError), (105, QuotaError))
            ),
            (
                401,
                '{"message":"Invalid authentication credentials."}',
                PermanentError,
                "answers HTTP 401: 'Invalid authentication credentials.'",
            ),
        ],
    ),
    ProviderApi(
        name="swissquote",
        requests=[f"/public-quotes/bboquotes/instrument/{symbol}/USD" for symbol in NAMES],
        well=_swissquote,
        price=["0.spreadProfilePrices.0.bid", "0.spreadProfilePrices.0.ask"],
        time="0.ts",
        # (bid + ask) / 2 x 95.96 / 31.1034768
        published={"gold": "9223.3167", "silver": "105.0506", "platinum": "3824.4578", "palladium": "3299.1124"},
        failures=[
            (200, "[]", TemporaryError, "gives no bid and ask"),
            (200, '{"error":"?"}', TemporaryError, "answers with a dict where a list was expected"),
            (404, '{"error":"?"}', PermanentError, r"answers HTTP 404: '\?'"),
        ],
    ),
)
KEY_HEADERS: Final = {api.key_header for api in _ALL if api.key_header}
PROVIDER_APIS: Final[Mapping[str, ProviderApi]] = {api.name: api for api in _ALL}

Answer: TypeAlias = Callable[[Request], Response]


def symbol_of(request: Request) -> str:
    """The symbol in a path or a query; gold's where there is none."""
    return next((part for part in (*request.path.split("/"), *request.args.values()) if part in NAMES), "XAU")


def in_json(answer: Any, status: int = 200) -> Response:
    return Response(json.dumps(answer), status=status, content_type="application/json")


class Market:
    """All providers as one real server, each at its own path; `answers` may be changed, `requests` has all of them."""

    def __init__(self, server: HTTPServer, settings: Settings, at: dt.datetime) -> None:
        self.url = server.url_for("").rstrip("/")
        self.requests: list[Request] = []
        self.answers: dict[str, Answer] = {name: self.well(name, at) for name in PROVIDER_APIS}
        day = {"amount": 1.0, "base": "USD", "date": f"{at:%Y-%m-%d}", "rates": {"INR": DOLLAR}}
        self.answers["frankfurter"] = lambda request: in_json(day)
        daily = {
            "result": "success",
            "time_last_update_unix": int(at.timestamp()),
            "base_code": "USD",
            "rates": {"INR": DOLLAR + 1},
        }
        self.answers["open_er_api"] = lambda request: in_json(daily)
        for name in self.answers:
            setattr(settings, f"{name.upper()}_URL", f"{self.url}/{name}")
        self._taking_turns = threading.Lock()
        server.expect_request(re.compile("/.*")).respond_with_handler(self._respond)

    def well(self, name: str, at: dt.datetime, of_gold: Callable[[Any], Any] = lambda answer: answer) -> Answer:
        """A provider's good answers as of a time; the one that holds gold as `of_gold` makes it."""

        def answer(request: Request) -> Response:
            symbol = symbol_of(request)
            said = PROVIDER_APIS[name].well(symbol, at)
            return in_json(of_gold(said) if symbol == "XAU" else said)

        return answer

    def of(self, name: str) -> list[Request]:
        """The requests to this provider."""
        return [request for request in self.requests if request.path.startswith(f"/{name}/")]

    def _respond(self, request: Request) -> Response:
        with self._taking_turns:
            self.requests.append(request)
        return self.answers[request.path.split("/")[1]](request)
