"""Tokens by REST: issued for a password; listed and revoked by their users."""

from typing import Any

from django.contrib.auth import authenticate
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed, NotFound, PermissionDenied, Throttled
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import tokens
from accounts.api import examples
from accounts.api.serializers import CredentialsSerializer, IssuedTokenSerializer, TokenSerializer
from accounts.attempts import TooManyAttemptsError
from infra.rest import strict
from infra.rest.strict import StrictView


class TokensView(StrictView):
    """The tokens of one account, for the API and for the stream."""

    tag = "Tokens"

    def get_permissions(self) -> list[Any]:
        return [] if self._is_issuing() else [IsAuthenticated()]

    def get_authenticators(self) -> list[Any]:
        # A request for a new token may still carry the old, expired one.
        return [] if self._is_issuing() else super().get_authenticators()

    def get_authenticate_header(self, request: Request) -> str:
        return "Bearer"  # with it, a wrong password is 401 and not 403

    def _is_issuing(self) -> bool:
        return self.request is not None and self.request.method == "POST"

    @extend_schema(responses=TokenSerializer(many=True), examples=[examples.TOKEN])
    def get(self, request: Request) -> Response:
        """Your live tokens, newest first."""
        return Response(TokenSerializer(tokens.of(request.user), many=True).data)

    @extend_schema(
        auth=[],
        request=CredentialsSerializer,
        examples=[examples.CREDENTIALS, examples.ISSUED],
        responses={
            201: IssuedTokenSerializer,
            401: OpenApiResponse(description="Wrong username or password."),
            403: OpenApiResponse(description="The account has as many live tokens as it may: revoke one."),
            429: OpenApiResponse(description="Too many attempts: try again after `Retry-After` seconds."),
        },
    )
    def post(self, request: Request) -> Response:
        """Issue a token for a username and password. Its text is shown only once."""
        credentials = strict.body(request, CredentialsSerializer)
        try:
            user = authenticate(request._request, **credentials)
        except TooManyAttemptsError as error:
            raise Throttled(error.seconds, detail="Too many wrong passwords.") from error
        if user is None:
            raise AuthenticationFailed("Wrong username or password.")
        try:
            token, text = tokens.issue(user, request.META)
        except tokens.TooManyTokensError as error:
            raise PermissionDenied(
                f"This account has {tokens.MOST_TOKENS} live tokens, as many as it may. "
                "Revoke one: DELETE auth/token/<key>/, or all: DELETE auth/token/."
            ) from error
        token.token = text
        return Response(
            IssuedTokenSerializer(token).data, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"}
        )

    @extend_schema(operation_id="v1_auth_token_destroy_all", responses={204: None})
    def delete(self, request: Request) -> Response:
        """Revoke all of your tokens, including the one that authenticates this request."""
        tokens.of(request.user).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class TokenView(StrictView):
    """One of your tokens."""

    tag = "Tokens"
    permission_classes = [IsAuthenticated]

    @extend_schema(responses={204: None, 404: OpenApiResponse(description="No live token of yours has this key.")})
    def delete(self, request: Request, key: str) -> Response:
        """Revoke the token with this key. Connections opened with it are closed."""
        revoked, _ = tokens.of(request.user).filter(token_key=key).delete()
        if not revoked:
            raise NotFound("No live token of yours has this key. GET auth/token/ lists them.")
        return Response(status=status.HTTP_204_NO_CONTENT)
