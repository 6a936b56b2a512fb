"""History, candles and moves by REST: pages that hold under inserts, units, CSV, and every mistake told."""

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from prices.domain.candles import Counted, Interval, of_tick
from prices.domain.quotes import PriceKind
from prices.history import partitions
from prices.history.candle_store import Series
from prices.models import Price
from prices.publishing import ingest
from streaming import publish
from tests.support.databases import seed
from tests.support.quotes import NOW, quote

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)
HISTORY, CANDLES, CHANGES = "/api/v1/prices/gold/history/", "/api/v1/prices/gold/candles/", "/api/v1/changes/"


@pytest.fixture(autouse=True)
def _ticks(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """Ten ticks of gold, one a minute from NOW, with 2 % up and down; and nothing else."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    seed()
    Price.objects.all().delete()
    for number in range(10):
        at = NOW + number * MINUTE
        ingest.record([quote("gold", f"{13000 + 260 * (number % 2)}.5", at=at)], now=at)


def get(client: Client, path: str, **query: Any) -> Any:
    response = client.get(path, query)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def all_pages(client: Client, path: str, **query: Any) -> list[Any]:
    """The rows of all pages, as a client follows `next`."""
    page = get(client, path, **query)
    rows = list(page["data"])
    while page["next"]:
        page = json.loads(client.get(page["next"]).content)
        rows += page["data"]
    return rows


def test_history_is_newest_first_and_whole_by_pages(client: Client) -> None:
    rows = all_pages(client, HISTORY, limit=3)
    assert [row["price"] for row in rows] == [13260.5, 13000.5] * 5
    assert rows == get(client, HISTORY)["data"]
    assert rows[-1]["at"] == rows[-1]["timestamp"] == "2026-09-24T08:00:00.000Z"
    seqs = [row["seq"] for row in rows]
    assert seqs == sorted(seqs, reverse=True)


def test_a_page_is_the_same_whatever_comes_meanwhile(client: Client) -> None:
    expected = [row["seq"] for row in get(client, HISTORY)["data"]]
    first = get(client, HISTORY, limit=4)
    ingest.record([quote("gold", "13111", at=NOW + 20 * MINUTE)], now=NOW + 20 * MINUTE)
    rest = json.loads(client.get(first["next"]).content)
    assert [row["seq"] for row in first["data"] + rest["data"]] == expected[:8]


def test_a_range_holds_its_beginning_and_not_its_end(client: Client) -> None:
    rows = get(client, HISTORY, **{"from": "2026-09-24T08:02:00Z", "to": "2026-09-24T13:34:00+05:30"})["data"]
    assert [row["at"][11:16] for row in rows] == ["08:03", "08:02"]


def test_history_of_one_source(client: Client) -> None:
    assert get(client, HISTORY, source="nobody")["data"] == []
    assert len(get(client, HISTORY, source="gold_api_com")["data"]) == 10


def test_prices_that_this_deployment_does_not_show_are_in_no_history(client: Client) -> None:
    at = NOW + 20 * MINUTE
    ingest.record([quote("gold", "1", at=at, source="simulated")], now=at)
    Price.objects.filter(price="13000.5").update(currency="USD")
    assert {row["price"] for row in get(client, HISTORY)["data"]} == {13260.5}


def test_candles_are_oldest_first_and_whole_by_pages(client: Client) -> None:
    page = get(client, CANDLES, interval="5m")
    assert [(row["start"][11:16], row["ticks"], row["closed"]) for row in page["data"]] == [
        ("08:00", 5, True),
        ("08:05", 5, True),
    ]
    assert page["data"][0] == {
        "start": "2026-09-24T08:00:00.000Z",
        "end": "2026-09-24T08:05:00.000Z",
        "open": 13000.5,
        "high": 13260.5,
        "low": 13000.5,
        "close": 13000.5,
        "ticks": 5,
        "closed": True,
        "seq": 6,
    }
    assert page["data"][1]["seq"] == 11  # the first was of fallbacks
    assert (page["interval"], page["lane"], page["currency"]) == ("5m", "live", "INR")
    minutes = all_pages(client, CANDLES, **{"interval": "1m", "from": "2026-09-24", "limit": 3})
    assert [row["start"] for row in minutes] == sorted(row["start"] for row in minutes)
    assert len(minutes) == 10
    assert [row["start"][11:16] for row in get(client, CANDLES, interval="1m", limit=2)["data"]] == ["08:08", "08:09"]


def test_a_day_candle_has_its_date_in_the_zone_of_the_deployment(client: Client) -> None:
    (india,) = get(client, CANDLES, interval="1d")["data"]
    assert (india["start"], india["date"]) == ("2026-09-23T18:30:00.000Z", "2026-09-24")
    assert get(client, "/api/v1/config/")["timeZone"] == "Asia/Kolkata"


def test_a_candle_without_a_streamed_tick_has_no_seq(client: Client) -> None:
    start = dt.datetime(2026, 9, 20, 8, tzinfo=dt.UTC)
    tick = Counted(at=start, source="file", price=Decimal(12_000), order=1, seq=0)
    Series("gold", "INR", PriceKind.LIVE).add([of_tick(tick, Interval.HOUR, start)], "file", replace=False)
    assert [row["seq"] for row in get(client, CANDLES)["data"]] == [None, 11]
    table = client.get(f"{CANDLES}?format=csv").content.decode().splitlines()
    assert [line.rsplit(",", 1)[1] for line in table] == ["seq", "", "11"]


def test_a_candle_that_still_grows_is_not_closed(client: Client) -> None:
    now = dt.datetime.now(dt.UTC)
    ingest.record([quote("gold", "13111", at=now)], now=now)
    assert get(client, CANDLES, interval="1d")["data"][-1]["closed"] is False


@pytest.mark.parametrize("path", [HISTORY, CANDLES])
def test_amounts_are_in_the_requested_unit_and_purity(client: Client, path: str) -> None:
    page = get(client, path, unit="10gram", purity="22k")
    row = page["data"][0]
    assert row.get("price", row.get("high")) == 121554.5833
    assert (page["unit"], page["purity"]) == ("10gram", "22k")


def test_moves_are_newest_first_and_can_be_chosen(client: Client) -> None:
    rows = all_pages(client, CHANGES, limit=2)
    assert [row["direction"] for row in rows] == ["up", "down"] * 4 + ["up"]
    assert (rows[0]["metal"], rows[0]["oldPrice"], rows[0]["newPrice"]) == ("gold", 13000.5, 13260.5)
    assert [row["direction"] for row in get(client, CHANGES, direction="down")["data"]] == ["down"] * 4
    assert get(client, CHANGES, metal="silver")["data"] == []
    assert get(client, CHANGES, metal="XAU") == get(client, CHANGES, metal="gold")
    assert len(get(client, CHANGES, **{"from": "2026-09-24T08:08:00Z"})["data"]) == 2


@pytest.mark.parametrize("path", [HISTORY, CANDLES, CHANGES])
def test_a_table_says_the_same(client: Client, path: str) -> None:
    rows = get(client, path)["data"]
    for response in (client.get(f"{path}?format=csv"), client.get(path, headers={"Accept": "text/csv"})):
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        table = list(csv.DictReader(io.StringIO(response.content.decode())))
        assert [name for name in table[0] if name in rows[0]] == list(rows[0])
        assert [float(line.get("price") or line.get("close") or line["newPrice"]) for line in table] == [
            row.get("price") or row.get("close") or row["newPrice"] for row in rows
        ]
    page = client.get(f"{path}?format=csv&limit=2&from=2026-09-24{'&interval=1m' if path == CANDLES else ''}")
    assert page["Link"].endswith('; rel="next"')


def test_a_row_of_a_table_says_what_it_is_the_price_of_and_when_by_the_clock_of_the_deployment(client: Client) -> None:
    answer = client.get(CANDLES, {"format": "csv", "interval": "1d", "unit": "10gram", "purity": "916"})
    (day,) = csv.DictReader(io.StringIO(answer.content.decode()))
    about = {"metal": "gold", "currency": "INR", "unit": "10gram", "purity": "916", "interval": "1d", "lane": "live"}
    assert list(day.items())[:8] == [*about.items(), ("date", "2026-09-24"), ("time", "00:00:00")]
    assert day["start"] == "2026-09-23T18:30:00.000Z"
    name = "swarna-candles-gold-10gram-916-INR-1d-live-2026-09-24.csv"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    newest = next(csv.DictReader(io.StringIO(client.get(CHANGES, {"format": "csv"}).content.decode())))
    assert [newest[name] for name in ("metal", "unit", "date", "time")] == ["gold", "gram", "2026-09-24", "13:39:00"]


def test_a_file_is_named_by_its_first_and_its_last_day_and_by_the_kind_of_its_prices(client: Client) -> None:
    ingest.record([quote("gold", "13111", at=NOW + dt.timedelta(days=1))], now=NOW + dt.timedelta(days=1))
    named = 'attachment; filename="swarna-ticks-gold-gram-24k-INR-{}.csv"'
    days = "2026-09-24-to-2026-09-25"
    assert client.get(HISTORY, {"format": "csv"})["Content-Disposition"] == named.format(days)
    none = client.get(HISTORY, {"format": "csv", "source": "nobody"})
    assert none["Content-Disposition"] == named.format("empty")
    made_up = client.get(CANDLES, {"format": "csv", "lane": "simulated"})
    assert "-simulated-empty.csv" in made_up["Content-Disposition"]
    assert "Content-Disposition" not in client.get(HISTORY)


@pytest.mark.parametrize("path", [HISTORY, CANDLES, CHANGES])
def test_a_description_is_json_where_a_table_is_requested(client: Client, path: str) -> None:
    for response in (client.options(f"{path}?format=csv"), client.options(path, headers={"Accept": "text/csv"})):
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")
        assert response.json()["renders"] == ["application/json", "text/csv"]


@pytest.mark.parametrize("path", [HISTORY, CANDLES, CHANGES])
def test_history_is_revalidated_as_it_may_be_corrected(client: Client, path: str) -> None:
    over = {"to": "2026-09-24T12:00:00Z"}
    first = client.get(path, over)
    assert first["Cache-Control"] == "no-cache"
    assert client.get(path, over, headers={"If-None-Match": first["ETag"]}).status_code == 304
    last = NOW + 9 * MINUTE
    ingest.record([quote("gold", "13777", at=last)], now=last + 5 * MINUTE)
    corrected = client.get(path, over, headers={"If-None-Match": first["ETag"]})
    assert (corrected.status_code, b"13777" in corrected.content) == (200, True)


def test_history_goes_back_as_far_as_a_file_may(client: Client) -> None:
    price: Any = {"metal_id": "gold", "currency": "INR", "source": "csv", "price": 1, "open": 1, "high": 1, "low": 1}
    for year in (1900, 1969, 1971):
        at = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
        partitions.ensure([at])
        Price.objects.create(at=at, quoted_at=at, **price)
    rows = all_pages(client, HISTORY, limit=1, **{"to": "1980-01-01"})
    assert [row["at"][:4] for row in rows] == ["1971", "1969", "1900"]
    assert len(get(client, HISTORY, **{"from": "1900-01-01", "to": "1970-01-01"})["data"]) == 2


WITHOUT_AN_OFFSET = ["2026-09-24T08:02:00", "2026-09-24 08:02", "20260924T080200", "2026-09-24T13:32:00 05:30"]


@pytest.mark.parametrize("path", [HISTORY, CANDLES, CHANGES])
@pytest.mark.parametrize("at", WITHOUT_AN_OFFSET)
def test_a_time_without_an_offset_is_rejected_with_the_valid_forms(client: Client, path: str, at: str) -> None:
    response = client.get(path, {"from": at})
    assert response.status_code == 400
    (said,) = response.json()["errors"]["from"]
    assert "08:00:00Z" in said
    assert "%2B05:30" in said


def test_a_plus_in_an_address_is_a_space_as_the_answer_says(client: Client) -> None:
    assert "%2B05:30" in client.get(f"{HISTORY}?from=2026-09-24T13:32:00+05:30").json()["detail"]
    rows = client.get(f"{HISTORY}?from=2026-09-24T13:32:00%2B05:30").json()["data"]
    assert rows[-1]["at"] == "2026-09-24T08:02:00.000Z"


@pytest.mark.parametrize("offset", ["-22:43", "+23:59"])
@pytest.mark.parametrize("path", [HISTORY, CANDLES, CHANGES])
def test_a_time_has_any_offset_that_a_time_can_have(client: Client, path: str, offset: str) -> None:
    assert get(client, path, to=f"2026-09-24T08:00:00{offset}")


def test_a_date_alone_is_a_day_of_the_deployment(client: Client) -> None:
    at = dt.datetime(2026, 9, 24, 18, 30, tzinfo=dt.UTC)  # midnight in India
    for moment in (at - MINUTE, at):
        ingest.record([quote("gold", "13111", at=moment)], now=moment)
    assert [row["at"] for row in get(client, HISTORY, **{"from": "2026-09-25"})["data"]] == ["2026-09-24T18:30:00.000Z"]


TIMES = [
    "yesterday",
    *WITHOUT_AN_OFFSET,
    "0000-01-01",
    "0001-01-01",
    "1899-12-31",
    "9999-12-31",
    "9999-12-31T23:59:59-14:00",
    "2026-02-30",
    "\x00",
    "'--",
]
MISTAKES = [
    *((path, {end: at}, end) for path in (HISTORY, CANDLES, CHANGES) for end in ("from", "to") for at in TIMES),
    *((path, {"from": "2026-09-25", "to": "2026-09-24"}, "to") for path in (HISTORY, CANDLES, CHANGES)),
    *(
        (path, {"limit": limit}, "limit")
        for path in (HISTORY, CANDLES, CHANGES)
        for limit in ("0", "-1", "1001", "9" * 30, "many", "1.5", "")
    ),
    *(
        (path, {"cursor": cursor}, "cursor")
        for path in (HISTORY, CHANGES)
        for cursor in (
            "x",
            "",
            "MS4y!",
            "LTEuMQ==",
            "\x00",
            "é",
            "MS4y\n",
            "OTk5OTk5OTk5OTk5OTk5OTk5OS4x",
            "MQ==",
            "a" * 999,
        )
    ),
    (HISTORY, {"cursor": "OTIyMzM3MjAzNjg1NDc3NTgwNy4x"}, "cursor"),  # a moment beyond any calendar
    *((path, {"format": "xml"}, "format") for path in (HISTORY, CANDLES, CHANGES)),
    *((path, {"colour": "red"}, "colour") for path in (HISTORY, CANDLES, CHANGES)),
    (HISTORY, {"source": "x" * 41}, "source"),
    (HISTORY, {"source": "\x00"}, "source"),
    (CANDLES, {"interval": "2m"}, "interval"),
    (CANDLES, {"lane": "fallback"}, "lane"),
    (CHANGES, {"metal": "rhodium' OR 1=1"}, "metal"),
    (CHANGES, {"metal": "xau"}, "metal"),
    (CHANGES, {"direction": "sideways"}, "direction"),
]


@pytest.mark.parametrize(("path", "query", "field"), MISTAKES)
def test_an_error_names_its_parameter(client: Client, path: str, query: dict[str, str], field: str) -> None:
    response = client.get(path, query)
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json"), response.content
    assert list(response.json()["errors"]) == [field]
    assert client.get(path, {"format": "csv"} | query).status_code == 400


@pytest.mark.parametrize("kind", ["history", "candles"])
@pytest.mark.parametrize("metal", ["rhodium", "Gold", "xau", "%00", "%0d%0aX:1", "g" * 3000, "' OR 1=1--"])
def test_an_unknown_metal_has_no_history(client: Client, metal: str, kind: str) -> None:
    response = client.get(f"/api/v1/prices/{metal}/{kind}/")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert response.json()["detail"].endswith("gold, silver, platinum, palladium, or by ISO code XAU, XAG, XPT, XPD.")


@pytest.mark.parametrize("kind", ["history", "candles"])
def test_history_by_an_iso_code_is_the_metals(client: Client, kind: str) -> None:
    by_code = client.get(f"/api/v1/prices/XAU/{kind}/", {"limit": 1000})
    assert by_code.json() == client.get(f"/api/v1/prices/gold/{kind}/", {"limit": 1000}).json()
    assert by_code.json()["metal"] == "gold"
