"""Strict requests: a parameter or field that the endpoint does not know is an error."""

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS, AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from infra import formats


class StrictSerializer(serializers.Serializer):
    """Refuses unknown fields, and names the known ones: a misspelt field must not be ignored in silence."""

    def to_internal_value(self, data: Any) -> Any:
        known = [name for name, field in self.fields.items() if not field.read_only]
        if hasattr(data, "keys") and (unknown := [name for name in data if name not in known]):
            known_here = f"Known here: {', '.join(known)}." if known else "This takes none."
            raise serializers.ValidationError(
                {formats.clipped(str(name)): [f"Unknown. {known_here}"] for name in sorted(map(str, unknown))[:10]}
            )
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """A choice field whose error message names all choices."""

    def __init__(self, choices: Iterable[str], **options: Any) -> None:
        names = list(choices)
        message = f'"{{input}}" is none of: {", ".join(names)}.'
        super().__init__(names, error_messages={"invalid_choice": message}, **options)


class StrictQuerySerializer(StrictSerializer):
    """The query parameters of an endpoint. Each endpoint takes `format`, which wins over the `Accept` header."""

    format = Choice(["json"], required=False, help_text="Else as `Accept` says.")

    def to_internal_value(self, data: Any) -> Any:
        if "token" in data:
            where = "Addresses are logged on their way: send a token in the header `Authorization` alone."
            raise serializers.ValidationError({"token": [where]})
        return super().to_internal_value(data)


def query(request: Request, serializer: type[StrictSerializer]) -> dict[str, Any]:
    """The validated query parameters. Raises ValidationError, which names the parameter and what is allowed."""
    if twice := sorted(name for name, values in request.query_params.lists() if len(values) > 1):
        raise serializers.ValidationError({formats.clipped(name): ["Give it once."] for name in twice[:10]})
    given = serializer(data=request.query_params.dict())
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def body(request: Request, serializer: type[StrictSerializer]) -> dict[str, Any]:
    """The validated body. Raises ValidationError likewise."""
    given = serializer(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


class StrictView(APIView):
    """An endpoint that validates its query before anything else, and has it in `params`, except `format`, which has
    chosen the renderer by then.
    """

    # The group of endpoints in the API's description that it is shown in.
    tag: str
    query_serializer: type[StrictQuerySerializer] = StrictQuerySerializer
    params: dict[str, Any]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Choose the renderer that `format` names, else one by `Accept`.

        An unknown `format` is left to the validation of the query.
        """
        wanted = request.query_params.get("format")
        named = next((each for each in self.get_renderers() if each.format == wanted), None)
        return (named, named.media_type) if named else super().perform_content_negotiation(request, force)

    def perform_authentication(self, request: Request) -> None:
        """Count the request whether or not it authenticates: each unknown token costs a query."""
        try:
            super().perform_authentication(request)
        finally:
            super().check_throttles(request)

    def check_throttles(self, request: Request) -> None:
        """Do nothing: `perform_authentication` has counted the request."""

    def initial(self, request: Request, *args: Any, **options: Any) -> None:
        super().initial(request, *args, **options)
        if request.method not in self.allowed_methods:  # its query has no meaning
            self.http_method_not_allowed(request)
        self.params = query(request, self.query_serializer) if request.method != "OPTIONS" else {}
        self.params.pop("format", None)

    def finalize_response(self, request: Request, response: Any, *args: Any, **options: Any) -> Any:
        """Let caches keep public answers, to be revalidated: they are the same for every client."""
        response = super().finalize_response(request, response, *args, **options)
        is_public = all(isinstance(permission, AllowAny) for permission in self.get_permissions())
        if is_public and request.method in SAFE_METHODS and response.status_code < 400:
            response.setdefault("Cache-Control", "no-cache")
        return response
