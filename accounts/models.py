from django.conf import settings
from django.db import models
from knox.models import AuthToken


class Token(AuthToken):
    """An API token, shown by its key, the first characters. Knox stores a digest of the whole."""

    class Meta:
        proxy = True
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.token_key}… of {self.user}"


class LoginAddress(models.Model):
    """The last login of a user from an address (accounts/known_addresses.py)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    logged_in_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="one_a_user_and_address")]

    def __str__(self) -> str:
        return f"{self.user}, {self.logged_in_at}"
