"""The staff's desk: what is listed, what is shown when no source answers, how prices are judged; history to read."""

import datetime as dt
import re
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from simple_history.admin import SimpleHistoryAdmin

from prices import ingest, schedule
from prices.models import (
    Configuration,
    FallbackPrice,
    LatestPrice,
    ListedMetal,
    Price,
    ProviderState,
    SignificantChange,
)
from prices.quotes import Lane, percent
from streaming import publish

# A fallback further than this from the last known price is more often a slip (per 10 g, a lost digit) than a market.
SLIP_PERCENT = Decimal(10)
_EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)

admin.site.site_header = "Swarna"
admin.site.site_title = "Swarna"
admin.site.index_title = "Prices"


def _show_listed() -> None:
    """Show a metal that was switched on at once, if need be with its fallback, and drop one that was switched off."""
    ingest.fall_back_where_due(now=timezone.now(), unpriced_only=True)
    publish.reload()


def _show_fallbacks() -> None:
    ingest.fall_back_where_due(now=timezone.now())


class ReadOnlyAdmin(admin.ModelAdmin):
    """History is written by ingest alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ListedMetal)
class ListedMetalAdmin(admin.ModelAdmin):
    list_display = ["display_name", "name", "symbol", "enabled", "position"]
    list_editable = ["enabled", "position"]
    readonly_fields = ["name"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the metals are those that the sources quote and the code knows

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its history would go with it: switch it off

    def save_model(self, request: HttpRequest, obj: ListedMetal, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        transaction.on_commit(_show_listed)


class AuditedForm(forms.ModelForm):
    """Refuses to overwrite what somebody else has saved since this form was opened."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial["version"] = self._version()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        opened = data.get("version")
        if opened is not None and opened != self._version():
            now_it_is = type(self.instance)._default_manager.get(pk=self.instance.pk)
            raise ValidationError(
                f"Somebody has saved this since you opened it; it is now: {now_it_is}. "
                "Open it again and make your change to that."
            )
        return data

    def _version(self) -> int | None:
        """The newest entry of the audit."""
        newest = self.instance.history.order_by("-history_id").first() if self.instance.pk else None
        return newest.history_id if newest else None


class FallbackPriceForm(AuditedForm):
    """Asks once more before it takes a price that is far from the last one known."""

    confirm = forms.BooleanField(
        required=False,
        label="I checked it",
        help_text=f"Needed only for a price more than {SLIP_PERCENT} % away from the last one known.",
    )

    class Meta:
        model = FallbackPrice
        fields = ["metal", "currency", "price", "as_of", "note"]

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].upper()
        if not re.fullmatch("[A-Z]{3}", currency):
            raise ValidationError("Write a three-letter ISO 4217 code such as INR.")
        return currency

    def clean_as_of(self) -> dt.datetime:
        as_of: dt.datetime = self.cleaned_data["as_of"]
        if as_of > timezone.now() + dt.timedelta(minutes=2):
            raise ValidationError("This is in the future. Give the time at which the price was true.")
        if as_of < _EARLIEST:
            raise ValidationError(f"This is before {_EARLIEST:%Y}. Give the time at which the price was true.")
        return as_of

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        price, known = data.get("price"), self._last_known(data)
        if price and known and not data.get("confirm"):
            moved = percent(price - known, known)
            if abs(moved) > SLIP_PERCENT:
                self.add_error(
                    "price",
                    f"{price:,.4f} is {moved:+.1f} % away from the last known {known:,.4f} per gram. "
                    "Prices are per gram of fine metal. If it is right, tick “I checked it” and save again.",
                )
        return data

    def _last_known(self, data: dict[str, Any]) -> Decimal | None:
        """The newest live price of this metal, or else the fallback that is being replaced."""
        metal = data.get("metal") or getattr(self.instance, "metal", None)
        live = _latest(metal, data.get("currency") or self.instance.currency).filter(lane=Lane.LIVE).first()
        if live:
            return live.price.price
        return FallbackPrice.objects.filter(pk=self.instance.pk).values_list("price", flat=True).first()


@admin.register(FallbackPrice)
class FallbackPriceAdmin(SimpleHistoryAdmin):
    """Edited in a hurry, so it says per what, shows the live price beside it, and tells whether it is on screen now."""

    form = FallbackPriceForm
    fields = ["metal", "currency", "price", "as_of", "note", "confirm", "version"]
    list_display = ["metal", "price", "on_screen", "last_live", "as_of", "currency"]
    sortable_by = ()
    list_select_related = ["metal"]
    history_list_display = ["price", "as_of", "note"]
    history_list_per_page = 50

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # without it a screen would have nothing to fall back on

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["metal", "currency"] if obj else []

    @admin.display(description="last live price")
    def last_live(self, fallback: FallbackPrice) -> str:
        live = _latest(fallback.metal, fallback.currency).filter(lane=Lane.LIVE).first()
        return f"{live.price.price:,.4f}" if live else "—"

    @admin.display(description="on screen now", boolean=True)
    def on_screen(self, fallback: FallbackPrice) -> bool:
        shown = (
            LatestPrice.shown().filter(metal=fallback.metal, currency=fallback.currency, metal__enabled=True).first()
        )
        return shown is not None and shown.lane == Lane.FALLBACK

    def save_model(self, request: HttpRequest, obj: FallbackPrice, form: Any, change: bool) -> None:
        if change and "price" in form.changed_data and "as_of" not in form.changed_data:
            # A new price is as of now, unless staff say otherwise: else it would go out under the old one's date.
            obj.as_of = timezone.now()
        super().save_model(request, obj, form, change)
        transaction.on_commit(_show_fallbacks)


def _latest(metal: ListedMetal | None, currency: str) -> QuerySet[LatestPrice]:
    """Where a metal's lanes stand, the one that is shown first."""
    return (
        LatestPrice.objects.filter(metal=metal, currency=currency).select_related("price").order_by("-price__tick_id")
    )


class ConfigurationForm(AuditedForm):
    """The configuration, and the interval of the schedule that belongs with it."""

    update_interval_ms = forms.IntegerField(
        label="Update interval, ms",
        min_value=schedule.SHORTEST_INTERVAL // dt.timedelta(milliseconds=1),
        max_value=86_400_000,
        help_text="How often prices are fetched. Mind the sources' quotas.",
    )

    class Meta:
        model = Configuration
        fields = ["change_threshold_percent", "freshness_limit_ms"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        interval = schedule.interval()
        self.fields["update_interval_ms"].initial = interval // dt.timedelta(milliseconds=1)
        if "change_threshold_percent" not in self.fields:
            return  # for staff who may only look, there is nothing to explain
        self.fields["change_threshold_percent"].help_text += f" Empty: {settings.CHANGE_THRESHOLD_PERCENT} %."
        deployed = (settings.FRESHNESS_LIMIT or 5 * interval) // dt.timedelta(milliseconds=1)
        self.fields["freshness_limit_ms"].help_text += f" Now that would be {deployed}."


@admin.register(Configuration)
class ConfigurationAdmin(SimpleHistoryAdmin):
    form = ConfigurationForm

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is one: go straight to it."""
        return HttpResponseRedirect(reverse("admin:prices_configuration_change", args=[Configuration.load().pk]))

    def save_model(self, request: HttpRequest, obj: Configuration, form: Any, change: bool) -> None:
        interval = dt.timedelta(milliseconds=form.cleaned_data["update_interval_ms"])
        if interval != (before := schedule.interval()):
            schedule.set_interval(interval)
            # The interval is the schedule's, so the row's own history would not show it.
            obj._change_reason = f"update interval {before} → {interval}"  # type: ignore[attr-defined]  # simple-history reads it
        super().save_model(request, obj, form, change)
        transaction.on_commit(publish.reload)


def _to_the_second(at: dt.datetime) -> str:
    """Django's own format stops at the minute, in which there may be sixty prices."""
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S")


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    """What was published, newest first."""

    list_display = ["published_at", "metal", "price", "currency", "source", "quoted", "tick_id"]
    list_filter = ["metal", "source", "tick__published_at"]
    list_select_related = ["metal", "tick"]
    show_full_result_count = False

    @admin.display(ordering="tick_id")
    def published_at(self, price: Price) -> str:
        return _to_the_second(price.tick.published_at)

    @admin.display(ordering="quoted_at", description="quoted at")
    def quoted(self, price: Price) -> str:
        return _to_the_second(price.quoted_at)


@admin.register(SignificantChange)
class SignificantChangeAdmin(ReadOnlyAdmin):
    list_display = ["published_at", "metal", "old_price", "new_price", "change_percent"]
    list_filter = ["metal"]
    list_select_related = ["metal", "tick"]

    @admin.display(ordering="tick_id")
    def published_at(self, change: SignificantChange) -> str:
        return _to_the_second(change.tick.published_at)


@admin.register(ProviderState)
class ProviderStateAdmin(ReadOnlyAdmin):
    """How each source has been doing."""

    list_display = ["name", "last_success_at", "last_error_at", "last_error", "rests_until"]
