"""Sanity bands: the lowest and highest price that a metal can have."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest

from prices.admin.pages import ONE_MEANING, AuditedAdmin
from prices.models import SanityBand
from prices.sanity_bands import last_live
from prices.staff.forms import SanityBandForm


@admin.register(SanityBand)
class SanityBandAdmin(AuditedAdmin):
    """A metal without a band has one from a quarter to four times its fallback price, or else its last live price."""

    form = SanityBandForm
    formfield_overrides = ONE_MEANING
    fields = ["metal", "currency", "lowest", "highest", "reason", "version"]
    list_display = ["metal", "currency", "lowest", "highest", "last_spot"]
    list_select_related = ["metal"]
    sortable_by = ()
    readonly_after_adding = ["metal", "currency"]
    history_list_display = ["lowest", "highest"]

    @admin.display(description="last live price, at spot")
    def last_spot(self, band: SanityBand) -> str:
        last = last_live(band.metal_id, band.currency)
        return f"{last.price:,}" if last else "—"

    def save_model(self, request: HttpRequest, obj: SanityBand, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        last = last_live(obj.metal_id, obj.currency)
        if last and not obj.lowest <= last.price <= obj.highest:
            outside = f"The last live price of {obj.metal}, {last.price:,}, is outside this band"
            messages.warning(request, f"{outside}: such prices will be quarantined.")
