"""Bodies and answers about tokens."""

from rest_framework import serializers

from infra.rest.fields import Time
from infra.rest.strict import StrictSerializer


class CredentialsSerializer(StrictSerializer):
    """The credentials of the new token's user."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False, write_only=True)


class TokenSerializer(serializers.Serializer):
    """A live token, without its text."""

    key = serializers.CharField(source="token_key", help_text="The token's first characters, which identify it.")
    created = Time()
    expiry = Time()


class IssuedTokenSerializer(TokenSerializer):
    """A new token."""

    token = serializers.CharField(help_text="Store it: it is shown only once.")
