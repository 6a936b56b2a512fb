"""The admin's forms for passwords."""

from typing import Any, TypeVar

from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from accounts.attempts import TooManyAttemptsError

Page = TypeVar("Page", bound=HttpResponseBase)


class LoginForm(AdminAuthenticationForm):
    """Says when to try again, after too many wrong passwords; `wait` is that in seconds."""

    wait: int | None = None

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except TooManyAttemptsError as refused:
            self.wait = refused.seconds
            raise ValidationError(str(refused)) from refused


class PasswordChangeForm(AdminPasswordChangeForm):
    """Counts the old password like any: whoever holds somebody's session could else try as many as they like."""

    wait: int | None = None

    def __init__(self, *args: Any, request: HttpRequest, **options: Any) -> None:
        self._request = request
        super().__init__(*args, **options)

    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        try:
            found = authenticate(self._request, username=self.user.get_username(), password=old)
        except TooManyAttemptsError as refused:
            self.wait = refused.seconds
            raise ValidationError(str(refused)) from refused
        if found != self.user:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return old


def with_its_wait(page: Page) -> Page:
    """Make a page that shows one of these forms a 429 with `Retry-After`, where there were too many wrong passwords."""
    context = page.context_data if isinstance(page, TemplateResponse) else None
    if wait := getattr((context or {}).get("form"), "wait", None):
        page.status_code = 429
        page.headers["Retry-After"] = str(wait)
    return page
