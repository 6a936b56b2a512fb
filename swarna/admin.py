"""The admin site: the desk of staff."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar, cast

from django.contrib.admin import AdminSite
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from accounts import sessions, sign_ins
from accounts.forms import LoginForm, PasswordChangeForm, with_its_wait
from prices.staff import desk
from swarna.page_policies import with_the_stream

View = TypeVar("View", bound=Callable[..., Any])

# Django's pages would take any other method for GET, and its login for POST.
_known_methods = require_http_methods(["GET", "HEAD", "POST"])


def _renewing(view: View) -> View:
    """Let the view renew the login of the user who opens it, and record that it is in use."""

    @wraps(view)
    def renewing(request: HttpRequest, *args: Any, **options: Any) -> Any:
        sessions.renew(request.session)
        response = view(request, *args, **options)
        sign_ins.see_login(request)  # after the view: a changed password gives the login another key
        return response

    return cast(View, renewing)


class Desk(AdminSite):
    """Django's admin, whose first page shows what staff in a hurry come for (prices/staff/desk.py)."""

    site_header = site_title = "Swarna"
    index_title = "Prices"
    login_form = LoginForm

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        return sorted(super().get_app_list(request, app_label), key=lambda app: app["app_label"] != "prices")

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        return _known_methods(super().admin_view(_renewing(view), cacheable))

    def get_urls(self) -> list[Any]:
        # A page that renews itself is no sign of its user: it does not renew the login.
        fragment = require_safe(super().admin_view(self.fragment))
        return [path("desk/", fragment, name="desk"), *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return with_the_stream(super().index)(request, self._desk(request) | (extra_context or {}))

    def fragment(self, request: HttpRequest) -> HttpResponse:
        """The desk without the page around it, for the page to renew itself."""
        return render(request, "admin/desk.html", self._desk(request))

    def _desk(self, request: HttpRequest) -> dict[str, Any]:
        return {"desk": desk.read(request.user, timezone.now())}

    @method_decorator(_known_methods)
    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return with_its_wait(super().login(request, extra_context))

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        page = PasswordChangeView.as_view(
            form_class=partial(PasswordChangeForm, request=request),
            success_url=reverse("admin:password_change_done", current_app=self.name),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        request.current_app = self.name
        return with_its_wait(page(request))
