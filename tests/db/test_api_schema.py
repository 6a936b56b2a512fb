"""The schema of the API says what is enforced: each field and parameter is tried, at its bounds and beyond."""

import json
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator
from openapi_schema_validator import oas31_format_checker

from prices.domain.fineness import PURITIES_OF
from prices.domain.quotes import Metal
from prices.domain.units import PURITIES
from tests.support.desk import Broadcasts

pytestmark = pytest.mark.django_db

_generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]  # drf-spectacular leaves this untyped
DOCUMENT: Any = _generator.get_schema(request=None, public=True)
OPERATIONS = [
    (method, path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]

# What an address may be of: there is no such token, no such edit and no such lock.
PLACES = {"metal": "gold", "key": "swarna_0", "number": 1, "seq": 1, "id": "6f1b2c9e-0d6a-4a53-9d0f-1c8a4f5e7b21"}

NOT_EVEN_OF_ITS_TYPE: list[Any] = [None, [], {}, [1]]
TEXTS = ["", " ", "x", "x" * 39, "\x00", "x\x00x", "सोना", "gold", "x" * 5000]
TIMES = [
    *("2026-09-24T08:00:00Z", "2026-09-24T13:30:00+05:30", "2026-09-24T08:00:00.120Z", "2026-09-24"),
    *("2026-09-24T08:00:00", "2026-09-24 08:00:00", "2026-09-24T13:30:00 05:30", "yesterday", "2026-02-30", ""),
    *("1899-12-31T00:00:00Z", "1900-01-02T00:00:00Z", "1999-12-31T00:00:00Z", "2000-01-02T00:00:00Z"),
    *("1899-12-31", "1900-01-01", "1999-12-31", "2000-01-01", "3000-01-01", "0001-01-01", "9999-12-31T23:59:59Z"),
]
NUMBERS = [-(10**30), -1, 0, 1, 99, 10**6, 10**30]
FRACTIONS = [-0.5, 0.0001, 0.001, 0.5, 1.5, 999.999, 1e30]


def body_of(operation: Any) -> Any:
    """The schema of an operation's body."""
    content = operation["requestBody"]["content"]["application/json"]["schema"]
    return resolved(content)


def resolved(schema: Any) -> Any:
    """A schema that may be given by reference."""
    return DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def probes(schema: Any) -> Iterator[Any]:
    """Values of a field's type, some of which it takes and some of which it does not."""
    kinds = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
    if "boolean" in kinds:
        yield from (True, False, "perhaps")
    elif "string" in kinds:
        yield from TIMES if "anyOf" in schema else [*TEXTS, *schema.get("enum", ())]
        for length in (schema.get("minLength"), schema.get("maxLength")):
            if length:
                yield from ("x" * (length - 1), "x" * length, "x" * (length + 1))
    else:
        step = 1 if "integer" in kinds else 0.0001 if schema.get("minimum") == 0.0001 else 0.001
        bounds = [schema[bound] for bound in ("minimum", "maximum", "exclusiveMaximum") if bound in schema]
        around = (round(bound + by, 4) for bound in map(float, bounds) for by in (-step, 0, step))
        whole = [*NUMBERS, *(int(number) for number in around)] if "integer" in kinds else [*FRACTIONS, *around]
        yield from (True, "many", 1.5, *whole)


def is_in_schema(value: Any, schema: Any) -> bool:
    return bool(Draft202012Validator(schema, format_checker=oas31_format_checker).is_valid(value))


def refusals(response: Any) -> set[str]:
    """The fields that a response complains of."""
    return set(response.json().get("errors", {})) if response.status_code == 400 else set()


FIELDS = [
    pytest.param(method, path, name, id=f"{method}-{path}-{name}")
    for method, path, operation in OPERATIONS
    if "requestBody" in operation
    for name in body_of(operation)["properties"]
    if name != "expiresAt"  # it has to be in the future, which no schema can say: see test_fallback_expiry.py
]
PARAMETERS = [
    pytest.param(method, path, parameter, id=f"{method}-{path}-{parameter['name']}")
    for method, path, operation in OPERATIONS
    for parameter in operation.get("parameters", ())
    if parameter["in"] == "query" and parameter["name"] != "cursor"  # opaque: what `next` gave, and nothing else
]


# Which purities a metal has depends on the path, which no schema can say: see test_api.py. The path's here is gold.
OF_OTHER_METALS = set(PURITIES) - set(PURITIES_OF[Metal.GOLD])


@pytest.fixture
def ask(boss: Client, broadcasts: Broadcasts, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Send a request as a superuser. No password is checked, as the schema does not describe that."""
    monkeypatch.setattr("accounts.api.views.authenticate", lambda *args, **credentials: None)

    def ask(method: str, path: str, query: dict[str, Any], body: Any = None) -> Any:
        address = path.format(**PLACES)
        sent = json.dumps(body if body is not None else {})
        return boss.generic(method.upper(), address, sent, content_type="application/json", query_params=query)

    return ask


@pytest.mark.parametrize(("method", "path", "name"), FIELDS)
def test_a_field_accepts_exactly_the_values_of_its_schema(
    ask: Callable[..., Any], method: str, path: str, name: str
) -> None:
    described = body_of(DOCUMENT["paths"][path][method])
    needed: dict[str, Any] = dict.fromkeys(described.get("required", ()), "x")
    if "confirm" in described["properties"]:
        needed["confirm"] = True
    schema = resolved(described["properties"][name])
    for value in chain(NOT_EVEN_OF_ITS_TYPE, probes(schema)):
        refused = name in refusals(ask(method, path, {}, needed | {name: value}))
        assert refused is not is_in_schema(value, schema), repr(value)[:80]


@pytest.mark.parametrize(("method", "path", "parameter"), PARAMETERS)
def test_a_parameter_accepts_exactly_the_values_of_its_schema(
    ask: Callable[..., Any], method: str, path: str, parameter: Any
) -> None:
    name, schema = parameter["name"], parameter["schema"]
    for value in probes(schema):
        if name == "purity" and "{metal}" in path and value in OF_OTHER_METALS:
            continue
        refused = name in refusals(ask(method, path, {name: str(value)}))
        assert refused is not is_in_schema(value, schema), repr(value)[:80]


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_operation_shows_a_lock_if_it_needs_a_token(
    client: Client, broadcasts: Broadcasts, method: str, path: str, operation: Any
) -> None:
    answer = client.generic(method.upper(), path.format(**PLACES), "{}", content_type="application/json")
    assert (answer.status_code == 401) is ("security" in operation)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_json_may_be_requested_by_name(
    boss: Client, broadcasts: Broadcasts, method: str, path: str, operation: Any
) -> None:
    address = f"{path.format(**PLACES)}?format=json"
    answer = boss.generic(
        method.upper(), address, "{}", content_type="application/json", headers={"Accept": "text/csv, text/html"}
    )
    assert answer.status_code != 406
    assert "format" not in refusals(answer)
    assert answer.status_code == 204 or answer["Content-Type"].endswith("json")


@pytest.mark.parametrize(("format", "kind"), [("json", "application/json"), ("yaml", "application/vnd.oai.openapi")])
def test_the_schema_has_the_requested_format(client: Client, format: str, kind: str) -> None:
    answer = client.get(f"/api/schema/?format={format}")
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (200, kind)
    if format == "json":
        assert json.loads(answer.content)["openapi"].startswith("3.1")
    assert client.get("/api/asyncapi.json?format=json").json()["asyncapi"] == "3.0.0"


@pytest.mark.parametrize("path", ["schema/", "asyncapi.json", "v1/prices/", "v1/prices/gold/history/"])
def test_an_unknown_format_is_rejected_with_the_known_ones(client: Client, broadcasts: Broadcasts, path: str) -> None:
    answer = client.get(f"/api/{path}?format=xml")
    assert answer.status_code == 400
    assert "json" in answer.json()["errors"]["format"][0]


def test_the_schema_is_the_same_for_all_users(client: Client, staff: User) -> None:
    anonymous = client.get("/api/schema/?format=json").content
    client.force_login(staff)
    assert client.get("/api/schema/?format=json").content == anonymous


def test_each_operation_has_a_group_and_a_line_about_it() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"]}
    for _, _, operation in OPERATIONS:
        (tag,) = operation["tags"]
        assert tag in described
        assert 10 < len(operation["summary"]) < 80
        assert "`" not in operation["summary"]
    assert described == {tag for _, _, operation in OPERATIONS for tag in operation["tags"]}
