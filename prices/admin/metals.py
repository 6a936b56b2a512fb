"""The listed metals and their order."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from prices.admin.pages import AuditedAdmin
from prices.models import ListedMetal
from prices.staff.forms import ListedMetalForm


@admin.register(ListedMetal)
class ListedMetalAdmin(AuditedAdmin):
    form = ListedMetalForm
    list_display = ["display_name", "name", "symbol", "enabled", "position"]
    list_editable = ["enabled", "position"]
    fields = ["name", "display_name", "enabled", "position", "reason"]
    readonly_fields = ["name"]
    formfield_overrides = {
        models.BooleanField: {"show_hidden_initial": True},
        models.PositiveSmallIntegerField: {"show_hidden_initial": True},
    }

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the code knows the metals that sources quote

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its history would go with it: switch it off
