"""Authentication by API token."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts import sign_ins, tokens


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`, `Token <token>` or the bare token, as the stream takes them.

    Replaces knox's own, which knows only one scheme and fails on a header that is not UTF-8.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        text = tokens.presented(get_authorization_header(request).decode("latin-1"))
        if text is None:
            return None
        if tokens.digest(text) is None:
            raise AuthenticationFailed(
                "This is not a token of this server: send `Authorization: Bearer TOKEN`, or no such header. "
                "POST to auth/token/ for a token."
            )
        token = tokens.find(text)
        if token is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked. POST to auth/token/ for a new one.")
        sign_ins.see_token(token, request.META)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # drf-spectacular leaves this untyped
    """TokenAuthentication in the schema."""

    target_class = TokenAuthentication
    name = "tokenAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "`Token TOKEN` and the bare token are taken too."}
