"""Rules of all of the API: the shape of problems, limits, origins, compression, caches, and staff's edits."""

import datetime as dt
import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from openapi_spec_validator import validate
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts import tokens
from infra.fixed_window import FixedWindowCounter
from infra.rest import throttles
from prices import schedule
from prices.models import Configuration, FallbackPrice
from prices.publishing import ingest
from tests.support.desk import Broadcasts, user
from tests.support.quotes import NOW, quote

pytestmark = pytest.mark.django_db

CONFIG = "/api/v1/config/"
GOLD = "/api/v1/fallback-prices/gold/"


def refused(response: Any, status: int) -> Any:
    """The problem that a response is."""
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json"), response.content
    problem = response.json()
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    assert problem["title"]
    assert problem["detail"]
    return problem


# --- problems ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/nowhere/", "/api/v1/nowhere/", "/api/v2/prices/", "/api/v1/prices/a/b/"])
def test_an_unknown_address_is_a_problem_too(client: Client, path: str) -> None:
    assert "/api/docs/" in refused(client.get(path), 404)["detail"]


def test_debugging_shows_no_page_for_a_problem(client: Client, settings: Settings) -> None:
    settings.DEBUG = True
    refused(client.get("/api/nowhere/"), 404)
    refused(client.post("/api/v1/config"), 404)


@pytest.mark.parametrize("path", ["/api/v1/config", "/api/v1/fallback-prices/gold", "/api/v1/auth/token", "/api/docs"])
def test_only_readers_are_sent_on_to_the_address_with_its_slash(client: Client, path: str) -> None:
    sent_on = client.get(f"{path}?a=1")
    assert (sent_on.status_code, sent_on["Location"]) == (301, f"{path}/?a=1")
    strict = Client(enforce_csrf_checks=True)  # as browsers meet it
    for write in (strict.post, strict.patch, strict.put, strict.delete):
        assert "with a slash" in refused(write(path, "{}", content_type="application/json"), 404)["detail"]
    assert "slash" not in refused(strict.post("/api/v1/nowhere"), 404)["detail"]


@pytest.mark.parametrize(
    ("path", "status"), [("schema/", 405), ("docs/", 405), ("asyncapi.json", 405), ("v1/prices/", 405), ("v1/x/", 404)]
)
def test_a_post_to_a_read_only_address_is_a_problem(path: str, status: int) -> None:
    refused(Client(enforce_csrf_checks=True).post(f"/api/{path}", "{}", content_type="application/json"), status)


@pytest.mark.parametrize("path", ["prices/", "prices/gold/candles/", "stream/", "config/"])
def test_a_token_in_an_address_is_refused_with_where_it_belongs(client: Client, path: str) -> None:
    problem = refused(client.get(f"/api/v1/{path}?token=swarna_00000000"), 400)
    assert "`Authorization`" in problem["errors"]["token"][0]
    assert "swarna_" not in json.dumps(problem)


@pytest.mark.parametrize("query", ["version=a%0d%0aX-B:1", "lang=%00", "colour=red"])
def test_the_schema_takes_no_parameters(client: Client, query: str) -> None:
    refused(client.get(f"/api/schema/?{query}"), 400)


def test_the_page_of_the_api_is_only_to_be_read(client: Client) -> None:
    assert client.get("/api/docs/").status_code == 200
    refused(client.options("/api/docs/"), 405)


def test_an_unknown_page_is_still_a_page(client: Client) -> None:
    assert client.get("/nowhere")["Content-Type"].startswith("text/html")


def test_a_strangers_host_is_a_problem(client: Client) -> None:
    refused(client.get("/api/v1/prices/", headers={"Host": "evil.example"}), 400)


def test_a_defect_of_ours_is_a_problem(client: Client, seeded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("prices.api.views.schedule.interval", fail)
    client.raise_request_exception = False
    assert "defect" in refused(client.get(CONFIG), 500)["detail"]


def test_a_wrong_method_is_a_problem(client: Client) -> None:
    response = client.delete("/api/v1/metals/")
    assert "DELETE" in refused(response, 405)["detail"]
    assert response["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/prices/?colour=red"),
        ("DELETE", "/api/v1/prices/gold/history/?from=soon&format=xlsx"),
        ("PUT", "/api/v1/prices/gold/candles/?interval=7m"),
        ("PUT", "/api/v1/auth/token/?colour=red"),
        ("TRACE", "/api/v1/market/?colour=red"),
        ("PATCH", "/api/schema/?colour=red"),
    ],
)
def test_a_wrong_method_is_named_before_its_query_is_judged(
    desk: Client, broadcasts: Broadcasts, seeded: None, method: str, path: str
) -> None:
    assert f'"{method}"' in refused(desk.generic(method, path), 405)["detail"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/favicon.ico"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_read_only_endpoints_allow_get_and_head(seeded: None, path: str, method: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    response = strict.generic(method, path)
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    assert strict.head(path).status_code in (200, 302, 503)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_another_content_type_is_a_problem(desk: Client, broadcasts: Broadcasts, kind: str) -> None:
    assert kind in refused(desk.patch(CONFIG, "a=1", content_type=kind), 415)["detail"]


@pytest.mark.parametrize("body", ["{", "", "\x00", '{"a":NaN}', "[" * 100_000, "1" * 5000])
def test_a_body_that_is_not_a_json_object_is_a_problem(desk: Client, broadcasts: Broadcasts, body: str) -> None:
    response = desk.patch(CONFIG, body, content_type="application/json")
    if body:
        refused(response, 400)
    else:
        assert response.status_code == 200  # nothing to change


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "zlib", "hex", "rot13", "bz2", "undefined", "none-such", ""])
def test_json_is_utf_8_whatever_charset_is_claimed(desk: Client, broadcasts: Broadcasts, charset: str) -> None:
    kind = f"application/json; charset={charset}"
    response = desk.generic("PATCH", CONFIG, '{"maxJumpPercent": 8}', content_type=kind)
    assert (response.status_code, response.json()["maxJumpPercent"]) == (200, 8)


@pytest.mark.parametrize("path", ["metals/", "prices/", "prices/gold/", "market/", "config/"])
def test_an_unknown_parameter_is_named(client: Client, seeded: None, path: str) -> None:
    problem = refused(client.get(f"/api/v1/{path}?colour=red%0d%0aX:1&' OR 1=1--=2"), 400)
    assert "colour" in problem["errors"]


def test_a_parameter_that_comes_twice_is_a_problem(client: Client, seeded: None) -> None:
    assert refused(client.get("/api/v1/prices/?unit=kg&unit=gram"), 400)["errors"] == {"unit": ["Give it once."]}


def test_an_unknown_field_is_named_with_those_there_are(desk: Client, broadcasts: Broadcasts) -> None:
    problem = refused(desk.patch(CONFIG, {"baseCurrency": "USD"}, content_type="application/json"), 400)
    assert "changeThresholdPercent" in problem["errors"]["baseCurrency"][0]


# --- limits --------------------------------------------------------------------------------------------------------


@pytest.fixture
def limited(settings: Settings, monkeypatch: pytest.MonkeyPatch, seeded: None) -> None:
    """Two requests a minute of an address, three of a user, in this process alone."""
    settings.API_RATE_LIMIT, settings.API_USER_RATE_LIMIT = 2, 3
    counter = FixedWindowCounter(None, "test", dt.timedelta(minutes=1))
    monkeypatch.setattr(throttles, "counter", lambda: counter)


def test_a_request_above_the_limit_is_told_when_to_retry(client: Client, limited: None) -> None:
    assert [client.get("/api/v1/metals/").status_code for _ in range(2)] == [200, 200]
    response = client.get("/api/v1/metals/")
    refused(response, 429)
    assert 0 < int(response["Retry-After"]) <= 60
    assert client.get("/api/v1/metals/", REMOTE_ADDR="192.0.2.9").status_code == 200


def test_a_user_has_a_limit_of_their_own_wherever_they_are(limited: None, staff: User) -> None:
    _, text = tokens.issue(staff)
    answers = [
        Client().get("/api/v1/metals/", headers={"Authorization": f"Bearer {text}"}, REMOTE_ADDR=f"192.0.2.{host}")
        for host in range(4)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


@pytest.mark.parametrize("path", ["metals/", "auth/token/", "providers/"])
def test_rejected_requests_are_counted_too(client: Client, limited: None, path: str) -> None:
    unknown = {"Authorization": f"Bearer swarna_{'0' * 64}"}
    answers = [client.get(f"/api/v1/{path}", headers=unknown) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert 0 < int(answers[-1]["Retry-After"]) <= 60


def test_only_a_trusted_proxy_names_the_client_behind_it(client: Client, limited: None, settings: Settings) -> None:
    def ask(behind: str) -> int:
        return client.get("/api/v1/metals/", headers={"X-Forwarded-For": behind}).status_code

    assert [ask(f"192.0.2.{host}") for host in range(3)] == [200, 200, 429]


# --- origins, compression, caches ----------------------------------------------------------------------------------


def test_pages_of_named_origins_may_read_the_api(client: Client, seeded: None, settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    allowed = client.get("/api/v1/metals/", headers={"Origin": "https://shop.example"})
    assert allowed["Access-Control-Allow-Origin"] == "https://shop.example"
    # By `Date` a page knows the server's time, and so how old a price is.
    assert {"Date", "Retry-After"} <= set(allowed["Access-Control-Expose-Headers"].split(", "))
    assert "origin" in allowed["Vary"].lower()
    assert "Access-Control-Allow-Origin" not in client.get(
        "/api/v1/metals/", headers={"Origin": "https://evil.example"}
    )
    assert "Access-Control-Allow-Origin" not in client.get("/healthz", headers={"Origin": "https://shop.example"})


def test_a_page_may_send_a_preflight(client: Client, seeded: None, settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    preflight = client.options("/api/v1/prices/", headers=asked | {"Access-Control-Request-Headers": "authorization"})
    assert {"authorization", "if-none-match"} <= set(preflight["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in preflight


def test_public_answers_are_compressed(client: Client, seeded: None) -> None:
    plain = client.get(CONFIG)
    small = client.get(CONFIG, headers={"Accept-Encoding": "gzip"})
    assert small["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.content) == plain.content
    assert "Accept-Encoding" in plain["Vary"]
    assert "Content-Encoding" not in client.get(CONFIG, headers={"Accept-Encoding": "gzip;q=0"})


def test_personal_answers_are_neither_cached_nor_compressed(broadcasts: Broadcasts, boss: Client, staff: User) -> None:
    staff.set_password("correct horse battery")
    staff.save()
    issued = Client().post(
        "/api/v1/auth/token/",
        {"username": "asha", "password": "correct horse battery"},
        content_type="application/json",
        headers={"Accept-Encoding": "gzip"},
    )
    assert issued.status_code == 201
    text = issued.json()["token"]
    personal = {"Authorization": f"Bearer {text}", "Accept-Encoding": "gzip"}
    for answer in (issued, Client().get("/api/v1/auth/token/", headers=personal)):
        assert answer["Cache-Control"] == "no-store"
        assert "Content-Encoding" not in answer
    staffs = boss.get("/api/v1/providers/", headers={"Accept-Encoding": "gzip"})
    assert staffs["Cache-Control"] == "no-store"
    assert "Content-Encoding" not in staffs


@pytest.mark.parametrize("path", ["metals/", "prices/", "prices/gold/", "config/", "market/", "changes/"])
def test_an_unchanged_answer_is_not_sent_again(client: Client, seeded: None, path: str) -> None:
    ingest.fall_back_where_due(now=timezone.now())
    first = client.get(f"/api/v1/{path}")
    assert first["Cache-Control"] == "no-cache"
    again = client.get(f"/api/v1/{path}", headers={"If-None-Match": f'"other", {first["ETag"]}'})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])


def test_a_market_that_opens_is_news(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now = NOW
    monkeypatch.setattr(timezone, "now", lambda: now)
    first = client.get("/api/v1/market/")
    now += dt.timedelta(hours=1)
    assert client.get("/api/v1/market/", headers={"If-None-Match": first["ETag"]}).status_code == 304
    now += dt.timedelta(days=2)
    closed = client.get("/api/v1/market/", headers={"If-None-Match": first["ETag"]})
    assert (closed.status_code, closed.json()["market"]) == (200, "closed")


@pytest.mark.parametrize("path", ["metals/", "prices/", "config/", "prices/gold/candles/"])
def test_public_answers_are_the_same_with_a_token(client: Client, seeded: None, staff: User, path: str) -> None:
    mine = {"Authorization": f"Bearer {tokens.issue(staff)[1]}"}
    first = client.get(f"/api/v1/{path}", headers=mine)
    assert first["Cache-Control"] == "no-cache"
    assert client.get(f"/api/v1/{path}", headers=mine | {"If-None-Match": first["ETag"]}).status_code == 304
    assert first.content == client.get(f"/api/v1/{path}").content


@pytest.mark.parametrize("path", ["prices/", "prices/gold/"])
def test_a_new_price_is_another_answer(client: Client, seeded: None, path: str) -> None:
    first = client.get(f"/api/v1/{path}")
    ingest.record([quote("gold", "13000.5")], now=NOW)
    again = client.get(f"/api/v1/{path}", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, b"13000.5" in again.content) == (200, True)


# --- staff's edits -------------------------------------------------------------------------------------------------

Patch = Callable[..., Any]


@pytest.fixture
def patch(
    desk: Client, broadcasts: Broadcasts, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Patch:
    def patch(path: str, **changes: Any) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return desk.patch(path, json.dumps(changes), content_type="application/json")

    return patch


def test_staff_change_the_configuration(patch: Patch, broadcasts: Broadcasts, staff: User) -> None:
    response = patch(CONFIG, changeThresholdPercent=0.25, updateIntervalMs=2000, maxJumpPercent=8)
    assert response.status_code == 200
    config = response.json()
    assert (config["changeThresholdPercent"], config["updateIntervalMs"], config["maxJumpPercent"]) == (0.25, 2000, 8)
    assert schedule.interval() == dt.timedelta(seconds=2)
    assert broadcasts.reloads == 1
    audited = Configuration.load().history.latest()
    assert (audited.history_user, audited.change_threshold_percent) == (staff, Decimal("0.25"))
    assert (audited.update_interval_ms, audited.change.by) == (2000, staff)


def test_a_field_left_out_stays_and_null_is_as_deployed(patch: Patch) -> None:
    patch(CONFIG, changeThresholdPercent=0.25, maxJumpPercent=8)
    config = patch(CONFIG, changeThresholdPercent=None).json()
    assert (config["changeThresholdPercent"], config["maxJumpPercent"]) == (1, 8)


@pytest.mark.parametrize("field", ["changeThresholdPercent", "updateIntervalMs", "freshnessLimitMs", "maxJumpPercent"])
@pytest.mark.parametrize("value", [-1, 0, "many", [1], {"a": 1}, True, 10**30, 1.5e300, "\x00", "NaN"])
def test_an_invalid_configuration_is_rejected(patch: Patch, broadcasts: Broadcasts, field: str, value: Any) -> None:
    before = list(Configuration.objects.values())
    assert list(refused(patch(CONFIG, **{field: value}), 400)["errors"]) == [field]
    assert list(Configuration.objects.values()) == before
    assert broadcasts.reloads == 0


def test_only_staff_with_the_permission_change_rows(broadcasts: Broadcasts) -> None:
    body, kind = "{}", "application/json"
    for path in (CONFIG, GOLD):
        refused(Client().patch(path, body, content_type=kind), 401)
    for made in (user("customer"), user("trainee", is_staff=True, permissions="^view_")):
        client = Client()
        client.force_login(made)
        refused(client.patch(CONFIG, body, content_type=kind), 403)
        refused(client.patch(GOLD, body, content_type=kind), 403)


def test_staff_see_fallback_prices(desk: Client, broadcasts: Broadcasts) -> None:
    listed = desk.get("/api/v1/fallback-prices/").json()
    assert [row["metal"] for row in listed] == ["gold", "silver", "platinum", "palladium"]
    assert desk.get(GOLD).json() == desk.get("/api/v1/fallback-prices/XAU/").json() == listed[0]
    assert (listed[0]["price"], listed[0]["currency"]) == (9223.3162, "INR")


def test_an_edit_is_on_screen_at_once_and_audited(
    patch: Patch, desk: Client, broadcasts: Broadcasts, staff: User
) -> None:
    response = patch(GOLD, price=9300.5, note="by hand")
    assert response.status_code == 200
    edited = desk.get(GOLD).json()  # the callbacks of its commit have run by now
    assert (edited["price"], edited["note"], edited["onScreen"]) == (9300.5, "by hand", True)
    assert edited["asOf"] > "2026"  # a new price is as of now
    assert [str(publication.quotes[0].quote.price) for publication in broadcasts.publications[-1:]] == ["9300.5000"]
    audited = FallbackPrice.objects.get(metal="gold").history.latest()
    assert (audited.history_user, audited.price) == (staff, Decimal("9300.5"))


def test_a_price_that_would_be_quarantined_needs_a_confirmation(patch: Patch) -> None:
    assert refused(patch(GOLD, price=92), 400)["errors"]["price"][0].endswith('If it is right, send "confirm": true.')
    assert patch(GOLD, price=92, confirm=True).json()["price"] == 92


def test_a_change_to_an_older_version_is_rejected(patch: Patch, desk: Client) -> None:
    version = desk.get(GOLD).json()["version"]
    assert patch(GOLD, note="first", version=version).status_code == 200
    assert "Somebody has saved this" in refused(patch(GOLD, note="second", version=version), 400)["detail"]


NO_PRICES: list[Any] = [-1, 0, "NaN", "Infinity", 1e300, [1], {}, True, "\x00", "1' OR '1'='1", None]
NO_TIMES: list[Any] = [
    "yesterday",
    "2026-09-24T08:00:00",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-14:00",
    "2026-02-30T00:00:00Z",
    0,
    [],
    None,
]
NO_NOTES: list[Any] = ["\x00", "x" * 201, [], {}, None, True]
NO_FALLBACKS: list[tuple[str, Any]] = [
    *(("price", value) for value in NO_PRICES),
    *(("asOf", value) for value in NO_TIMES),
    *(("note", value) for value in NO_NOTES),
    ("metal", "silver"),
    ("version", "x"),
    ("confirm", "perhaps"),
]


@pytest.mark.parametrize(("field", "value"), NO_FALLBACKS)
def test_an_invalid_fallback_price_is_rejected(patch: Patch, field: str, value: Any) -> None:
    before = FallbackPrice.objects.get(metal="gold").history.count()
    assert list(refused(patch(GOLD, **{field: value}), 400)["errors"]) == [field]
    assert FallbackPrice.objects.get(metal="gold").history.count() == before


@pytest.mark.parametrize("metal", ["rhodium", "go%00ld", "1", "%0d%0aX:1"])
def test_a_metal_without_fallback_price_is_rejected_with_those_that_have_one(
    desk: Client, broadcasts: Broadcasts, metal: str
) -> None:
    problem = refused(desk.get(f"/api/v1/fallback-prices/{metal}/"), 404)
    assert "gold, silver, platinum, palladium" in problem["detail"]


# --- the schema ----------------------------------------------------------------------------------------------------


def schema(client: Client) -> Any:
    return json.loads(client.get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"}).content)


def test_the_schema_is_openapi_3_1(client: Client) -> None:
    document = schema(client)
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_every_address_of_a_metal_takes_its_iso_code_too(client: Client) -> None:
    of_metals = [
        parameter["schema"]["examples"]
        for operations in schema(client)["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if (parameter["name"], parameter["in"]) == ("metal", "path")
    ]
    assert of_metals == [["gold", "XAU"]] * 5


def test_every_answer_with_a_body_has_an_example(client: Client) -> None:
    for path, operations in schema(client)["paths"].items():
        for method, operation in operations.items():
            said = {status: answer.get("content", {}) for status, answer in operation["responses"].items()}
            assert {"400", "401", "429", "503"} <= set(said), (path, method)
            for status, content in said.items():
                for kind, described in content.items():
                    assert described.get("examples"), (path, method, status, kind)
            for kind, described in operation.get("requestBody", {}).get("content", {}).items():
                assert described.get("examples"), (path, method, kind)
