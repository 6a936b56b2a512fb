"""REST and the other pages of HTTP, as a client without a login meets them."""

import datetime as dt
import json
import re
from decimal import Decimal
from fractions import Fraction
from html import unescape
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from infra import formats
from prices import schedule
from prices.domain.calendar import Calendar
from prices.domain.fineness import PURITIES_OF, WEIGHTS_OF, purity_labels
from prices.domain.quotes import LARGEST_PRICE, Metal, Publication
from prices.domain.units import PURITIES, UNITS
from prices.models import Configuration, ListedMetal, Premium, SanityBand
from prices.publishing import ingest
from streaming import protocol, publication_log, publish
from tests.support.databases import seed
from tests.support.measures import PAIRS, factor, published_digits
from tests.support.quotes import NOW, quote
from tests.support.world import forget_prices

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)
WIRE_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def _seeded(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """A database with metals and without any tick, and without web processes."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    seed()
    forget_prices()


@pytest.fixture
def published() -> Publication:
    """Gold with bid and ask and a day of its own, and silver, quoted yesterday and today."""
    ingest.record([quote("gold", "13201.18", at=NOW - dt.timedelta(days=1))], now=NOW - dt.timedelta(days=1))
    for minutes, price in ((3, "13178.4"), (2, "13274.1"), (1, "13116")):
        ingest.record([quote("gold", price, at=NOW - minutes * MINUTE)], now=NOW - minutes * MINUTE)
    publication = ingest.record(
        [
            quote("gold", "13221.39", at=NOW.replace(microsecond=120_900), bid="13220", ask="13222.5"),
            quote("silver", "165.5"),
        ],
        now=NOW,
    )
    assert publication is not None
    return publication


def get(client: Client, path: str, status: int = 200) -> Any:
    """The JSON of an answer."""
    response = client.get(path)
    assert response.status_code == status, response.content
    assert response["Content-Type"] == ("application/json" if status < 400 else "application/problem+json")
    return json.loads(response.content)


# --- prices --------------------------------------------------------------------------------------------------------


def test_a_price_has_the_fields_of_the_stream(client: Client, published: Publication) -> None:
    assert get(client, "/api/v1/prices/") == {
        "data": {
            "gold": {
                "price": 13221.39,
                "change": 20.21,
                "changePercent": 0.15,
                "high": 13274.1,
                "low": 13116,
                "open": 13178.4,
                "previousClose": 13201.18,
                "timestamp": "2026-09-24T08:00:00.120Z",
                "source": "gold_api_com",
                "stale": True,
                "bid": 13220,
                "ask": 13222.5,
            },
            "silver": {
                "price": 165.5,
                "change": 0,
                "changePercent": 0,
                "high": 165.5,
                "low": 165.5,
                "open": 165.5,
                "previousClose": None,
                "timestamp": "2026-09-24T08:00:00.000Z",
                "source": "gold_api_com",
                "stale": True,
            },
        },
        "epoch": published.epoch,
        "seq": published.seq,
        "market": get(client, "/api/v1/market/")["market"],
        "currency": "INR",
        "unit": "gram",
        "purity": "24k",
    }


def test_the_api_and_the_stream_say_the_same(client: Client, published: Publication) -> None:
    publication = publication_log.PublicationMessage.of(published)
    said = protocol.price_update(
        {metal: quoted.data for metal, quoted in publication.quotes.items()},
        {"gold", "silver"},
        [],
        epoch=publication.epoch,
        seq=publication.seq,
        published_at="",
        snapshot=True,
        currency="INR",
    )
    assert get(client, "/api/v1/prices/")["data"] == json.loads(said)["data"]


def test_one_metals_price_is_the_same_with_its_name(client: Client, published: Publication) -> None:
    of_all = get(client, "/api/v1/prices/")
    assert get(client, "/api/v1/prices/gold/") == {
        "metal": "gold",
        **of_all["data"]["gold"],
        "market": of_all["market"],
        "currency": "INR",
        "unit": "gram",
        "purity": "24k",
    }


def test_an_iso_code_is_the_same_address(client: Client, published: Publication) -> None:
    assert get(client, "/api/v1/prices/XAU/") == get(client, "/api/v1/prices/gold/")


def test_a_fresh_price_is_not_stale(client: Client) -> None:
    now = dt.datetime.now(dt.UTC)
    # In any four days the market is open for more than the limit.
    ingest.record([quote("gold", at=now), quote("silver", at=now - dt.timedelta(days=4))], now=now)
    data = get(client, "/api/v1/prices/")["data"]
    assert (data["gold"]["stale"], data["silver"]["stale"]) == (False, True)


def test_a_fallback_says_that_it_is_one(client: Client) -> None:
    ingest.fall_back_where_due(now=NOW)
    gold = get(client, "/api/v1/prices/gold/")
    assert (gold["source"], gold["stale"], gold["price"]) == ("fallback", True, 9223.3162)
    assert gold["timestamp"] == "2025-07-01T00:00:00.000Z"


@pytest.mark.parametrize("price", ["13000", "13221.39", "0.0001", "1200000000", "9223.3162"])
def test_amounts_are_plain_numbers(client: Client, price: str) -> None:
    ingest.record([quote(price=price, bid=price)], now=NOW)
    text = client.get("/api/v1/prices/gold/").content.decode()
    assert re.search(rf'"price":{re.escape(price)}[,}}]', text)
    assert re.search(rf'"bid":{re.escape(price)}[,}}]', text)
    assert re.search(r'"change":0[,}]', text)


def test_times_are_utc_with_milliseconds(client: Client, published: Publication) -> None:
    for each in get(client, "/api/v1/prices/")["data"].values():
        assert re.fullmatch(WIRE_TIME, each["timestamp"])


@pytest.mark.parametrize(
    ("query", "price", "previous_close"),
    [
        ("unit=gram", 13221.39, 13201.18),
        ("unit=10gram", 132213.9, 132011.8),
        ("unit=kg", 13221390, 13201180),
        ("unit=tola", 154211.6989, 153975.9734),
        ("unit=troy_ounce", 411231.1971, 410602.5959),
        ("purity=22k", 12119.6075, 12101.0817),
        ("unit=10gram&purity=916", 121107.9324, 120922.8088),
    ],
)
def test_a_price_is_in_the_requested_unit_and_purity(
    client: Client, published: Publication, query: str, price: float, previous_close: float
) -> None:
    gold = get(client, f"/api/v1/prices/gold/?{query}")
    assert (gold["price"], gold["previousClose"]) == (price, previous_close)
    assert gold["change"] == pytest.approx(price - previous_close)
    assert (gold["changePercent"], gold["low"] < gold["bid"] < gold["ask"] < gold["high"]) == (0.15, True)
    asked = {"unit": "gram", "purity": "24k"} | dict(part.split("=") for part in query.split("&"))
    assert {name: gold[name] for name in asked} == asked
    assert get(client, f"/api/v1/prices/?{query}")["data"]["gold"]["price"] == price


def test_every_unit_and_purity_that_is_offered_is_served(client: Client, published: Publication) -> None:
    for metal in get(client, "/api/v1/metals/"):
        name = Metal(metal["name"])
        assert (metal["units"], metal["purities"]) == (list(UNITS), list(PURITIES_OF[name]))
        assert (metal["weights"], metal["purityLabels"]) == (list(WEIGHTS_OF[name]), purity_labels(name))
    for unit in UNITS:
        for purity in PURITIES_OF[Metal.SILVER]:
            assert get(client, f"/api/v1/prices/silver/?unit={unit}&purity={purity}")["price"] > 0


@pytest.mark.parametrize("path", ["prices/silver/", "prices/XAG/", "prices/silver/history/", "prices/silver/candles/"])
@pytest.mark.parametrize("purity", ["22k", "916", "950"])
def test_a_purity_of_another_metal_is_rejected_with_those_that_the_metal_has(
    client: Client, published: Publication, path: str, purity: str
) -> None:
    response = client.get(f"/api/v1/{path}?purity={purity}")
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    assert response.json()["errors"] == {
        "purity": [f'Silver has no purity "{purity}". It has: 24k, 999, 990, 970, 925, 900, 835, 800.']
    }


def test_all_prices_in_a_purity_are_those_of_the_metals_that_have_it(client: Client, published: Publication) -> None:
    assert list(get(client, "/api/v1/prices/?purity=22k")["data"]) == ["gold"]
    assert list(get(client, "/api/v1/prices/?purity=925")["data"]) == ["silver"]
    assert list(get(client, "/api/v1/prices/?purity=999")["data"]) == ["gold", "silver"]


@pytest.mark.parametrize(
    ("price", "premium"),
    [
        *((price, "1") for price in ("0.0001", "0.0006", "31.25", "13221.3917", str(LARGEST_PRICE))),
        *((price, "1.092727") for price in ("0.0006", "31.25", "13221.3917")),
    ],
)
def test_a_price_is_right_to_the_last_digit_in_every_unit_and_purity(client: Client, price: str, premium: str) -> None:
    Premium.objects.create(metal_id="gold", multiplier=Decimal(premium), effective_from=NOW)
    ingest.record([quote(price=price)], now=NOW)
    per_gram = published_digits(Fraction(price) * Fraction(premium))
    for unit, purity in PAIRS:
        if purity not in PURITIES_OF[Metal.GOLD]:
            continue
        text = client.get(f"/api/v1/prices/gold/?unit={unit}&purity={purity}").content
        expected = published_digits(Fraction(per_gram) * factor(unit, purity))
        assert json.loads(text, parse_float=Decimal, parse_int=Decimal)["price"] == expected


def test_a_metal_has_moved_by_the_same_share_in_any_unit(client: Client) -> None:
    for day, price in (("2026-09-23", "0.0002"), ("2026-09-24", "0.0003")):
        at = dt.datetime.fromisoformat(f"{day}T07:00Z")
        ingest.record([quote(price=price, at=at)], now=at)
    gold = get(client, "/api/v1/prices/gold/?purity=585")
    # The share of these two, which were rounded, would be 100 %.
    assert (gold["price"], gold["previousClose"], gold["change"]) == (0.0002, 0.0001, 0.0001)
    assert gold["changePercent"] == 50


def test_even_a_kilogram_of_the_dearest_metal_has_a_price(client: Client) -> None:
    ingest.record([quote(price=str(LARGEST_PRICE))], now=NOW)
    text = client.get("/api/v1/prices/gold/?unit=kg").content.decode()
    assert f'"price":{LARGEST_PRICE * 1000:.1f},' in text


def test_metals_are_in_staffs_order_without_those_switched_off(client: Client, published: Publication) -> None:
    ListedMetal.objects.filter(name="silver").update(position=0)
    ListedMetal.objects.filter(name="gold").update(position=1)
    assert list(get(client, "/api/v1/prices/")["data"]) == ["silver", "gold"]
    ListedMetal.objects.filter(name="silver").update(enabled=False)
    assert list(get(client, "/api/v1/prices/")["data"]) == ["gold"]
    get(client, "/api/v1/prices/silver/", 404)


def test_without_any_price_there_is_an_empty_answer(client: Client) -> None:
    assert get(client, "/api/v1/prices/")["data"] == {}
    assert "none yet" in get(client, "/api/v1/prices/gold/", 404)["detail"]


# --- metals, config ------------------------------------------------------------------------------------------------


def test_metals_are_listed_as_staff_want_them(client: Client) -> None:
    ListedMetal.objects.filter(name="gold").update(display_name="Gold 24K", position=9)
    ListedMetal.objects.filter(name="palladium").update(enabled=False)
    listed = get(client, "/api/v1/metals/")
    assert [(metal["name"], metal["displayName"], metal["symbol"]) for metal in listed] == [
        ("silver", "Silver", "XAG"),
        ("platinum", "Platinum", "XPT"),
        ("gold", "Gold 24K", "XAU"),
    ]


def test_config_has_the_current_values(client: Client, settings: Settings) -> None:
    assert get(client, "/api/v1/config/") == {
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
        "premiums": {metal.value: {"multiplier": 1, "effectiveFrom": None, "note": ""} for metal in Metal},
        "bands": {
            "gold": {"lowest": 2305.829, "highest": 36893.2648},
            "silver": {"lowest": 26.2615, "highest": 420.1844},
            "platinum": {"lowest": 956.1153, "highest": 15297.8448},
            "palladium": {"lowest": 824.7739, "highest": 13196.382},
        },
        "maxConnections": 100,
        "rateLimit": 10,
        "userRateLimit": 300,
        "timeZone": "Asia/Kolkata",
        "rateWindowMs": 60000,
        "maxMessageBytes": 16384,
    }
    schedule.set_interval(dt.timedelta(seconds=2))
    Configuration.objects.update(change_threshold_percent=Decimal("0.250"), max_jump_percent=Decimal(8))
    SanityBand.objects.create(metal_id="gold", lowest=Decimal(9000), highest=Decimal(20000))
    for multiplier, at in (("1.06", NOW), ("1.15", timezone.now() + dt.timedelta(days=1))):
        Premium.objects.create(metal_id="gold", multiplier=Decimal(multiplier), effective_from=at, note="duty, GST")
    settings.PRICE_PROVIDERS = ["simulated", "gold_api_com"]
    config = get(client, "/api/v1/config/")
    assert (config["updateIntervalMs"], config["freshnessLimitMs"]) == (2000, 10000)
    assert config["closedUpdateIntervalMs"] == 2000  # a simulated market never closes
    assert (config["changeThresholdPercent"], config["maxJumpPercent"]) == (0.25, 8)
    assert config["bands"]["gold"] == {"lowest": 9000, "highest": 20000}
    assert config["premiums"]["gold"] == {
        "multiplier": 1.06,
        "effectiveFrom": "2026-09-24T08:00:00.000Z",
        "note": "duty, GST",
    }
    assert config["providers"] == ["simulated", "gold_api_com"]
    settings.PRICE_PROVIDERS = ["gold_api_com"]
    schedule.set_interval(dt.timedelta(hours=1))
    assert get(client, "/api/v1/config/")["closedUpdateIntervalMs"] == 3_600_000  # never shorter


# --- the market ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "market", "next_change"),
    [
        (NOW, "open", "2026-09-24T21:00:00.000Z"),
        (NOW + dt.timedelta(days=2), "closed", "2026-09-27T22:00:00.000Z"),
        (dt.datetime(2026, 11, 26, 12, 0, tzinfo=dt.UTC), "closed", "2026-11-26T23:00:00.000Z"),
    ],
    ids=["on a working day", "on a weekend", "on a holiday"],
)
def test_the_market_is_open_or_closed_until_it_changes(
    client: Client,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    now: dt.datetime,
    market: str,
    next_change: str,
) -> None:
    settings.MARKET_CALENDAR = Calendar().corrected("2026-11-26")
    monkeypatch.setattr(timezone, "now", lambda: now)
    assert get(client, "/api/v1/market/") == {
        "market": market,
        "nextChange": next_change,
        "timestamp": formats.time(now),
    }


def test_a_price_of_the_close_is_fresh_and_beside_it_is_said_that_the_market_is_closed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = dt.datetime(2026, 9, 25, 21, 0, tzinfo=dt.UTC)
    ingest.record([quote("gold", at=close - MINUTE), quote("silver", at=close - 6 * MINUTE)], now=close)
    monkeypatch.setattr(timezone, "now", lambda: close + dt.timedelta(days=1))
    said = get(client, "/api/v1/prices/")
    assert (said["data"]["gold"]["stale"], said["data"]["silver"]["stale"], said["market"]) == (False, True, "closed")
    assert get(client, "/api/v1/prices/gold/")["market"] == "closed"


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["prices/", "prices/gold/"])
@pytest.mark.parametrize(("field", "allowed"), [("unit", UNITS), ("purity", PURITIES)])
@pytest.mark.parametrize("value", ["ounce", "GRAM", "\x00", "24K", "gram,kg"])
def test_an_unknown_unit_or_purity_is_rejected_with_the_known_ones(
    client: Client, published: Publication, path: str, field: str, allowed: dict[str, Decimal], value: str
) -> None:
    response = client.get(f"/api/v1/{path}", {field: value})
    assert response.status_code == 400
    errors = response.json()["errors"]
    assert list(errors) == [field]
    assert all(name in errors[field][0] for name in allowed)


METALS_THAT_ARE_NONE = {
    "another metal": "rhodium",
    "capitals": "Gold",
    "very long": "g" * 5000,
    "unicode": "सोना",
    "an emoji": "🥇",
    "a null byte": "go%00ld",
    "bytes that are no text": "%ff%fe",
    "a line break": "gold%0aX-Evil:%201",
    "markup": "%3Cscript%3Ealert(1)%3C/script%3E".replace("/", "%2F"),
    "dots": "..%2f..%2fetc%2fpasswd",
    "a space": "%20",
    "an ISO code in small letters": "xau",
    "an ISO code of no metal here": "XPT",
}


@pytest.mark.parametrize("name", METALS_THAT_ARE_NONE.values(), ids=METALS_THAT_ARE_NONE)
def test_an_unknown_metal_is_rejected_with_the_known_ones(client: Client, published: Publication, name: str) -> None:
    response = client.get(f"/api/v1/prices/{name}/")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    detail = response.json()["detail"]
    if "/" not in name and "%2f" not in name.lower():  # with a slash in it, it is not this address at all
        assert detail.endswith("Metals with a price: gold, silver, or by ISO code XAU, XAG.")
        assert len(detail) < 300


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="/?#"), min_size=1),
    st.text(st.characters(codec="utf-8")),
    st.text(st.characters(codec="utf-8")),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_or_query_breaks_the_server(client: Client, metal: str, unit: str, purity: str) -> None:
    response = client.get(f"/api/v1/prices/{metal}/", {"unit": unit, "purity": purity})
    assert response.status_code in (400, 404)


@pytest.mark.parametrize("path", ["metals/", "prices/", "prices/gold/", "market/"])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written(client: Client, method: str, path: str) -> None:
    response = getattr(client, method)(f"/api/v1/{path}", "{}", content_type="application/json")
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD, OPTIONS"
    assert method.upper() in response.json()["detail"]


@pytest.mark.parametrize("path", ["metals/", "prices/", "prices/gold/", "market/", "config/"])
def test_an_endpoint_describes_itself(client: Client, path: str) -> None:
    response = client.options(f"/api/v1/{path}")
    assert response.status_code == 200
    assert response.json()["description"]


def test_head_has_no_body(client: Client) -> None:
    response = client.head("/api/v1/prices/")
    assert (response.status_code, response.content) == (200, b"")


def test_a_browser_gets_json_too(client: Client) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert client.get("/api/v1/prices/", headers={"Accept": accept})["Content-Type"] == "application/json"


# --- the other pages -----------------------------------------------------------------------------------------------


def test_healthz_answers_without_a_database(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.content, response["Content-Type"]) == (200, b"ok", "text/plain")


ANY_HOST = ["10.0.0.7:3001", "[fd00::7]:3001", "a-load-balancer.example", "no host", "", "a.example,b.example"]


@pytest.mark.parametrize("host", ANY_HOST)
def test_only_health_answers_to_any_host(client: Client, seeded: None, host: str) -> None:
    """A load balancer asks by address."""
    assert client.get("/healthz", headers={"Host": host}).status_code == 200
    assert client.get("/readyz", headers={"Host": host}).status_code in (200, 503)
    assert "database" in client.get("/readyz", headers={"Host": host}).json()
    for path in ("/", "/healthz/", "/api/v1/prices/", "/admin/", "/favicon.ico"):
        assert client.get(path, headers={"Host": host}).status_code == 400, path


@pytest.mark.parametrize("names", [["*"], [".example.org"], ["[::1]"], ["prices.example"]])
def test_health_answers_whatever_the_names_of_this_deployment_are(
    client: Client, settings: Settings, names: list[str]
) -> None:
    settings.ALLOWED_HOSTS = names
    assert client.get("/healthz", headers={"Host": "10.0.0.7"}).content == b"ok"


def schema(client: Client) -> Any:
    response = client.get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert response.status_code == 200
    return json.loads(response.content)


def test_the_schema_is_valid_and_complete_and_made_without_a_warning(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", "/dev/null")
    assert capsys.readouterr().err == ""
    assert set(schema(client)["paths"]) == {
        "/api/v1/auth/token/",
        "/api/v1/auth/token/{key}/",
        "/api/v1/changes/",
        "/api/v1/config/",
        "/api/v1/fallback-prices/",
        "/api/v1/fallback-prices/{metal}/",
        "/api/v1/locks/",
        "/api/v1/locks/{id}/",
        "/api/v1/locks/{id}/redeem/",
        "/api/v1/market/",
        "/api/v1/metals/",
        "/api/v1/prices/",
        "/api/v1/prices/{metal}/",
        "/api/v1/prices/{metal}/candles/",
        "/api/v1/prices/{metal}/history/",
        "/api/v1/proposals/",
        "/api/v1/proposals/{number}/",
        "/api/v1/providers/",
        "/api/v1/publications/{seq}/",
        "/api/v1/stream/",
    }


def test_the_schema_describes_the_answers(client: Client, published: Publication) -> None:
    schemas = schema(client)["components"]["schemas"]

    def check(said: dict[str, Any], name: str) -> None:
        described = schemas[name]
        assert set(said) <= set(described["properties"])
        assert set(described["required"]) <= set(said)
        for field, value in said.items():
            kind = described["properties"][field]
            if isinstance(value, float):
                assert kind["format"] == "double"
                assert kind["type"] in ("number", ["number", "null"])

    check(get(client, "/api/v1/prices/"), "Prices")
    check(get(client, "/api/v1/prices/gold/"), "Price")
    check(get(client, "/api/v1/prices/silver/"), "Price")
    check(get(client, "/api/v1/metals/")[0], "Metal")
    check(get(client, "/api/v1/config/"), "Config")
    check(get(client, "/api/v1/market/"), "Market")


def test_the_schema_is_openapi_3_in_yaml_too(client: Client) -> None:
    assert b"openapi: 3" in client.get("/api/schema/").content


def test_the_docs_need_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/api/docs/")
    text = page.content.decode()
    loaded = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]+)"', text)
    assert len(loaded) >= 3
    assert re.findall(r"https?://[^\"'\s]+", text) == []
    for address in loaded:
        assert address.startswith(("/static/", "/api/docs/?")), address
        served = client.get(address)
        assert served.status_code == 200, address
        served.close()


def test_the_docs_ask_for_the_schema_that_there_is_whatever_their_address_holds(client: Client) -> None:
    page = client.get("/api/docs/?lang=hi&version=2&x=<script>").content.decode()
    (script,) = re.findall(r'src="(/api/docs/[^"]+)"', page)
    assert "<script>" not in script
    (schema,) = re.findall(r'^\s*url: "(.*)",$', client.get(unescape(script)).content.decode(), re.MULTILINE)
    assert client.get(schema).status_code == 200


@pytest.mark.parametrize("path", ["/", "/admin/login/"])
def test_pages_need_nothing_from_elsewhere(client: Client, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert not [address for address in loaded if "//" in address]


def test_every_metal_has_a_place(client: Client) -> None:
    assert [metal["name"] for metal in get(client, "/api/v1/metals/")] == [metal.value for metal in Metal]
