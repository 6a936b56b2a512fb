"""The database's tables."""

import datetime as dt

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models import Q, QuerySet
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


class Role(models.Model):
    """A role of staff (accounts/roles.py): its group, and all permissions that the group was ever given by it."""

    name = models.CharField(primary_key=True, max_length=40)
    group = models.OneToOneField(
        Group, models.SET_NULL, null=True, related_name="+", help_text="Empty once an administrator has deleted it."
    )
    given = models.JSONField(default=list, help_text="Such as prices.view_price.")

    def __str__(self) -> str:
        return self.name


class SignIn(models.Model):
    """A user's session: a login in a browser, or an API token; when it began, and where it was last used.

    accounts/sign_ins.py writes it. A row ends with its login or token, whatever ended that.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    session = models.OneToOneField(Session, models.CASCADE, null=True, related_name="sign_in")
    token = models.OneToOneField(AuthToken, models.CASCADE, null=True, related_name="sign_in")
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="When it was last used, to five minutes.")
    address = models.CharField(max_length=45, blank=True, help_text="From which it was last used; empty: not known.")
    user_agent = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "session"
        constraints = [
            models.CheckConstraint(
                condition=Q(session__isnull=False, token=None) | Q(session=None, token__isnull=False),
                name="a_login_or_a_token",
            )
        ]

    def __str__(self) -> str:
        return f"{self.token.token_key}… of {self.user}" if self.token else f"login of {self.user}"

    @classmethod
    def open(cls, now: dt.datetime) -> "QuerySet[SignIn]":
        """The sessions that have not ended."""
        of_logins = Q(session__expire_date__gt=now)
        of_tokens = Q(token__isnull=False) & (Q(token__expiry=None) | Q(token__expiry__gt=now))
        return cls.objects.filter(of_logins | of_tokens, user__is_active=True)

    @property
    def ends_at(self) -> dt.datetime | None:
        """The time at which it ends if it is not used until then; None for a token without end."""
        ends: dt.datetime | None = self.session.expire_date if self.session else self.token and self.token.expiry
        return ends

    def end(self) -> None:
        """End the login, or revoke the token, and with it this row."""
        credential = self.session or self.token
        assert credential is not None
        credential.delete()
