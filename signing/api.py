"""Signed documents as answers of the API, and the public keys."""

from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from signing import keys

# Verifiers ask anew for a `kid` that they do not know, so a key need not be fetched again soon.
_CACHED: Final = "public, max-age=300"


class JoseRenderer(BaseRenderer):
    """A document that the view has signed (`wants_jws`): its JWS is the whole answer."""

    media_type = "application/jose"
    format = "jose"
    charset = None

    def render(self, data: str, *args: Any, **options: Any) -> bytes:
        return data.encode()


def wants_jws(request: Request) -> bool:
    """Return True if the answer is to be the signed document."""
    return isinstance(request.accepted_renderer, JoseRenderer)


def jwks(request: HttpRequest) -> HttpResponse:
    """The public keys of all that was ever signed, as a JWK Set, for pages of any origin."""
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": _CACHED}
    content = msgspec.json.encode({"keys": keys.published()})
    return HttpResponse(content, content_type="application/jwk-set+json", headers=headers)
