"""The database's table."""

from typing import Any

from django.db import models
from django.utils import timezone


class Secret(models.CharField):
    """Text that only the product reads: serializers, such as that of `dumpdata`, get an empty text."""

    def value_to_string(self, obj: Any) -> str:
        return ""


class SigningKey(models.Model):
    """An Ed25519 key that signs, or once did. Rows are kept for good, as what they signed is.

    The private part is there for the database's current key alone: not for one that was rotated out, nor for one of
    `SIGNING_KEYS_FILE`.
    """

    kid = models.CharField(primary_key=True, max_length=43, help_text="Its thumbprint by RFC 7638.")
    public = models.CharField(max_length=43, help_text="`x` of its JWK (RFC 8037).")
    private = Secret(max_length=43, blank=True, help_text="`d` of its JWK.")
    current = models.BooleanField(null=True, unique=True, help_text="True for one key, and null for all others.")
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        # It has no page, so there is nothing to be allowed.
        default_permissions = ()
        ordering = ["-made_at", "kid"]

    def __str__(self) -> str:
        return self.kid
