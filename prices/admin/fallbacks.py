"""What is shown when no source answers."""

import datetime as dt
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from prices import ingest
from prices.admin.pages import ONE_MEANING, AuditedAdmin, InACurrencyForm
from prices.guards import doubted
from prices.holding import bands
from prices.models import EXAMPLES_NOTE, Configuration, FallbackPrice, LatestPrice, ListedMetal
from prices.quotes import FALLBACK, Lane, Metal, Quote


def _show_fallbacks() -> None:
    ingest.fall_back_where_due(now=timezone.now())


class FallbackPriceForm(InACurrencyForm):
    """Asks once more before it takes a price that would be held if a source gave it."""

    confirm = forms.BooleanField(
        required=False,
        label="I checked it",
        help_text="Needed only for a price that would not be believed of a source: "
        "far from the last one known, or outside its sanity band; and for the first one in a currency.",
    )

    class Meta:
        model = FallbackPrice
        fields = ["metal", "currency", "price", "as_of", "note"]
        help_texts = {
            "price": "Per gram of fine (24 carat, 999) metal. Not per 10 g, tola, kilogram or ounce. "
            "It goes out as you write it: no premium is put on it."
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.example and "confirm" in self.fields:
            self.fields["confirm"].help_text = (
                f"This price is an example of {self.instance.as_of:%B %Y}, which came with the installation. Write "
                "today's price above; or tick this to make the example your own as it is."
            )

    @property
    def is_entered(self) -> bool:
        """Whether staff have entered a price or its time, or confirmed them as they are."""
        return not {"price", "as_of"}.isdisjoint(self.changed_data) or bool(self.cleaned_data.get("confirm"))

    def clean_as_of(self) -> dt.datetime:
        as_of: dt.datetime = self.cleaned_data["as_of"]
        if as_of > timezone.now() + dt.timedelta(minutes=2):
            raise ValidationError("This is in the future. Give the time at which the price was true.")
        if as_of.year < FallbackPrice.FIRST_YEAR:
            raise ValidationError(
                f"This is before {FallbackPrice.FIRST_YEAR}. Give the time at which the price was true."
            )
        return as_of

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        trouble = None if data.get("confirm") else self._doubted(data)
        if trouble:
            self.add_error(
                "price",
                f"{trouble}. Prices are per gram of fine metal. If it is right, {self.to_confirm}.",
            )
        return data

    def _doubted(self, data: dict[str, Any]) -> str | None:
        """What would speak against the price if a source gave it now, in words."""
        metal = data.get("metal") or getattr(self.instance, "metal", None)
        currency = data.get("currency") or self.instance.currency
        if metal is None:
            return None
        try:
            quote = Quote(
                metal=Metal(metal.name),
                price=data.get("price") or Decimal(0),
                currency=currency,
                source=FALLBACK,
                quoted_at=timezone.now(),
            )
        except ValueError:
            return None  # it is no price at all, as the field's own validators say
        last, band = self._last_known(metal, currency), bands(currency).get(quote.metal)
        if last is None and band is None:
            return f"There is no price of {quote.metal} in {currency} yet to compare this with"
        trouble = doubted(quote, last, band=band, max_jump_percent=Configuration.load().jump_percent)
        return trouble.words if trouble else None

    def _last_known(self, metal: ListedMetal, currency: str) -> Quote | None:
        """The newest live price of this metal, or else the fallback that is being replaced.

        With any premium on it, unlike what a source is measured by: a fallback goes out with everything in it.
        """
        if live := LatestPrice.live(metal.name, currency):
            return live.quote()
        replaced = FallbackPrice.objects.filter(pk=self.instance.pk).first()
        return replaced.quote() if replaced else None


@admin.register(FallbackPrice)
class FallbackPriceAdmin(AuditedAdmin):
    """Edited in a hurry, so it says per what, shows the live price beside it, and tells whether it is on screen now."""

    form = FallbackPriceForm
    formfield_overrides = ONE_MEANING
    fields = ["metal", "currency", "price", "as_of", "note", "confirm", "version"]
    list_display = ["metal", "price", "kind", "on_screen", "last_live", "as_of", "currency"]
    sortable_by = ()
    list_select_related = ["metal"]
    history_list_display = ["price", "as_of", "note"]
    history_list_per_page = 50

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # without it a screen would have nothing to fall back on

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), *(["metal", "currency"] if obj else [])]

    @admin.display(description="whose")
    def kind(self, fallback: FallbackPrice) -> str:
        return "an example: enter today's price" if fallback.example else "staff's"

    @admin.display(description="last live price")
    def last_live(self, fallback: FallbackPrice) -> str:
        live = LatestPrice.live(fallback.metal_id, fallback.currency)
        return f"{live.price:,.4f}" if live else "—"

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
        if obj.example and form.is_entered:
            obj.example = False
            if obj.note == EXAMPLES_NOTE:
                obj.note = ""  # it says where the example came from
        super().save_model(request, obj, form, change)
        transaction.on_commit(_show_fallbacks)
