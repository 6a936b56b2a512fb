"""The listed metals and their order."""

from typing import Any

from django.contrib import admin
from django.db import models, transaction
from django.http import HttpRequest
from django.utils import timezone

from prices.models import ListedMetal
from prices.publishing import ingest


def _show_listed() -> None:
    """Show a metal that was switched on, if need be with its fallback price, and drop one that was switched off."""
    now = timezone.now()
    ingest.fall_back_where_due(now=now, unpriced_only=True)
    ingest.apply_premiums(now=now)  # one may have changed while the metal was off
    ingest.reload()


@admin.register(ListedMetal)
class ListedMetalAdmin(admin.ModelAdmin):
    list_display = ["display_name", "name", "symbol", "enabled", "position"]
    list_editable = ["enabled", "position"]
    readonly_fields = ["name"]
    formfield_overrides = {
        models.BooleanField: {"show_hidden_initial": True},
        models.PositiveSmallIntegerField: {"show_hidden_initial": True},
    }

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the code knows the metals that sources quote

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its history would go with it: switch it off

    def save_model(self, request: HttpRequest, obj: ListedMetal, form: Any, change: bool) -> None:
        """Save only the fields changed since the page was opened: others may have switched a metal off meanwhile."""
        obj.save(update_fields=form.changed_data)
        transaction.on_commit(_show_listed)
