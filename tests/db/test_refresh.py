"""A refresh, with real HTTP: each way in which a source can fail, and its effect."""

import contextlib
import datetime as dt
import gzip
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.db import OperationalError
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

from infra.clock import Clock
from prices import providers, schedule
from prices.domain.calendar import Calendar
from prices.domain.quota import Quota
from prices.domain.quotes import FALLBACK, SIMULATED, Metal, PriceKind, Publication, Quote
from prices.domain.units import per_gram
from prices.models import FallbackPrice, Head, LatestPrice, ListedMetal, Premium, Price, ProviderState
from prices.providers import PROVIDERS
from prices.providers.errors import TemporaryError
from prices.providers.http import LARGEST_BODY, Client
from prices.publishing import ingest, snapshot
from prices.refresh import refresh, refresh_if_due
from prices.sources import failover
from prices.tasks import apply_premiums, refresh_prices
from streaming import publish
from tests.support.product import wait_until
from tests.support.quotes import NOW
from tests.support.sources import PER_OUNCE, Answer, Behaviour, Source, drips, hangs, quoting, raw_source, said, sends
from tests.support.threads import at_once
from tests.support.world import enter_fallbacks, forget_prices

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("each_price_recomputes")]

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
LIVE = "gold_api_com"
ALL = "gold, silver, platinum, palladium"
HTML = "<html><body><h1>Sorry</h1></body></html>"
# Not long to wait for a source that hangs; those that answer have ten seconds, for the machine may be busy.
SHORT = dt.timedelta(seconds=0.2)


@pytest.fixture
def source(http: HTTPServer, settings: Settings, seeded: None) -> Iterator[Source]:
    """gold-api.com, well and the only source, in a database as a first start leaves it."""
    source = Source(http, quoting(NOW))
    settings.GOLD_API_COM_URL = source.url
    settings.PRICE_PROVIDERS = [LIVE]
    settings.PROVIDER_BUDGET = dt.timedelta(seconds=10)
    yield source
    http.check()
    http.clear()


def refresh_at(at: dt.datetime) -> None:
    refresh(clock=lambda: at)


def shown() -> dict[str, tuple[str, Decimal]]:
    """The source and price that each metal shows."""
    return {metal.value: (each.quote.source, each.quote.price) for metal, each in snapshot.read().quotes.items()}


def sources_shown() -> set[str]:
    return {source for source, _ in shown().values()}


def last_confirmed() -> set[dt.datetime]:
    return set(LatestPrice.objects.filter(lane=PriceKind.LIVE).values_list("confirmed_at", flat=True))


# --- what goes wrong -----------------------------------------------------------------------------------------------

TOO_LATE = "no answer in time"
# Faults, and the reason logged for each, that tests/db/test_provider_faults.py does not have for each provider.
ANSWERS: dict[str, tuple[Answer, str]] = {
    "200 with a failure of another shape": (
        said('{"success": false, "error": {"statusCode": 101, "message": "User did not supply an API Key"}}'),
        "answers with an error: an object",
    ),
    "200 with a failure without `error`": (
        said('{"status": "failure", "error_code": 1203, "error_message": "The quota is exceeded."}'),
        "answers for nothing, not for X..",
    ),
    "401": (said('{"error": "No API Key"}', status=401), "answers HTTP 401: 'No API Key'"),
    "500 in JSON": (said('{"error": "Oh\\nno"}', status=500), re.escape(r"answers HTTP 500: 'Oh\nno'")),
    "204": (said("", status=204), "answers HTTP 204"),
    "bytes that are no text": (said(b"\xff\xfe\xfa"), "answers with something that is not JSON"),
    "deep nesting": (said("[" * 100_000), "answers with something that is not JSON"),
    "deep nesting in a field": (
        said(f'{{"symbol": {"[" * 900}{"]" * 900}}}'),
        "answers (for a list, not for X..|with something that is not JSON)",
    ),
    "a list": (said("[]"), "answers with a list where an object was expected"),
    "null": (said("null"), "answers with a NoneType where an object was expected"),
    "an older answer, in dollars": (quoting(NOW, currency=...), "quotes in 'USD', not in INR"),
    "a huge exponent": (
        said('{"symbol":"XAU","currency":"INR","price":1e999999,"updatedAt":"2026-09-24T08:00:00Z"}'),
        r"(gives '1E\+999999' as price|answers for 'XAU').*",
    ),
    "an impossible exponent": (said('{"price": 1e99999999999999999999}'), "answers with something that is not JSON"),
    "a body that grows huge": (
        said(gzip.compress(b" " * 20_000_000), Content_Encoding="gzip"),
        "answers with more than 256 KB",
    ),
    "a body that is not what its encoding says": (
        said("{}", Content_Encoding="gzip"),
        r"cannot be reached \(DecodeError\)",
    ),
}
MOVED = b"HTTP/1.1 302 Found\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CONNECTIONS: dict[str, tuple[Behaviour, str]] = {
    "a connection that is closed": (sends(), r"cannot be reached \(ConnectionError\)"),
    "a redirect to nowhere": (sends(MOVED + b"Location: http://[\r\n\r\n"), "redirects to a malformed address"),
    "a redirect without end": (drips(MOVED + b"Location: /\r\n\r\n", b" " * 65536, every=0), "redirects to 'itself'"),
    "another protocol": (sends(b"220 mail.example ESMTP\r\n"), r"cannot be reached \(ConnectionError\)"),
    "a chunk that ends early": (
        sends(OK + b"Transfer-Encoding: chunked\r\n\r\n5a\r\n{}"),
        r"cannot be reached \(ProtocolError\)",
    ),
    "headers without end": (sends(OK, b"X: y\r\n" * 200), r"cannot be reached \(ConnectionError\)"),
    "a hang before the body": (drips(OK + b"Content-Length: 90\r\n\r\n", b"", every=60), TOO_LATE),
    "chunks that drip": (drips(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), TOO_LATE),
    "headers that drip": (drips(OK + b"X-Drops: ", b"x"), TOO_LATE),
    "a body without end": (drips(OK + b"\r\n", b" " * 65536, every=0), "answers with more than 256 KB"),
}
FAULTS = {**ANSWERS, **CONNECTIONS}


@pytest.fixture
def broken(source: Source, settings: Settings) -> Iterator[Callable[[str], None]]:
    """Break the source in a way that `FAULTS` names."""
    with contextlib.ExitStack() as servers:

        def break_it(fault: str) -> None:
            if FAULTS[fault][1] == TOO_LATE:
                settings.PROVIDER_BUDGET = SHORT
            if fault in ANSWERS:
                source.answer = ANSWERS[fault][0]
            else:
                settings.GOLD_API_COM_URL = servers.enter_context(raw_source(CONNECTIONS[fault][0]))

        yield break_it


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_last_good_price_is_logged_in_one_line_and_passes_on_to_the_next_source(
    fault: str, source: Source, broken: Callable[[str], None], settings: Settings, log: Callable[[], list[str]]
) -> None:
    refresh_at(NOW)
    before, publications = shown(), Head.current().seq
    assert sources_shown() == {LIVE}
    assert log() == []

    broken(fault)
    refresh_at(NOW + MINUTE)

    assert shown() == before
    assert Head.current().seq == publications
    # The metals have one error each, or the same one together.
    line, *more = log()
    assert [" is fetched from all the same" in line for line in more] in ([], [True])  # what no second try would mend
    metals, expected = line.removeprefix(f"{LIVE} gave no fresh price: "), FAULTS[fault][1]
    for error in metals.split("; "):
        named, _, reason = error.partition(": ")
        assert set(named.split(", ")) <= set(ALL.split(", "))
        assert re.fullmatch(expected, reason), reason
    assert all(metal in line for metal in Metal)

    state = ProviderState.objects.get(name=LIVE)
    assert state.last_error == metals
    assert (state.last_success_at, state.last_error_at) == (NOW, NOW + MINUTE)

    settings.PRICE_PROVIDERS = [LIVE, SIMULATED]
    settings.PROVIDER_BUDGET *= 2
    refresh_at(NOW + 2 * MINUTE)
    assert len(shown()) == 4
    assert sources_shown() == {SIMULATED}


def test_a_source_that_cannot_be_reached_is_one_more_fault(
    source: Source, settings: Settings, log: Callable[[], list[str]]
) -> None:
    settings.GOLD_API_COM_URL = "http://127.0.0.1:9"
    refresh_at(NOW)
    assert log() == [f"{LIVE} gave no fresh price: {ALL}: cannot be reached (ConnectionError)"]


# --- a quote's time --------------------------------------------------------------------------------------------------


class Going:
    """A clock that a source may put on while it is waited for."""

    now = NOW

    def __call__(self) -> dt.datetime:
        return self.now


def quoted_at() -> dict[str, list[dt.datetime]]:
    """The times of the live quotes, by source."""
    found: dict[str, list[dt.datetime]] = {}
    for price in LatestPrice.objects.filter(lane=PriceKind.LIVE):
        found.setdefault(price.source, []).append(price.quoted_at)
    return found


def test_a_quote_is_no_older_for_the_source_that_was_waited_for_before(
    source: Source, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, answers_at = Going(), NOW + dt.timedelta(seconds=8)

    def hangs(metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote]:
        going.now = answers_at
        raise TemporaryError("no answer in time")

    slow = providers.Provider(name="metals_dev", fetch=hangs, brings_all=True)
    monkeypatch.setattr("prices.sources.failover.PROVIDERS", {**PROVIDERS, "metals_dev": slow})
    settings.PRICE_PROVIDERS = ["metals_dev", LIVE]
    source.answer = quoting(answers_at)
    refresh(going)
    assert quoted_at() == {LIVE: [answers_at] * 4}


@pytest.mark.parametrize("together", [0, 1])
def test_a_quote_that_is_made_while_its_source_is_waited_for_has_its_own_time(
    source: Source, settings: Settings, together: int
) -> None:
    settings.CONSENSUS_SOURCES = together
    clock, answers_at = Going(), NOW + dt.timedelta(seconds=8)

    def after_a_while(symbol: str) -> Response:
        clock.now = answers_at
        return quoting(answers_at)(symbol)

    source.answer = after_a_while
    refresh(clock)
    assert all(times == [answers_at] * 4 for times in quoted_at().values())


def test_a_quote_that_was_fresh_before_another_source_was_waited_for_is_stale_when_it_comes(
    source: Source, settings: Settings, monkeypatch: pytest.MonkeyPatch, log: Callable[[], list[str]]
) -> None:
    settings.FRESHNESS_LIMIT, clock = MINUTE, Going()

    def after_a_while(symbol: str) -> Response:
        clock.now = NOW + dt.timedelta(seconds=8)
        return quoting(NOW - dt.timedelta(seconds=55))(symbol)

    source.answer = after_a_while
    refresh(clock)
    assert log()[0] == f"{LIVE} gave no fresh price: {ALL}: gives a price of 2026-09-24T07:59:05Z, which is stale"


def test_a_redirect_is_not_followed(source: Source, http: HTTPServer) -> None:
    http.expect_request("/elsewhere").respond_with_handler(lambda request: pytest.fail("it was followed"))
    source.answer = said("", status=302, Location=f"{source.url}/elsewhere")
    refresh_at(NOW)
    assert sources_shown() == {FALLBACK}


def test_a_source_that_comes_back_is_live_again(source: Source, log: Callable[[], list[str]]) -> None:
    refresh_at(NOW)
    source.answer = said(HTML, status=503)
    refresh_at(NOW + MINUTE)
    source.answer = quoting(NOW + 2 * MINUTE)
    refresh_at(NOW + 2 * MINUTE)

    assert snapshot.read().quotes[Metal.GOLD].quote.quoted_at == NOW + 2 * MINUTE
    assert len(log()) == 1
    state = ProviderState.objects.get(name=LIVE)
    assert (state.last_success_at, state.last_error_at) == (NOW + 2 * MINUTE, NOW + MINUTE)


# --- what is only strange ------------------------------------------------------------------------------------------


def test_a_source_is_fetched_by_https_and_by_its_certificate_alone(
    source: Source, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Callable[[], list[str]]
) -> None:
    authority, certified = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(certified)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    with HTTPServer(threaded=True, ssl_context=certified) as server:
        settings.GOLD_API_COM_URL = Source(server, quoting(NOW)).url
        assert settings.GOLD_API_COM_URL.startswith("https://")
        refresh_at(NOW)
        assert sources_shown() == {FALLBACK}
        assert log() == [f"{LIVE} gave no fresh price: {ALL}: cannot be reached (SSLError)"]
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        refresh_at(NOW)
    assert sources_shown() == {LIVE}


def test_prices_go_out_per_gram(source: Source) -> None:
    refresh_at(NOW)
    assert shown() == {metal.value: (LIVE, per_gram(Decimal(str(PER_OUNCE[metal.symbol])))) for metal in Metal}
    assert shown()["gold"] == (LIVE, Decimal("13221.2631"))


def test_a_compressed_answer_is_read(source: Source) -> None:
    def compressed(symbol: str) -> Response:
        plain = quoting(NOW)(symbol)
        return Response(gzip.compress(plain.get_data()), headers={"Content-Encoding": "gzip"})

    source.answer = compressed
    refresh_at(NOW)
    assert sources_shown() == {LIVE}


def test_a_weekends_quote_stays_and_turns_stale_only_once_the_market_is_open_again(source: Source) -> None:
    friday = dt.datetime(2026, 9, 25, 20, 59, tzinfo=dt.UTC)
    source.answer = quoting(friday)
    refresh_at(friday)
    publications = Head.current().seq
    sunday = friday + dt.timedelta(days=2)
    refresh_at(sunday)
    current = snapshot.read()
    assert sources_shown() == {LIVE}
    assert Head.current().seq == publications
    assert not any(current.is_stale(quote, sunday) for quote in current.quotes.values())
    an_hour_later = sunday + 2 * HOUR  # it opened in between
    assert all(current.is_stale(quote, an_hour_later) for quote in current.quotes.values())


def test_a_repeated_quote_confirms_but_is_not_news(source: Source) -> None:
    refresh_at(NOW)
    publications = Head.current().seq
    refresh_at(NOW + MINUTE)
    assert Head.current().seq == publications
    assert last_confirmed() == {NOW + MINUTE}


def test_an_older_quote_is_not_news(source: Source) -> None:
    refresh_at(NOW)
    before, publications = shown(), Head.current().seq
    source.answer = quoting(NOW - MINUTE, price=400000)
    refresh_at(NOW + MINUTE)
    assert shown() == before
    assert Head.current().seq == publications
    assert last_confirmed() == {NOW}


# --- several sources, several metals -------------------------------------------------------------------------------


def without_palladium(at: dt.datetime) -> Answer:
    unknown = said('{"error": "Symbol not found"}', status=404)
    return lambda symbol: (unknown if symbol == "XPD" else quoting(at))(symbol)


def test_a_metal_that_one_source_lacks_comes_from_the_next(
    source: Source, settings: Settings, log: Callable[[], list[str]]
) -> None:
    settings.PRICE_PROVIDERS = [LIVE, SIMULATED]
    source.answer = without_palladium(NOW)
    refresh_at(NOW)
    assert {metal: source for metal, (source, _) in shown().items()} == {
        "gold": LIVE,
        "silver": LIVE,
        "platinum": LIVE,
        "palladium": SIMULATED,
    }
    assert log() == [f"{LIVE} gave no fresh price: palladium: answers HTTP 404: 'Symbol not found'"]


def test_a_metal_that_no_source_has_keeps_its_last_price(source: Source) -> None:
    refresh_at(NOW)
    before = shown()
    source.answer = without_palladium(NOW + MINUTE)
    refresh_at(NOW + MINUTE)
    current = snapshot.read()
    assert shown()["palladium"] == before["palladium"]
    assert current.quotes[Metal.PALLADIUM].quote.quoted_at == NOW
    assert current.quotes[Metal.GOLD].quote.quoted_at == NOW + MINUTE


def test_a_source_that_is_well_spares_the_next(source: Source, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [LIVE, SIMULATED]
    refresh_at(NOW)
    assert ProviderState.objects.get(name=SIMULATED).refreshes_total == 0


def test_a_metal_that_is_switched_off_is_not_fetched(source: Source) -> None:
    ListedMetal.objects.filter(name="silver").update(enabled=False)
    refresh_at(NOW)
    assert source.symbols_requested == ["XAU", "XPD", "XPT"]
    assert "silver" not in shown()


def test_with_no_metal_listed_nothing_is_fetched(source: Source) -> None:
    ListedMetal.objects.update(enabled=False)
    refresh_at(NOW)
    assert source.requests == []


def test_a_hang_costs_no_more_than_the_budget(source: Source, settings: Settings) -> None:
    settings.PROVIDER_BUDGET = SHORT
    with raw_source(hangs) as settings.GOLD_API_COM_URL:
        started = time.monotonic()
        refresh_at(NOW)
        assert time.monotonic() - started < SHORT.total_seconds() + 4  # it would be for ever


def test_each_source_may_use_its_share_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines: list[float] = []

    def has_nothing(metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote]:
        deadlines.append(client.deadline)
        raise TemporaryError("has nothing")

    monkeypatch.setattr(
        "prices.sources.failover.PROVIDERS", {name: providers.Provider(name=name, fetch=has_nothing) for name in "abc"}
    )
    started = time.monotonic()
    budget = dt.timedelta(seconds=60)
    terms = failover.Terms(
        budget=budget, clock=lambda: NOW, is_stale=lambda quote: False, reserve=lambda name, calls: None
    )
    failover.one_after_the_other("abc", [Metal.GOLD], terms, take=lambda outcome: ())
    assert [deadline - started for deadline in deadlines] == pytest.approx([20, 30, 60], abs=5)


def test_a_defect_in_one_sources_code_does_not_keep_the_next_from_being_fetched(
    source: Source, settings: Settings, monkeypatch: pytest.MonkeyPatch, log: Callable[[], list[str]]
) -> None:
    def broken(*args: object, **options: object) -> dict[Metal, Quote]:
        raise KeyError("price")

    monkeypatch.setattr(
        "prices.sources.failover.PROVIDERS", {**PROVIDERS, LIVE: replace(PROVIDERS[LIVE], fetch=broken)}
    )
    settings.PRICE_PROVIDERS = [LIVE, SIMULATED]
    refresh_at(NOW)
    assert sources_shown() == {SIMULATED}
    assert log()[-1] == f"{LIVE} gave no fresh price: {ALL}: failed (KeyError)"


DRIPS = {
    "a body": drips(OK + b"Content-Length: 90000\r\n\r\n", b" "),
    "headers": drips(OK + b"X-Drops: ", b"x"),
    "one status after another": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a file's name before its text": drips(OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08" + b"\0" * 6, b"x"),
}


@pytest.mark.parametrize("behaviour", [hangs, *DRIPS.values()], ids=["a hang", *DRIPS])
def test_a_source_that_hangs_leaves_the_next_its_share(
    source: Source, settings: Settings, behaviour: Behaviour
) -> None:
    settings.PRICE_PROVIDERS = [LIVE, SIMULATED]
    settings.PROVIDER_BUDGET = dt.timedelta(seconds=1)
    with raw_source(behaviour) as settings.GOLD_API_COM_URL:
        started = time.monotonic()
        refresh_at(NOW)
        took = time.monotonic() - started
        assert sources_shown() == {SIMULATED}
        assert 0.5 <= took < 5
        # And it leaves no thread behind to wait for it.
        wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith(LIVE)], "the end")


# --- a brief failure -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_brief_failure_gets_a_second_try_a_moment_later(
    source: Source, log: Callable[[], list[str]], status: int
) -> None:
    def well_the_second_time(symbol: str) -> Response:
        requested_before = source.symbols_requested.count(symbol) > 1
        return quoting(NOW)(symbol) if requested_before else Response(status=status)

    source.answer = well_the_second_time
    refresh_at(NOW)
    assert sources_shown() == {LIVE}
    assert log() == []
    assert ProviderState.objects.get(name=LIVE).calls_total == 8
    times = [at for symbol, at in source.requests if symbol == "XAU"]
    assert times[1] - times[0] >= 0.1


@pytest.mark.parametrize(("status", "tries"), [(502, 2), (503, 1), (429, 1), (401, 1)])
def test_a_second_try_is_the_last_and_for_what_is_brief_alone(source: Source, status: int, tries: int) -> None:
    source.answer = said("", status=status)
    refresh_at(NOW)
    assert source.symbols_requested == sorted(["XAG", "XAU", "XPD", "XPT"] * tries)


def test_there_is_no_second_try_without_the_time_for_it(
    source: Source, settings: Settings, monkeypatch: pytest.MonkeyPatch, log: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr("prices.providers.http._BEFORE_ANOTHER_TRY", (5, 5))
    settings.PROVIDER_BUDGET = dt.timedelta(seconds=5)
    source.answer = said("", status=502)
    refresh_at(NOW)
    assert log() == [f"{LIVE} gave no fresh price: {ALL}: answers HTTP 502"]


def test_a_quota_may_end_in_the_middle_of_a_refresh(
    source: Source, settings: Settings, log: Callable[[], list[str]]
) -> None:
    settings.GOLD_API_COM_QUOTA = Quota(2, "month")
    settings.PRICE_PROVIDERS = [LIVE, SIMULATED]
    refresh_at(NOW)
    assert len(source.requests) == 2
    assert sorted(source for source, _ in shown().values()) == [LIVE] * 2 + [SIMULATED] * 2
    assert "the quota that is set for it is used up" in log()[0]
    assert log()[-1] == f"{LIVE} is not fetched from before its quota of 2/month begins anew"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("published")
def test_two_refreshes_at_once_do_not_use_one_call_twice(source: Source, settings: Settings) -> None:
    settings.GOLD_API_COM_QUOTA = Quota(6, "month")
    settings.PRICE_PROVIDERS = [LIVE, SIMULATED]
    settings.PROVIDER_BUDGET = dt.timedelta(seconds=4)
    answering = threading.Event()

    def slowly(symbol: str) -> Response:
        answering.wait(10)
        return quoting(NOW)(symbol)

    def refresh_too() -> None:
        wait_until(lambda: len(source.requests) == METALS, "the first refresh to call")
        refresh_at(NOW)
        answering.set()

    source.answer = slowly
    at_once(lambda worker: refresh_too() if worker else refresh_at(NOW), 2)
    assert len(source.requests) == METALS
    assert ProviderState.objects.get(name=LIVE).calls_left(NOW) == 2


# --- a source that sends Retry-After --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_a_source_that_says_when_to_come_back_is_not_called_until_then(
    source: Source, log: Callable[[], list[str]], status: int
) -> None:
    source.answer = said("", status=status, Retry_After="120")
    refresh_at(NOW)
    assert source.symbols_requested == ["XAG", "XAU", "XPD", "XPT"]
    assert ProviderState.objects.get(name=LIVE).rests_until == NOW + 2 * MINUTE
    assert log() == [
        f"{LIVE} gave no fresh price: {ALL}: answers HTTP {status}",
        f"{LIVE} rests for 0:02:00, by its Retry-After",
    ]

    source.answer = quoting(NOW)
    source.requests.clear()
    refresh_at(NOW + 2 * MINUTE - dt.timedelta(seconds=1))
    assert source.requests == []
    refresh_at(NOW + 2 * MINUTE)
    assert len(source.requests) == 4
    assert sources_shown() == {LIVE}


@pytest.mark.parametrize(
    "body",
    [drips(b"Content-Length: 90\r\n\r\n", b""), sends(b"\r\n" + b" " * (LARGEST_BODY + 1))],
    ids=["hangs", "is huge"],
)
def test_an_error_status_is_understood_though_its_body_cannot_be_read(
    source: Source, settings: Settings, body: Behaviour
) -> None:
    def refuse(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\n")
        body(connection, closing)

    settings.PROVIDER_BUDGET = dt.timedelta(seconds=2)
    with raw_source(refuse) as settings.GOLD_API_COM_URL:
        refresh_at(NOW)
    assert ProviderState.objects.get(name=LIVE).rests_until == NOW + MINUTE


def test_while_one_source_rests_the_next_is_fetched(source: Source, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [LIVE, SIMULATED]
    ProviderState.objects.create(name=LIVE, rests_until=NOW + MINUTE)
    refresh_at(NOW)
    assert source.requests == []
    assert sources_shown() == {SIMULATED}


@pytest.mark.parametrize(
    ("said_so", "rest"),
    [
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("²", None),
        ("9" * 5000, None),
        ("Thu, 01 Jan 2026 00:00:00 GMT", None),  # over
        ("Thu, 01 Jan 2026 00:00:00 -0000", None),
        ("Thu, 99 Foo 2026 00:00:00 +99999999999999999999", None),
        ("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("7.5", None),
        ("60", MINUTE),
        ("3601", HOUR),
        ("999999999", HOUR),
        ("Thu, 01 Jan 2099 00:00:00 GMT", HOUR),
    ],
    ids=lambda value: str(value)[:40],
)
def test_no_answer_can_silence_a_source_for_good(source: Source, said_so: str, rest: dt.timedelta | None) -> None:
    source.answer = said("", status=429, Retry_After=said_so.encode().decode("latin-1"))
    refresh_at(NOW)
    assert ProviderState.objects.get(name=LIVE).rests_until == (NOW + rest if rest else None)


def test_a_source_may_say_when_by_a_date(source: Source) -> None:
    soon = dt.datetime.now(dt.UTC) + 2 * MINUTE
    source.answer = said("", status=429, Retry_After=soon.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    refresh_at(NOW)
    rests_until = ProviderState.objects.get(name=LIVE).rests_until
    assert rests_until is not None
    assert abs(rests_until - (NOW + 2 * MINUTE)) < dt.timedelta(seconds=10)


# --- staff's prices, when no source answers ------------------------------------------------------------------------


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Publication]]:
    """The publications, each with its time."""
    publications: list[tuple[float, Publication]] = []
    monkeypatch.setattr(
        publish, "publication", lambda publication: publications.append((time.monotonic(), publication))
    )
    return publications


@pytest.mark.django_db(transaction=True)
def test_a_first_start_shows_the_fallback_before_any_source_is_fetched(
    published: list[tuple[float, Publication]], source: Source
) -> None:
    forget_prices()
    published.clear()  # the fixtures may have published fallbacks
    refresh_at(NOW)
    (fallback_at, fallback), (live_at, live) = published
    assert {quote.quote.source for quote in fallback.quotes} == {FALLBACK}
    assert {quote.quote.source for quote in live.quotes} == {LIVE}
    assert fallback_at < min(at for _, at in source.requests) < live_at
    assert (fallback.seq, live.seq) == (1, 2)


def test_without_any_source_the_fallback_is_shown_as_such(source: Source, settings: Settings) -> None:
    source.answer = said(HTML, status=503)
    refresh_at(NOW)
    expected = {fallback.metal_id: (FALLBACK, fallback.price) for fallback in FallbackPrice.objects.all()}
    assert shown() == expected
    assert shown()["gold"] == (FALLBACK, Decimal("9223.3162"))
    assert snapshot.read().quotes[Metal.GOLD].quote.quoted_at == dt.datetime(2025, 7, 1, tzinfo=dt.UTC)


def test_the_fallback_is_shown_once_only(source: Source) -> None:
    source.answer = said(HTML, status=503)
    for minute in range(3):
        refresh_at(NOW + minute * MINUTE)
    assert Head.current().seq == 1


def test_the_last_live_price_stays_until_fallback_after(source: Source, settings: Settings) -> None:
    enter_fallbacks()
    settings.FALLBACK_AFTER = HOUR
    refresh_at(NOW)
    source.answer = said(HTML, status=503)
    refresh_at(NOW + HOUR - dt.timedelta(seconds=1))
    assert sources_shown() == {LIVE}
    refresh_at(NOW + HOUR)
    assert sources_shown() == {FALLBACK}


def test_a_source_that_repeats_itself_keeps_its_price_on_the_screen(source: Source) -> None:
    for minutes in range(0, 180, 20):
        refresh_at(NOW + minutes * MINUTE)
    assert sources_shown() == {LIVE}


def test_only_the_metal_that_no_source_has_falls_back(source: Source) -> None:
    enter_fallbacks()
    refresh_at(NOW)
    source.answer = without_palladium(NOW + HOUR)
    refresh_at(NOW + HOUR)
    assert {metal: source for metal, (source, _) in shown().items()} == {
        "gold": LIVE,
        "silver": LIVE,
        "platinum": LIVE,
        "palladium": FALLBACK,
    }


def test_after_a_night_switched_off_the_last_live_price_stays_until_the_sources_were_fetched(source: Source) -> None:
    refresh_at(NOW)
    enter_fallbacks()
    refresh_at(NOW + 8 * HOUR)
    assert Price.objects.filter(source=FALLBACK).values("seq").distinct().count() == 1  # the one of the first start
    source.answer = said(HTML, status=503)
    refresh_at(NOW + 20 * HOUR)
    assert sources_shown() == {FALLBACK}


@pytest.mark.parametrize("quoted_again_at", [NOW, NOW + 2 * HOUR], ids=["the same quote", "a new quote"])
def test_a_source_that_answers_again_replaces_the_fallback(source: Source, quoted_again_at: dt.datetime) -> None:
    enter_fallbacks()
    refresh_at(NOW)
    live = shown()
    source.answer = said(HTML, status=503)
    refresh_at(NOW + HOUR)
    assert sources_shown() == {FALLBACK}
    source.answer = quoting(quoted_again_at)
    refresh_at(NOW + 2 * HOUR)
    assert shown() == live


# --- while the market is closed ------------------------------------------------------------------------------------

CLOSES = dt.datetime(2026, 9, 25, 21, 0, tzinfo=dt.UTC)  # the Friday after NOW
OPENS = dt.datetime(2026, 9, 27, 22, 0, tzinfo=dt.UTC)
METALS = 4


def minutes_of_requests(
    source: Source, since: dt.datetime, until: dt.datetime, every: dt.timedelta = MINUTE
) -> list[float]:
    """Refresh that often; the minutes after `since` of the refreshes that called the source."""
    minutes = []
    for number in range((until - since) // every):
        before = len(source.requests)
        refresh_at(since + number * every)
        if len(source.requests) > before:
            minutes.append(number * every / MINUTE)
    return minutes


def test_sources_are_fetched_more_rarely_while_the_market_is_closed(source: Source) -> None:
    assert minutes_of_requests(source, CLOSES - 3 * MINUTE, CLOSES + 46 * MINUTE) == [0, 1, 2, 17, 32, 47]
    assert len(source.requests) == 6 * METALS


def test_the_first_refresh_after_the_opening_fetches_and_so_does_each_that_follows(source: Source) -> None:
    refresh_at(OPENS - 4 * MINUTE)
    assert minutes_of_requests(source, OPENS - 3 * MINUTE, OPENS + 5 * MINUTE) == [3, 4, 5, 6, 7]


def test_a_source_that_took_its_time_is_fetched_again_no_later_for_it(source: Source) -> None:
    refresh_at(CLOSES + dt.timedelta(seconds=9))  # when a source answered a call made at the close
    source.requests.clear()
    refresh_at(CLOSES + 14 * MINUTE)
    assert source.requests == []
    refresh_at(CLOSES + 15 * MINUTE)
    assert len(source.requests) == METALS


def test_an_early_close_that_is_built_in_is_as_quiet_as_a_weekend(source: Source) -> None:
    closes = dt.datetime(2026, 11, 27, 19, 45, tzinfo=dt.UTC)  # the day after Thanksgiving, 14:45 New York
    assert minutes_of_requests(source, closes - 3 * MINUTE, closes + 46 * MINUTE) == [0, 1, 2, 17, 32, 47]


def test_a_holiday_is_as_quiet_as_a_weekend(source: Source, settings: Settings) -> None:
    settings.MARKET_CALENDAR = Calendar().corrected("2026-09-24")
    assert minutes_of_requests(source, NOW, NOW + 40 * MINUTE) == [0, 15, 30]


def test_the_closed_markets_interval_is_never_shorter_than_the_current_one(source: Source, settings: Settings) -> None:
    settings.CLOSED_UPDATE_INTERVAL = MINUTE
    schedule.set_interval(5 * MINUTE)
    assert minutes_of_requests(source, CLOSES, CLOSES + HOUR, 5 * MINUTE) == [5.0 * number for number in range(12)]


def test_a_simulated_market_is_never_left_alone(source: Source, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [SIMULATED]
    for minute in range(5):
        refresh_at(CLOSES + minute * MINUTE)
    assert Price.objects.filter(source=SIMULATED).values("seq").distinct().count() == 5
    assert sources_shown() == {SIMULATED}


def test_nor_is_any_source_where_one_is_simulated(source: Source, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [LIVE, SIMULATED]
    assert minutes_of_requests(source, CLOSES, CLOSES + 3 * MINUTE) == [0, 1, 2]


def test_a_start_while_it_is_closed_shows_prices_at_once(source: Source) -> None:
    refresh_at(CLOSES + HOUR)
    assert sources_shown() == {LIVE}


def test_a_metal_without_a_live_price_is_fetched_at_every_refresh_and_it_alone(source: Source) -> None:
    source.answer = without_palladium(CLOSES)
    refresh_at(CLOSES)
    source.requests.clear()
    refresh_at(CLOSES + MINUTE)
    assert source.symbols_requested == ["XPD"]
    source.answer = quoting(CLOSES)
    refresh_at(CLOSES + 2 * MINUTE)
    assert sources_shown() == {LIVE}
    assert minutes_of_requests(source, CLOSES + 3 * MINUTE, CLOSES + 10 * MINUTE) == []


def test_no_fallback_merely_because_nothing_was_fetched(source: Source, settings: Settings) -> None:
    enter_fallbacks()
    settings.FALLBACK_AFTER = HOUR
    settings.CLOSED_UPDATE_INTERVAL = 6 * HOUR
    refresh_at(CLOSES)
    source.answer = said(HTML, status=503)
    for minutes in range(1, 6 * 60 + 59, 7):
        refresh_at(CLOSES + minutes * MINUTE)
        ingest.fall_back_where_due(now=CLOSES + minutes * MINUTE)  # as after an edit of a fallback
        assert sources_shown() == {LIVE}, minutes
    refresh_at(CLOSES + 7 * HOUR)
    assert sources_shown() == {FALLBACK}


def test_one_failure_at_the_opening_is_no_outage_of_a_weekend(source: Source, settings: Settings) -> None:
    enter_fallbacks()
    settings.CLOSED_UPDATE_INTERVAL = dt.timedelta(days=7)
    refresh_at(CLOSES)
    source.answer = said(HTML, status=503)
    refresh_at(OPENS)
    refresh_at(OPENS + HOUR - MINUTE)
    assert sources_shown() == {LIVE}
    refresh_at(OPENS + HOUR)
    assert sources_shown() == {FALLBACK}


def test_an_outage_that_began_before_the_close_falls_back_as_always(source: Source) -> None:
    enter_fallbacks()
    refresh_at(CLOSES - 10 * MINUTE)
    source.answer = said(HTML, status=503)
    assert minutes_of_requests(source, CLOSES - 9 * MINUTE, CLOSES + 3 * MINUTE) == [
        float(minute) for minute in range(12)
    ]
    refresh_at(CLOSES + 49 * MINUTE)
    assert sources_shown() == {LIVE}
    refresh_at(CLOSES + 50 * MINUTE)
    assert sources_shown() == {FALLBACK}


def test_refreshes_are_on_time_though_they_fetch_nothing(source: Source) -> None:
    for minute in range(10):
        now = CLOSES + minute * MINUTE
        assert schedule.claim(now)
        refresh_at(now)
        assert schedule.is_on_time(now + 2 * MINUTE)
    assert len(source.requests) == METALS
    assert not schedule.is_on_time(now + 3 * MINUTE)


# --- whose turn it is ----------------------------------------------------------------------------------------------


def test_a_slot_is_fetched_once(source: Source) -> None:
    for _ in range(3):
        refresh_if_due()
    assert len(source.requests) == 4


def test_the_task_refreshes(source: Source) -> None:
    source.answer = quoting(dt.datetime.now(dt.UTC))
    refresh_prices()
    assert sources_shown() == {LIVE}


def test_a_refresh_whose_database_fails_is_begun_anew_at_once(
    source: Source, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Prices would else wait for the next slot: a minute, where the connection alone was gone."""
    source.answer = quoting(dt.datetime.now(dt.UTC))
    really_offer, failures = ingest.offer, [OperationalError("the server has not answered for 8 s")]

    def offer(*args: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return really_offer(*args, **options)

    monkeypatch.setattr(ingest, "offer", offer)
    refresh_prices()
    assert sources_shown() == {LIVE}
    assert "in the middle of a refresh, which begins again: the server has not answered for 8 s" in caplog.text


def test_a_refresh_is_begun_anew_once(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source's quota is not to be spent on a database that does not come back."""
    source.answer = quoting(dt.datetime.now(dt.UTC))

    def fail(*args: Any, **options: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(ingest, "offer", fail)
    refresh_prices()
    assert len(source.requests) == 2 * METALS


def test_a_premium_whose_time_has_come_does_not_wait_for_the_next_refresh(source: Source) -> None:
    refresh_at(NOW)
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=dt.datetime.now(dt.UTC))
    apply_premiums()
    assert shown()["gold"] == (LIVE, Decimal("14014.5389"))  # 13,221.2631 by 1.06
