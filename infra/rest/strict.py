"""What the API asks of every request: that it names nothing which the endpoint does not know."""

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS, AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from infra import formats


class StrictSerializer(serializers.Serializer):
    """Refuses what it has no field for, and says which fields there are: a slip must not pass for a wish."""

    def to_internal_value(self, data: Any) -> Any:
        known = [name for name, field in self.fields.items() if not field.read_only]
        if hasattr(data, "keys") and (unknown := [name for name in data if name not in known]):
            there_is = f"Known here: {', '.join(known)}." if known else "This takes none."
            raise serializers.ValidationError(
                {formats.clipped(str(name)): [f"Unknown. {there_is}"] for name in sorted(map(str, unknown))[:10]}
            )
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """A choice whose error message names all that may be chosen."""

    def __init__(self, choices: Iterable[str], **options: Any) -> None:
        names = list(choices)
        message = f'"{{input}}" is none of: {", ".join(names)}.'
        super().__init__(names, error_messages={"invalid_choice": message}, **options)


class StrictQuerySerializer(StrictSerializer):
    """The query parameters of an endpoint. Each endpoint takes `format`, which wins over the `Accept` header."""

    format = Choice(["json"], required=False, help_text="Else as `Accept` says.")


def query(request: Request, serializer: type[StrictSerializer]) -> dict[str, Any]:
    """The query parameters, checked. Raises ValidationError, which names the parameter and what is allowed."""
    if twice := sorted(name for name, values in request.query_params.lists() if len(values) > 1):
        raise serializers.ValidationError({formats.clipped(name): ["Give it once."] for name in twice[:10]})
    asked = serializer(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def body(request: Request, serializer: type[StrictSerializer]) -> dict[str, Any]:
    """The body, checked likewise."""
    given = serializer(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


class StrictView(APIView):
    """An endpoint that checks its query parameters before anything else is done; they are in `asked` then, except
    `format`, by which the answer's renderer has been chosen.
    """

    query_serializer: type[StrictQuerySerializer] = StrictQuerySerializer
    asked: dict[str, Any]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """The renderer that `format` names, else the one that `Accept` asks for.

        A `format` that is not here is a mistake in the query, and answered as one.
        """
        wanted = request.query_params.get("format")
        named = next((each for each in self.get_renderers() if each.format == wanted), None)
        return (named, named.media_type) if named else super().perform_content_negotiation(request, force)

    def perform_authentication(self, request: Request) -> None:
        """Counts who is refused too: each token that is unknown costs a look into the database."""
        try:
            super().perform_authentication(request)
        finally:
            super().check_throttles(request)

    def check_throttles(self, request: Request) -> None:
        """Done, with the authentication."""

    def initial(self, request: Request, *args: Any, **options: Any) -> None:
        super().initial(request, *args, **options)
        if request.method not in self.allowed_methods:  # its query has no meaning
            self.http_method_not_allowed(request)
        self.asked = query(request, self.query_serializer) if request.method != "OPTIONS" else {}
        self.asked.pop("format", None)

    def finalize_response(self, request: Request, response: Any, *args: Any, **options: Any) -> Any:
        """What everybody may read is the same whoever asks, and may be kept to be asked for again."""
        response = super().finalize_response(request, response, *args, **options)
        is_for_all = all(isinstance(permission, AllowAny) for permission in self.get_permissions())
        if is_for_all and request.method in SAFE_METHODS and response.status_code < 400:
            response.setdefault("Cache-Control", "no-cache")
        return response
