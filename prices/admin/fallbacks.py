"""Fallback prices, shown when no source answers: the page of all of them, and a page of each."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone

from prices.admin.pages import ONE_MEANING, PriceAdmin, say_proposed, site_of
from prices.models import FallbackPrice, LatestPrice
from prices.staff.fallbacks import Sheet
from prices.staff.forms import FallbackPriceForm


@admin.register(FallbackPrice)
class FallbackPriceAdmin(PriceAdmin):
    """Edited in a hurry: the page names the unit, the last live price, and whether the fallback is on screen now."""

    form = FallbackPriceForm
    formfield_overrides = ONE_MEANING
    change_list_template = "admin/prices/fallbackprice/list.html"
    fields = ["metal", "currency", "price", "as_of", "expires_at", "note", "confirm", "reason", "version"]
    list_display = ["metal", "price", "kind", "on_screen", "last_live", "as_of", "expires_at", "currency"]
    sortable_by = ()
    readonly_after_adding = ["metal", "currency"]
    list_select_related = ["metal"]
    history_list_display = ["price", "as_of", "expires_at", "note"]
    history_list_per_page = 50

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # without it a screen would have nothing to fall back on

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(self.all_view)
        return [path("all/", page, name="prices_fallbackprice_all"), *super().get_urls()]

    def all_view(self, request: HttpRequest) -> HttpResponse:
        """The page of all metals' fallbacks. A POST with `_preview` shows what would be saved; any other saves it."""
        now = timezone.now()
        if not (
            self.has_view_permission(request) and (request.method != "POST" or self.has_change_permission(request))
        ):
            raise PermissionDenied
        if request.method != "POST":
            return self._page(request, Sheet(request.user, now))
        if "_preview" in request.POST:
            sheet = Sheet(request.user, now, request.POST)
            sheet.is_valid()
            return self._page(request, sheet)
        with transaction.atomic():
            sheet = Sheet(request.user, now, request.POST, lock=True)
            if not sheet.is_valid():
                return self._page(request, sheet, is_refused=True)
            if proposal := sheet.save(site=site_of(request)):
                say_proposed(request, proposal)
                return HttpResponseRedirect(request.path)
            for row in sheet.typed:
                if row.change:
                    message = self.construct_change_message(request, row.change, [])
                    self.log_change(request, row.change.instance, message)
                assert row.preview is not None
                saved = "was saved before" if row.is_saved else "is saved"
                messages.success(request, f"{row.fallback.metal} {saved}: {row.preview.units}.")
        return HttpResponseRedirect(request.path)

    def _page(self, request: HttpRequest, sheet: Sheet, *, is_refused: bool = False) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Fallback prices",
            "sheet": sheet,
            "is_refused": is_refused,
            "currency": settings.BASE_CURRENCY,
            "time_zone": settings.TIME_ZONE,
            "may_add": self.has_add_permission(request),
            "may_change": self.has_change_permission(request),
        }
        return TemplateResponse(request, "admin/prices/fallbackprice/all.html", context)

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
