"""Fallback prices, shown when no source answers."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from prices.admin.pages import ONE_MEANING, AuditedAdmin
from prices.models import FallbackPrice, LatestPrice
from prices.staff.forms import FallbackPriceForm


@admin.register(FallbackPrice)
class FallbackPriceAdmin(AuditedAdmin):
    """Edited in a hurry: the page names the unit, the last live price, and whether the fallback is on screen now."""

    form = FallbackPriceForm
    formfield_overrides = ONE_MEANING
    fields = ["metal", "currency", "price", "as_of", "expires_at", "note", "confirm", "reason", "version"]
    list_display = ["metal", "price", "kind", "on_screen", "last_live", "as_of", "expires_at", "currency"]
    sortable_by = ()
    readonly_after_adding = ["metal", "currency"]
    list_select_related = ["metal"]
    history_list_display = ["price", "as_of", "expires_at", "note"]
    history_list_per_page = 50

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # without it a screen would have nothing to fall back on

    @admin.display(description="origin")
    def kind(self, fallback: FallbackPrice) -> str:
        return "an example: enter today's price" if fallback.example else "staff"

    @admin.display(description="last live price")
    def last_live(self, fallback: FallbackPrice) -> str:
        live = LatestPrice.live(fallback.metal_id, fallback.currency)
        return f"{live.price:,.4f}" if live else "—"

    @admin.display(description="on screen now", boolean=True)
    def on_screen(self, fallback: FallbackPrice) -> bool:
        return fallback.is_on_screen
