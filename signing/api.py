"""Signed documents as answers of the API, and the public keys."""

from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiExample
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from infra.rest.renderers import NumberRenderer
from infra.rest.strict import Choice, StrictQuerySerializer, StrictView
from signing import keys

# Verifiers ask anew for a `kid` that they do not know, so a key need not be fetched again soon.
_CACHED: Final = "public, max-age=300"


class JoseRenderer(BaseRenderer):
    """A document that the view has signed: its JWS is the whole answer."""

    media_type = "application/jose"
    format = "jose"
    charset = None

    def render(self, data: str, *args: Any, **options: Any) -> bytes:
        return data.encode()


# The answer of such a view in the API's schema.
SIGNED: Final = OpenApiExample(
    "A JWS",
    "eyJhbGciOiJFZDI1NTE5Iiwia2lkIjoi….eyJpc3MiOiJzd2FybmEi….1Yh0…",
    response_only=True,
    status_codes=["200"],
    media_type=JoseRenderer.media_type,
)


class SignedQuerySerializer(StrictQuerySerializer):
    """The format of an answer that can be had signed."""

    format = Choice(["json", "jose"], required=False, help_text="Else as `Accept` says.")


class SignedView(StrictView):
    """An endpoint that answers a GET with a signed document where the client wants one (`wants_jws`)."""

    query_serializer: type[StrictQuerySerializer] = SignedQuerySerializer
    renderer_classes = [NumberRenderer, JoseRenderer]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Choose the format of the answer; for other methods than GET, JSON, as they have no document."""
        if request.method not in ("GET", "HEAD"):
            return NumberRenderer(), NumberRenderer.media_type
        return super().perform_content_negotiation(request, force)

    @property
    def wants_jws(self) -> bool:
        return isinstance(self.request.accepted_renderer, JoseRenderer)


def jwks(request: HttpRequest) -> HttpResponse:
    """The public keys of all that was ever signed, as a JWK Set, for pages of any origin."""
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": _CACHED}
    content = msgspec.json.encode({"keys": keys.published()})
    return HttpResponse(content, content_type="application/jwk-set+json", headers=headers)
