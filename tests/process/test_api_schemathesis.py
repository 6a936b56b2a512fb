"""The whole API as its own schema describes it, asked by schemathesis: no defect, and nothing that it does not say."""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts import tokens
from tests.support.server import Server

_generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]  # drf-spectacular leaves this untyped
schema = schemathesis.openapi.from_dict(_generator.get_schema(request=None, public=True))


@pytest.fixture(scope="module")
def api(run_server: Callable[..., Server]) -> Server:
    """A web process with a price to show."""
    server = run_server()
    server.publish(gold="13221.39", silver="165.5")
    return server


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
# An answer of stream/ does not end: test_event_stream.py reads it.
ENDLESS = "/api/v1/stream/"
ALL = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
OPERATIONS = [operation for operation in ALL if operation.path != ENDLESS]
REQUESTS = [
    *(pytest.param(each, GenerationMode.POSITIVE, id=f"right-{each.label}") for each in OPERATIONS),
    *(
        pytest.param(each, GenerationMode.NEGATIVE, id=f"wrong-{each.label}")
        for each in OPERATIONS
        if each.query or each.path_parameters or each.body  # else nothing could be wrong
    ),
]


@pytest.mark.parametrize(("operation", "mode"), REQUESTS)
@pytest.mark.parametrize("who", ["anybody", "staff"])
def test_the_api_keeps_to_its_schema(api: Server, operation: APIOperation, who: str, mode: GenerationMode) -> None:
    @given(operation.as_strategy(generation_mode=mode))
    @hypothesis_settings(max_examples=8, suppress_health_check=list(HealthCheck))
    def keeps(case: schemathesis.Case) -> None:
        headers = {"Authorization": f"Bearer {api.do(_staffs_token)}"} if who == "staff" else {}
        case.call_and_validate(base_url=api.http_url, headers=headers, checks=CHECKS)

    keeps()


def _staffs_token() -> str:
    """A token that is there, whatever became of the last."""
    boss, _ = User.objects.get_or_create(username="boss", is_staff=True, is_superuser=True)
    tokens.of(boss).delete()
    return tokens.issue(boss)[1]
