"""The admin, as the staff's desk."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.views.decorators.http import require_http_methods

View = TypeVar("View", bound=Callable[..., Any])


class Desk(AdminSite):
    """Django's admin, with prices on top: whoever comes in a hurry comes for them."""

    site_header = site_title = "Swarna"
    index_title = "Prices"

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        return sorted(super().get_app_list(request, app_label), key=lambda app: app["app_label"] != "prices")

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Django's pages take any method that they do not know for GET: here nobody sends one."""
        return require_http_methods(["GET", "HEAD", "POST"])(super().admin_view(view, cacheable))
