"""The admin's pages for API tokens: list, issue and revoke them."""

import datetime as dt
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from knox.models import AuthToken

from accounts import tokens
from accounts.models import Token

_DAY = dt.timedelta(days=1)

# Knox's own page shows digests, and hands out a new token through a cookie.
admin.site.unregister(AuthToken)


class IssueForm(forms.ModelForm):
    """The user and the lifetime of a new token."""

    user = forms.ModelChoiceField(
        queryset=User.objects.none(),
        to_field_name="username",
        widget=forms.TextInput,
        label="Username",
        error_messages={"invalid_choice": "There is no active user of this name for whom you may make a token."},
    )
    days = forms.IntegerField(
        label="Valid for, days",
        min_value=1,
        max_value=3650,
        help_text="It can be revoked before.",
    )

    class Meta:
        model = Token
        fields = ["user"]

    def save(self, commit: bool = True) -> Token:
        self.instance, self.instance.text = tokens.make(self.cleaned_data["user"], self.cleaned_data["days"] * _DAY)
        return cast(Token, super().save(commit))


@admin.register(Token)
class TokenAdmin(admin.ModelAdmin):
    """Deleting a token revokes it; connections opened with it end within a minute."""

    list_display = ["token_key", "user", "created", "expiry"]
    list_select_related = ["user"]
    search_fields = ["token_key", "user__username"]
    date_hierarchy = "created"
    ordering = ["-created"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ["token_key", "user", "created", "expiry"] if obj else ["user", "days"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **options)
        form: Any = super().get_form(request, obj, change, form=IssueForm, **options)
        form.base_fields["user"].queryset = _may_be_given_tokens_by(request.user)
        form.base_fields["days"].initial = max(1, settings.TOKEN_TTL // _DAY)
        return form

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the token in this response only: a message after a redirect would be kept in a cookie or session."""
        page = {**self.admin_site.each_context(request), "title": "A new API token", "opts": self.opts, "token": obj}
        return TemplateResponse(request, "admin/accounts/token/issued.html", page)


def _may_be_given_tokens_by(staff: Any) -> QuerySet[User]:
    """The users for whom staff may make tokens: superusers for all; others for themselves, and for non-staff."""
    active = User.objects.filter(is_active=True)
    return active if staff.is_superuser else active.filter(Q(is_staff=False, is_superuser=False) | Q(pk=staff.pk))
