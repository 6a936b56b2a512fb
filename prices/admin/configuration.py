"""The configuration: how prices are validated, and how often they are fetched."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from prices.admin.pages import ONE_MEANING, AuditedAdmin
from prices.models import Configuration
from prices.staff.forms import ConfigurationForm


@admin.register(Configuration)
class ConfigurationAdmin(AuditedAdmin):
    form = ConfigurationForm
    formfield_overrides = ONE_MEANING
    fields = [*ConfigurationForm.Meta.fields, "reason", "version"]
    history_list_display = ["update_interval_ms"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Redirect to the page of the one row."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:prices_configuration_change", args=[Configuration.load().pk]))
