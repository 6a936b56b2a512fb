"""What the API says of tokens."""

from rest_framework import serializers

from infra.rest.fields import Time
from infra.rest.strict import StrictSerializer


class CredentialsSerializer(StrictSerializer):
    """Whose token it is to be."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False, write_only=True)


class TokenSerializer(serializers.Serializer):
    """A live token, as it can be recognised."""

    key = serializers.CharField(source="token_key", help_text="The token's first characters: name it by them.")
    created = Time()
    expiry = Time()


class IssuedTokenSerializer(TokenSerializer):
    """A token that was just made."""

    token = serializers.CharField(help_text="Keep it: it is shown this once.")
