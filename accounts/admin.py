"""The admin's pages for API tokens, to list, issue and revoke them; and for sessions, to end them."""

import datetime as dt
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from knox.models import AuthToken

from accounts import sessions, sign_ins, tokens
from accounts.models import SignIn, Token
from infra.readable import moment

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
    """Deleting a token revokes it, and ends the streams opened with it."""

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

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        tokens.save(obj, {})

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the token in this response only: a message after a redirect would be kept in a cookie or session."""
        page = {**self.admin_site.each_context(request), "title": "A new API token", "opts": self.opts, "token": obj}
        return TemplateResponse(request, "admin/accounts/token/issued.html", page)


def _may_be_given_tokens_by(staff: Any) -> QuerySet[User]:
    """The users for whom staff may make tokens: superusers for all; others for themselves, and for non-staff."""
    active = User.objects.filter(is_active=True)
    return active if staff.is_superuser else active.filter(Q(is_staff=False, is_superuser=False) | Q(pk=staff.pk))


@admin.register(SignIn)
class SignInAdmin(admin.ModelAdmin):
    """Staff see and end their own sessions; with the permissions to view and delete sessions, everybody's."""

    list_display = ["what", "user", "where", "began", "seen", "ends", "end"]
    list_display_links = None
    list_select_related = ["user", "session", "token"]
    sortable_by = ()
    list_per_page = 50
    search_fields = ["user__username", "token__token_key", "address"]
    ordering = ["-seen_at", "-pk"]
    fields = ["what", "user", "where", "user_agent", "began", "seen", "ends"]

    class Media:
        css = {"all": ["prices/cards.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[SignIn]:
        """The open sessions that the user may see; `is_here` is true of the one that the request belongs to."""
        found = SignIn.open(timezone.now())
        if not self._may_view_all(request):
            found = found.filter(user=request.user.pk)
        here = request.session.session_key
        return sessions.without_former(found).annotate(is_here=Q(session=here)).order_by(*self.ordering)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        title = "Open sessions" if self._may_view_all(request) else "Your open sessions"
        return super().changelist_view(request, {"title": title} | (extra_context or {}))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: SignIn | None = None) -> bool:
        return obj is None or obj.user_id == request.user.pk or self._may_view_all(request)

    def has_delete_permission(self, request: HttpRequest, obj: SignIn | None = None) -> bool:
        """Return True for a user's own; and for staff who may delete sessions, or what ends this one: token or user."""
        if obj is None or obj.user_id == request.user.pk:
            return True
        ends_it = ["accounts.delete_signin", "auth.delete_user", *(["accounts.delete_token"] if obj.token_id else [])]
        return any(request.user.has_perm(permission) for permission in ends_it)

    def delete_model(self, request: HttpRequest, obj: SignIn) -> None:
        if obj.session_id and obj.session_id == request.session.session_key:
            logout(request)  # a session that is deleted in the midst of its own request may not be saved any more
        else:
            obj.end()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SignIn]) -> None:
        for sign_in in queryset:
            self.delete_model(request, sign_in)

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        sign_in = context["object"]
        detail = (
            f"{self.what(sign_in)}, last used at {self.seen(sign_in)} from {sign_in.address or 'an unknown address'}"
        )
        return super().render_delete_form(request, context | {"title": "End a session", "detail": detail})

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        messages.success(request, f"Ended: {obj_display}.")
        return HttpResponseRedirect(reverse("admin:accounts_signin_changelist"))

    def _may_view_all(self, request: HttpRequest) -> bool:
        return super().has_view_permission(request)

    @admin.display(description="session")
    def what(self, sign_in: Any) -> str:
        if sign_in.token:
            return f"API token {sign_in.token.token_key}…"
        name = sign_ins.browser(sign_in.user_agent) or "a browser"
        return f"{name}, this one" if sign_in.is_here else name

    @admin.display(description="last used from")
    def where(self, sign_in: SignIn) -> str:
        return sign_in.address or "not known"

    @admin.display(description="since")
    def began(self, sign_in: SignIn) -> str:
        return moment(sign_in.began_at, timezone.now())

    @admin.display(description="last used")
    def seen(self, sign_in: SignIn) -> str:
        return moment(sign_in.seen_at, timezone.now())

    @admin.display(description="ends")
    def ends(self, sign_in: SignIn) -> str:
        return moment(sign_in.ends_at, timezone.now()) if sign_in.ends_at else "never"

    @admin.display(description="end it")
    def end(self, sign_in: SignIn) -> str:
        address = reverse("admin:accounts_signin_delete", args=[sign_in.pk])
        return format_html('<a href="{}" class="button" aria-label="End {}">End</a>', address, sign_in)
