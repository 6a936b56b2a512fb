"""Each provider with each fault, by real HTTP: the error's kind, the source that gives the price instead, the log."""

import contextlib
import datetime as dt
import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeAlias
from urllib.parse import quote

import pytest
from django.test import Client as Browser
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from infra.clock import Clock
from infra.redaction import TokenlessFormatter
from prices.domain.provider_table import PROVIDER_TABLE
from prices.domain.quotes import FALLBACK, Metal, PriceKind, Quote
from prices.models import Price, ProviderState
from prices.providers import PROVIDERS, Provider, fx
from prices.providers.errors import PermanentError, ProviderError, TemporaryError
from prices.providers.http import LARGEST_BODY, Client
from prices.publishing import snapshot
from prices.refresh import refresh
from prices.sources import failover
from tests.support.provider_apis import KEY, KEY_HEADERS, PROVIDER_APIS, Answer, Market, ProviderApi, in_json
from tests.support.quotes import NOW
from tests.support.sources import Behaviour, drips, hangs, raw_source, sends
from tests.support.strange import at, changed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("each_price_recomputes")]

HTML = "<html><body><h1>Sorry</h1></body></html>"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TOO_LATE = "no answer in time"
# For one that hangs alone: those that answer have ten seconds, for the machine may be busy.
SHORT = 0.3
MINUTE = dt.timedelta(minutes=1)
FRIDAY = dt.datetime(2026, 9, 18, 20, 59, tzinfo=dt.UTC)
# What the source after the one with the fault says.
NEXT_PER_OUNCE = {"XAU": 288000, "XAG": 3300, "XPT": 119000, "XPD": 103000}
NEXT_PUBLISHED = {"gold": "9259.4150", "silver": "106.0975", "platinum": "3825.9388", "palladium": "3311.5269"}


def next_after(api: ProviderApi) -> str:
    return "goldapi_io" if api.name == "gold_api_com" else "gold_api_com"


@pytest.fixture
def market(http: HTTPServer, settings: Settings, seeded: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    """All providers, well, with keys; and a process that knows no rates yet."""
    for name in settings.SECRET_SETTINGS:
        setattr(settings, name, KEY)
    settings.PROVIDER_BUDGET = dt.timedelta(seconds=10)
    monkeypatch.setattr(fx, "_rates", fx.Rates())
    yield Market(http, settings, NOW)
    http.check()
    http.clear()


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[Metal, ProviderError]]:
    """The errors of each source in the refreshes so far."""
    errors: dict[str, dict[Metal, ProviderError]] = {}
    fetch = failover.one_after_the_other

    def overheard(*args: Any, take: Callable[[failover.Outcome], Collection[Metal]]) -> None:
        def note(outcome: failover.Outcome) -> Collection[Metal]:
            errors[outcome.source] = outcome.errors
            return take(outcome)

        fetch(*args, take=note)

    monkeypatch.setattr(failover, "one_after_the_other", overheard)
    return errors


def refresh_at(at: dt.datetime) -> None:
    refresh(clock=lambda: at)


def published() -> dict[str, tuple[str, str]]:
    """The source and price of each current price, after seeing that nothing else was published, ever."""
    current = snapshot.read().quotes
    shown = {metal.value: (each.quote.source, str(each.quote.price)) for metal, each in current.items()}
    ever = {(price.metal_id, price.source, str(price.price)) for price in Price.objects.exclude(source=FALLBACK)}
    assert ever <= {(metal, *source_and_price) for metal, source_and_price in shown.items()}
    return shown


# --- when all is well ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", PROVIDER_APIS.values(), ids=list(PROVIDER_APIS))
def test_a_provider_is_fetched_as_it_documents_and_its_prices_go_out_exactly(
    api: ProviderApi, market: Market, settings: Settings, log: Callable[[], list[str]]
) -> None:
    settings.PRICE_PROVIDERS = [api.name]
    refresh_at(NOW)
    assert published() == {metal: (api.name, price) for metal, price in api.published.items()}
    assert log() == []
    requests = sorted(request.full_path.removeprefix(f"/{api.name}").rstrip("?") for request in market.of(api.name))
    assert requests == sorted(api.requests)
    for request in market.of(api.name):
        keys = {header: request.headers[header] for header in KEY_HEADERS if header in request.headers}
        assert keys == ({api.key_header: KEY} if api.key_header else {})


@pytest.mark.parametrize("api", PROVIDER_APIS.values(), ids=list(PROVIDER_APIS))
def test_a_price_in_quotes_is_the_same_price(api: ProviderApi, market: Market, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [api.name]

    def in_quotes(answer: Any) -> Any:
        for path in api.price:
            answer = changed(answer, path, str(at(answer, path)))
        return answer

    market.answers[api.name] = market.well(api.name, NOW, in_quotes)
    refresh_at(NOW)
    assert published()["gold"] == (api.name, api.published["gold"])


TIMES: dict[str, Callable[[dt.datetime], object]] = {
    "seconds": lambda at: int(at.timestamp()),
    "milliseconds": lambda at: int(at.timestamp()) * 1000,
    "seconds in quotes": lambda at: str(int(at.timestamp())),
    "ISO": lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "ISO with milliseconds": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
}


@pytest.mark.parametrize("api", PROVIDER_APIS.values(), ids=list(PROVIDER_APIS))
@pytest.mark.parametrize("written", TIMES)
def test_a_time_is_read_as_it_is_written(written: str, api: ProviderApi, market: Market, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [api.name]
    market.answers[api.name] = market.well(
        api.name, NOW, lambda answer: api.with_time(answer, TIMES[written](NOW - MINUTE))
    )
    refresh_at(NOW)
    gold = snapshot.read().quotes[Metal.GOLD].quote
    assert (gold.source, gold.quoted_at) == (api.name, NOW - MINUTE)


@pytest.mark.parametrize("api", PROVIDER_APIS.values(), ids=list(PROVIDER_APIS))
def test_a_weekends_old_quote_is_shown_as_old_where_nobody_has_a_fresh_one(
    api: ProviderApi,
    market: Market,
    settings: Settings,
    errors: dict[str, dict[Metal, ProviderError]],
    in_matrix: Callable[[str], None],
) -> None:
    settings.PRICE_PROVIDERS = [api.name]
    market.answers[api.name] = market.well(api.name, FRIDAY)
    refresh_at(NOW)
    in_matrix(row(api, "a time of last week, and no next source", errors[api.name][Metal.GOLD]))
    current = snapshot.read()
    assert published() == {metal: (api.name, price) for metal, price in api.published.items()}
    assert {each.quote.quoted_at for each in current.quotes.values()} == {FRIDAY}
    assert all(current.is_stale(each, NOW) for each in current.quotes.values())


def test_a_reciprocal_without_its_pair_is_inverted(market: Market, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["metalpriceapi"]

    def alone(answer: Any) -> Any:
        return answer | {"rates": {name: rate for name, rate in answer["rates"].items() if name != "INRXAU"}}

    market.answers["metalpriceapi"] = market.well("metalpriceapi", NOW, alone)
    refresh_at(NOW)
    # 1 / 3.4858e-06 / 31.1034768
    assert published()["gold"] == ("metalpriceapi", "9223.3480")
    assert published()["silver"] == ("metalpriceapi", "105.0461")


# --- when it is not ------------------------------------------------------------------------------------------------

Break: TypeAlias = Callable[[ProviderApi, Market], Answer]


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to fail: the provider's answer, or its connection's behaviour; the error's kind and its cause in the log.

    `costs` is `all` metals, or `gold` alone, or `its answer`: gold alone where each metal has a call of its own.
    """

    answers: Break | None
    kind: type[ProviderError]
    cause: str
    costs: str = "all"
    behaves: Behaviour | None = None


def says(text: str | bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> Break:
    """The same answer to each request."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda api, market: lambda request: Response(text, status, fields, content_type=content_type)


def html(status: int) -> Break:
    return says(HTML, status, "text/html")


def prices(value: Any) -> Break:
    """A good answer with another price of gold."""
    return lambda api, market: market.well(api.name, NOW, lambda answer: api.with_price(answer, value))


def times(value: Any) -> Break:
    """A good answer with another time in the one that holds gold."""
    return lambda api, market: market.well(api.name, NOW, lambda answer: api.with_time(answer, value))


def cut_short(api: ProviderApi, market: Market) -> Answer:
    well = market.well(api.name, NOW)

    def answer(request: Request) -> Response:
        whole = well(request).get_data()
        return Response(whole[: len(whole) // 2], content_type="application/json")

    return answer


NO_AMOUNT = "which is not a positive number that an amount can be"
PRICE = f"({'|'.join(path.rpartition('.')[2] for api in PROVIDER_APIS.values() for path in api.price)})"
FAULTS = {
    "403 in HTML": Fault(html(403), PermanentError, "answers HTTP 403"),
    "429 in HTML": Fault(html(429), TemporaryError, "answers HTTP 429"),
    "503 in HTML": Fault(html(503), TemporaryError, "answers HTTP 503"),
    "200 in HTML": Fault(html(200), TemporaryError, "answers with HTML"),
    "truncated JSON": Fault(cut_short, TemporaryError, "answers with something that is not JSON"),
    "an empty body": Fault(says(""), TemporaryError, "answers with something that is not JSON"),
    "another shape": Fault(says("7"), TemporaryError, "answers with a Decimal where an? (object|list) was expected"),
    "a redirect": Fault(
        says("", 302, Location=f"https://login.example/?api_key={KEY}"), PermanentError, "redirects to 'login.example'"
    ),
    "a huge body": Fault(says(b" " * LARGEST_BODY + b"{}"), TemporaryError, "answers with more than 256 KB"),
    "a hang": Fault(None, TemporaryError, TOO_LATE, behaves=hangs),
    "a slow answer": Fault(None, TemporaryError, TOO_LATE, behaves=drips(OK + b"Content-Length: 900\r\n\r\n", b" ")),
    "a connection that ends": Fault(
        None,
        TemporaryError,
        r"cannot be reached \(ProtocolError\)",
        behaves=sends(OK + b"Content-Length: 900\r\n\r\n{}"),
    ),
    "no price": Fault(prices(...), TemporaryError, f"gives nothing as {PRICE}", "gold"),
    "a null price": Fault(prices(None), TemporaryError, f"gives nothing as {PRICE}", "gold"),
    "a price of zero": Fault(prices(0), TemporaryError, f"gives '0' as {PRICE}, {NO_AMOUNT}", "gold"),
    "a negative price": Fault(prices(-9223.3), TemporaryError, f"gives '-9223.3' as {PRICE}, {NO_AMOUNT}", "gold"),
    "NaN": Fault(prices(float("nan")), TemporaryError, "gives NaN as a number", "its answer"),
    "NaN in quotes": Fault(prices("NaN"), TemporaryError, f"gives 'NaN' as {PRICE}, {NO_AMOUNT}", "gold"),
    "infinity": Fault(prices(float("inf")), TemporaryError, "gives Infinity as a number", "its answer"),
    "a price in words": Fault(prices("about 9000"), TemporaryError, f"gives 'about 9000' as {PRICE}", "gold"),
    "a price that cannot be": Fault(
        prices(1e17),
        TemporaryError,
        "gives (a price that cannot be: .*|'1E[+]17' as INRXAU and '1E[+]17' as XAU)",
        "gold",
    ),
    "no time": Fault(times(None), TemporaryError, r"gives nothing as \w+, which is not a time", "its answer"),
    "a time in words": Fault(times("now"), TemporaryError, r"gives 'now' as \w+, which is not a time", "its answer"),
    "a time of another world": Fault(
        times(0), TemporaryError, r"gives 1970-01-01T00:00:00Z as \w+, which cannot be when .*", "its answer"
    ),
    "a time of last week": Fault(
        times(FRIDAY.isoformat()), TemporaryError, "gives a price of 2026-09-18T20:59:00Z, which is stale", "its answer"
    ),
    "a time ahead": Fault(
        times("2026-09-24T09:00:00Z"),
        TemporaryError,
        r"gives 2026-09-24T09:00:00Z as \w+, which cannot be when .*",
        "its answer",
    ),
}


def own_faults(api: ProviderApi) -> Iterator[tuple[str, Fault]]:
    """Faults that only this provider's answers can have, its own messages for a failure among them."""
    for status, body, kind, cause in api.failures:
        yield f"HTTP {status}: {body[:60]}", Fault(says(body, status), kind, cause)
    if api.currency:
        yield (
            "another currency",
            Fault(
                lambda api, market: market.well(api.name, NOW, lambda answer: answer | {api.currency: "USD"}),
                PermanentError,
                "quotes in 'USD', not in INR",
                "its answer",
            ),
        )
    if api.metal:
        yield (
            "another metal",
            Fault(
                lambda api, market: market.well(api.name, NOW, lambda answer: answer | {api.metal: "XCU"}),
                TemporaryError,
                "answers for 'XCU', not for XAU",
                "its answer",
            ),
        )


TABLE = [
    pytest.param(api, fault, id=f"{api.name}: {name}")
    for api in PROVIDER_APIS.values()
    for name, fault in (*FAULTS.items(), *own_faults(api))
]


def row(api: ProviderApi, name: str, error: ProviderError) -> str:
    """A line of docs/sources.md: gold's error, the prices shown then, and their marks."""
    current = snapshot.read()
    shown: dict[str, list[str]] = {}
    for metal, each in current.quotes.items():
        marked = "stale" if current.is_stale(each, NOW) else each.quote.kind.value
        shown.setdefault(f"{each.quote.source}, {marked}", []).append(metal)
    what = "; ".join(
        f"{', '.join(metals) if len(metals) < len(Metal) else 'all'} from {by}" for by, metals in shown.items()
    )
    cells = api.name, name, type(error).__name__.removesuffix("Error").lower(), str(error), what
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


Breaking: TypeAlias = Callable[[ProviderApi, str, Fault], None]


def hurried(source: Provider) -> Provider:
    """The same provider, with a short timeout."""

    def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> Mapping[Metal, Quote | ProviderError]:
        return source.fetch(metals, client=Client(deadline=time.monotonic() + SHORT), clock=clock)

    return replace(source, fetch=fetch)


@pytest.fixture
def break_it(market: Market, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Breaking]:
    """Let a provider have a fault, or the one of exchange rates that is named."""
    with contextlib.ExitStack() as servers:

        def do(api: ProviderApi, name: str, fault: Fault) -> None:
            if fault.cause == TOO_LATE and name == api.name:
                monkeypatch.setattr(failover, "PROVIDERS", {**PROVIDERS, name: hurried(PROVIDERS[name])})
                fx.rate("USD", "INR", client=Client(deadline=time.monotonic() + 10), now=NOW)  # known already
            elif fault.cause == TOO_LATE:
                settings.PROVIDER_BUDGET /= 2  # of which each provider of rates has a third
            if fault.behaves:
                setattr(settings, f"{name.upper()}_URL", servers.enter_context(raw_source(fault.behaves)))
            if fault.answers:
                market.answers[name] = fault.answers(api, market)

        yield do


def next_is_well(api: ProviderApi, market: Market) -> str:
    """The source that is fetched after this one, with prices of its own."""
    name = next_after(api)

    def answer(request: Request) -> Response:
        symbol = request.path.split("/")[3]
        return in_json(PROVIDER_APIS[name].well(symbol, NOW) | {"price": NEXT_PER_OUNCE[symbol]} | NO_FIGURES)

    market.answers[name] = answer
    return name


# Of the good answer's own day and market, which are not of the next's price.
NO_FIGURES = dict.fromkeys(("bid", "ask", "open_price", "high_price", "low_price"))


@pytest.mark.parametrize(("api", "fault"), TABLE)
def test_a_fault_is_of_its_kind_is_logged_and_passes_on_to_the_next_source(
    api: ProviderApi,
    fault: Fault,
    market: Market,
    break_it: Breaking,
    settings: Settings,
    errors: dict[str, dict[Metal, ProviderError]],
    log: Callable[[], list[str]],
    in_matrix: Callable[[str], None],
    request: pytest.FixtureRequest,
) -> None:
    next_one = next_is_well(api, market)
    settings.PRICE_PROVIDERS = [api.name, next_one]
    break_it(api, api.name, fault)
    refresh_at(NOW)
    in_matrix(row(api, request.node.callspec.id.partition(": ")[2], errors[api.name][Metal.GOLD]))

    costs_all = fault.costs == "all" or (fault.costs == "its answer" and PROVIDER_TABLE[api.name].brings_all)
    lost = list(Metal) if costs_all else [Metal.GOLD]
    assert {metal: type(error) for metal, error in errors[api.name].items()} == dict.fromkeys(lost, fault.kind)
    assert published() == {
        metal.value: (next_one, NEXT_PUBLISHED[metal]) if metal in lost else (api.name, api.published[metal])
        for metal in Metal
    }

    line = next(line for line in log() if line.startswith(f"{api.name} gave no fresh price: "))
    for error in line.removeprefix(f"{api.name} gave no fresh price: ").split("; "):
        named, _, cause = error.partition(": ")
        assert set(named.split(", ")) <= set(lost)
        assert re.fullmatch(fault.cause, cause), cause
    assert all(metal in line for metal in lost)
    assert ProviderState.objects.get(name=api.name).last_error == line.removeprefix(f"{api.name} gave no fresh price: ")
    assert KEY.lower() not in " ".join(log()).lower()


@pytest.mark.parametrize("api", PROVIDER_APIS.values(), ids=list(PROVIDER_APIS))
def test_a_reciprocal_in_a_prices_place_is_not_published(api: ProviderApi, market: Market, settings: Settings) -> None:
    next_one = next_is_well(api, market)
    settings.PRICE_PROVIDERS = [api.name, next_one]
    market.answers[api.name] = prices(3.4858e-06)(api, market)
    refresh_at(NOW)
    assert published()["gold"] == (next_one, NEXT_PUBLISHED["gold"])


@pytest.mark.parametrize("api", PROVIDER_APIS.values(), ids=list(PROVIDER_APIS))
@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_says_when_to_come_back_rests_until_then(
    status: int, api: ProviderApi, market: Market, settings: Settings, log: Callable[[], list[str]]
) -> None:
    next_one = next_is_well(api, market)
    settings.PRICE_PROVIDERS = [api.name, next_one]
    market.answers[api.name] = says(HTML, status, "text/html", Retry_After="120")(api, market)
    refresh_at(NOW)
    assert f"{api.name} rests for 0:02:00, by its Retry-After" in log()
    market.requests.clear()
    refresh_at(NOW + MINUTE)
    assert market.of(api.name) == []
    assert published()["gold"] == (next_one, NEXT_PUBLISHED["gold"])


def test_a_failure_with_a_providers_own_message_keeps_its_retry_after(market: Market, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["metals_dev"]
    body = '{"status":"failure","error_code":9,"error_message":"Slow down."}'
    market.answers["metals_dev"] = says(body, 429, Retry_After="60")(PROVIDER_APIS["metals_dev"], market)
    refresh_at(NOW)
    state = ProviderState.objects.get(name="metals_dev")
    assert (state.rests_until, state.last_error[-12:]) == (NOW + MINUTE, "'Slow down.'")


# --- exchange rates ------------------------------------------------------------------------------------------------

# At 96.96 rupees a dollar, which is the other provider's rate.
BY_THE_OTHER = {"gold": "9319.4330", "silver": "106.1453", "platinum": "3864.3125", "palladium": "3333.4925"}


def ecb(**changed: Any) -> Break:
    """Frankfurter's good answer with some fields changed."""
    good = {"amount": 1.0, "base": "USD", "date": "2026-09-24", "rates": {"INR": 95.96}}
    return lambda api, market: lambda request: in_json(good | changed)


RATE_FAULTS = {
    name: fault
    for name, fault in FAULTS.items()
    if fault.costs == "all" and name != "another shape"  # those of any answer at all
} | {
    "422": Fault(says('{"message":"bad"}', 422), PermanentError, "answers HTTP 422: 'bad'"),
    "200 with a failure": Fault(says('{"message":"not found"}'), TemporaryError, "answers for nothing, not for USD"),
    "no rate": Fault(ecb(rates={}), TemporaryError, "gives nothing as INR"),
    "a rate of zero": Fault(ecb(rates={"INR": 0}), TemporaryError, f"gives '0' as INR, {NO_AMOUNT}"),
    "a negative rate": Fault(ecb(rates={"INR": -1}), TemporaryError, f"gives '-1' as INR, {NO_AMOUNT}"),
    "NaN": Fault(ecb(rates={"INR": float("nan")}), TemporaryError, "gives NaN as a number"),
    "another currency": Fault(ecb(base="EUR"), TemporaryError, "answers for 'EUR', not for USD"),
    "of ten dollars": Fault(ecb(amount=10), TemporaryError, "gives '10' as amount"),
    "no day": Fault(ecb(date=None), TemporaryError, "gives nothing as date, which is not a time"),
    "a day ahead": Fault(ecb(date="2026-09-25"), TemporaryError, "gives 2026-09-25T00:00:00Z as date, which cannot .*"),
    "a day of last week": Fault(ecb(date="2026-09-17"), TemporaryError, "gives a rate of 2026-09-17, which is too old"),
}


@pytest.mark.parametrize("name", RATE_FAULTS)
def test_a_rate_that_cannot_be_had_from_one_provider_comes_from_the_other(
    name: str,
    market: Market,
    break_it: Breaking,
    settings: Settings,
    log: Callable[[], list[str]],
) -> None:
    api, fault = PROVIDER_APIS["swissquote"], RATE_FAULTS[name]
    settings.PRICE_PROVIDERS = ["swissquote"]
    break_it(api, "frankfurter", fault)
    refresh_at(NOW)
    assert published() == {metal: ("swissquote", price) for metal, price in BY_THE_OTHER.items()}
    (line,) = log()
    assert re.fullmatch(f"frankfurter gave no rate of USD in INR: {fault.cause}", line)
    assert {each.quote.quoted_at for each in snapshot.read().quotes.values()} == {NOW}


def test_without_any_rate_dollars_are_not_published_and_the_next_source_is_fetched(
    market: Market,
    settings: Settings,
    errors: dict[str, dict[Metal, ProviderError]],
    log: Callable[[], list[str]],
) -> None:
    api = PROVIDER_APIS["swissquote"]
    settings.PRICE_PROVIDERS = ["swissquote", next_is_well(api, market)]
    market.answers["frankfurter"] = html(503)(api, market)
    market.answers["open_er_api"] = says("", 429, Retry_After="1200")(api, market)
    refresh_at(NOW)
    cause = "no rate of USD in INR: frankfurter answers HTTP 503; open_er_api answers HTTP 429"
    assert f"swissquote gave no fresh price: gold, silver, platinum, palladium: {cause}" in log()
    assert {type(error) for error in errors["swissquote"].values()} == {TemporaryError}
    assert published() == {metal: ("gold_api_com", price) for metal, price in NEXT_PUBLISHED.items()}
    # It was not the source of the prices that sent Retry-After.
    assert ProviderState.objects.get(name="swissquote").rests_until is None


def test_where_the_dollar_is_the_base_currency_no_rate_is_fetched(market: Market, settings: Settings) -> None:
    settings.PRICE_PROVIDERS, settings.BASE_CURRENCY = ["swissquote"], "USD"
    refresh_at(NOW)
    gold = snapshot.read().quotes[Metal.GOLD].quote
    assert (gold.currency, gold.price, gold.kind) == ("USD", Decimal("96.1163"), PriceKind.LIVE)
    assert market.of("frankfurter") == market.of("open_er_api") == []


# --- keys ----------------------------------------------------------------------------------------------------------

WITH_KEYS = [api for api in PROVIDER_APIS.values() if PROVIDER_TABLE[api.name].needs_key]
ECHOES = {
    "an error": says(f'{{"error":"The key {KEY} is not known"}}', 401),
    "an error that is cut": says(f'{{"error":"{"x" * 85}{KEY}"}}', 401),
    "an error of metals.dev": says(f'{{"status":"failure","error_code":1101,"error_message":"Bad key {KEY}"}}'),
    "an error of metalpriceapi": says(f'{{"success":false,"error":{{"statusCode":102,"message":"Bad {KEY}"}}}}'),
    "a price": says(f'{{"status":"{KEY}","success":"{KEY}","metal":"{KEY}"}}'),
    "an address in capitals": says(f'{{"message":"{quote(KEY).upper()}"}}', 403),
    "a redirect": says("", 302, Location=f"https://{KEY}.example/{KEY}?api_key={KEY}"),
}


@pytest.mark.parametrize("api", WITH_KEYS, ids=lambda api: api.name)
@pytest.mark.parametrize("echo", ECHOES)
def test_a_key_that_a_provider_repeats_to_us_is_seen_nowhere(
    echo: str,
    api: ProviderApi,
    market: Market,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    errors: dict[str, dict[Metal, ProviderError]],
    boss: Browser,
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.PRICE_PROVIDERS = [api.name]
    market.answers[api.name] = ECHOES[echo](api, market)
    refresh_at(NOW)
    lines = [TokenlessFormatter("%(name)s %(message)s").format(record) for record in caplog.records]
    assert any(f"{api.name} gave no fresh price" in line for line in lines)
    details = [str(error) for error in errors[api.name].values()]
    state = ProviderState.objects.get(name=api.name).last_error
    page = boss.get("/admin/prices/providerstate/")
    assert page.status_code == 200
    for text in (*lines, *details, state, page.content.decode()):
        assert "not-a-real-key" not in text.lower()
        assert "0123456789" not in text


@pytest.mark.parametrize("api", WITH_KEYS, ids=lambda api: api.name)
def test_a_provider_that_cannot_be_reached_is_not_named_by_its_address(
    api: ProviderApi, market: Market, settings: Settings, errors: dict[str, dict[Metal, ProviderError]]
) -> None:
    settings.PRICE_PROVIDERS = [api.name]
    setattr(settings, f"{api.name.upper()}_URL", "http://127.0.0.1:9")
    refresh_at(NOW)
    for error in errors[api.name].values():
        assert str(error) == "cannot be reached (ConnectionError)"
        record = logging.LogRecord("prices", logging.ERROR, "", 0, "", (), (type(error), error, error.__traceback__))
        text = TokenlessFormatter("%(message)s").format(record)
        assert "Traceback" in text
        assert "Not-a-real-key" not in text


def test_every_provider_that_makes_calls_is_tested_here() -> None:
    assert set(PROVIDER_APIS) == {row.name for row in PROVIDER_TABLE.values() if row.url}
