"""The API's OpenAPI description: the answers that any endpoint may give beside its own."""

import re
from decimal import Decimal
from typing import Any, Final

from drf_spectacular import openapi
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from infra.rest.problems import CONTENT_TYPE, problem
from infra.rest.strict import StrictSerializer


class ProblemSerializer(serializers.Serializer):
    """The reason why a request was refused (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What is wrong, and what to send instead.")
    errors = serializers.DictField(  # type: ignore[assignment]  # DRF takes declared fields off the class
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="What is wrong with each field or parameter, by its name.",
    )


# An example of each problem.
_EXAMPLES: Final[dict[int, dict[str, Any]]] = {
    400: problem(400, "colour: Unknown. This takes none.", {"colour": ["Unknown. This takes none."]}),
    401: problem(401, "This token is unknown, expired or revoked. POST to auth/token/ for a new one."),
    403: problem(403, "You do not have permission to perform this action."),
    404: problem(404, "There is no price of 'rhodium'. Metals with a price: gold, or by ISO code XAU."),
    409: problem(409, "Nothing was done: it is approved by meera already."),
    415: problem(415, 'Unsupported media type "text/plain" in request.'),
    429: problem(429, "Request was throttled. Expected available in 7 seconds."),
    503: problem(503, "The database cannot be asked now. Try again in a few seconds."),
}


class AutoSchema(openapi.AutoSchema):
    """Describes the rules of each endpoint: its query, the pattern of its texts, its permissions; and adds the problems
    that it may answer with.
    """

    view: Any

    def get_tags(self) -> list[str]:
        return [self.view.tag]

    def get_summary(self) -> str:
        """The beginning of its docstring, for a list of endpoints."""
        return re.split(r"[.:;](?:\s|$)", self.get_description(), maxsplit=1)[0].replace("`", "")

    def get_override_parameters(self) -> Any:
        return [self.view.query_serializer]

    def get_auth(self) -> Any:
        """The authentication that an endpoint needs. A public one needs none; a login only has other limits there."""
        return super().get_auth() if self._is_restricted() else []

    def _insert_field_validators(self, field: Any, schema: Any) -> None:
        """Add the pattern that DRF enforces on texts, and write bounds as OpenAPI 3.1 and JSON have them."""
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]  # drf-spectacular leaves this untyped
        for bound in ("maximum", "minimum"):
            if schema.get(exclusive := f"exclusive{bound.title()}") is True:
                schema[exclusive] = schema.pop(bound)
        schema.update({name: float(value) for name, value in schema.items() if isinstance(value, Decimal)})
        if isinstance(field, serializers.CharField) and isinstance(field.parent, StrictSerializer):
            if field.allow_blank:
                schema["pattern"] = r"^[^\u0000]*$"
            elif field.trim_whitespace:
                schema["pattern"] = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
            else:
                schema["pattern"] = r"^[^\u0000]+$"

    def _is_restricted(self) -> bool:
        return any(not isinstance(permission, AllowAny) for permission in self.view.get_permissions())

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        declared = (int(status) for status in bodies)
        for status in sorted({*self._problem_statuses(), *(each for each in declared if each in _EXAMPLES)}):
            if str(status) not in bodies or not bodies[str(status)].get("content"):
                title = _EXAMPLES[status]["title"]
                response = OpenApiResponse(ProblemSerializer, bodies.get(str(status), {}).get("description") or title)
                body = self._get_response_for_code(  # type: ignore[no-untyped-call]  # drf-spectacular leaves this untyped
                    response, str(status), [CONTENT_TYPE], direction
                )
                body["content"][CONTENT_TYPE]["examples"] = {title: {"value": _EXAMPLES[status]}}
                bodies[str(status)] = body
        return bodies

    def _problem_statuses(self) -> list[int]:
        statuses = [400, 401, 429, 503]
        if self._is_restricted():
            statuses.append(403)
        if "{" in self.path:
            statuses.append(404)
        if self.method in ("POST", "PUT", "PATCH"):
            statuses.append(415)
        return statuses
