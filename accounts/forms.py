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
    """After too many wrong passwords, says when to try again; `wait` is the time until then, in seconds."""

    wait: int | None = None

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except TooManyAttemptsError as error:
            self.wait = error.seconds
            raise ValidationError(str(error)) from error


class PasswordChangeForm(AdminPasswordChangeForm):
    """Counts wrong old passwords too: otherwise a stolen session would allow any number of guesses."""

    wait: int | None = None

    def __init__(self, *args: Any, request: HttpRequest, **options: Any) -> None:
        self._request = request
        super().__init__(*args, **options)

    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        try:
            found = authenticate(self._request, username=self.user.get_username(), password=old)
        except TooManyAttemptsError as error:
            self.wait = error.seconds
            raise ValidationError(str(error)) from error
        if found != self.user:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return old


def with_its_wait(page: Page) -> Page:
    """Make the page of a form with a `wait` a 429 with `Retry-After`; leave others as they are."""
    context = page.context_data if isinstance(page, TemplateResponse) else None
    if wait := getattr((context or {}).get("form"), "wait", None):
        page.status_code = 429
        page.headers["Retry-After"] = str(wait)
    return page
