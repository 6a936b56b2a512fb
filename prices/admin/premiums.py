"""What is added to spot."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from infra.readable import moment
from prices.admin.pages import ONE_MEANING, AuditedAdmin
from prices.domain.quotes import Quote, percent
from prices.models import Configuration, LatestPrice, ListedMetal, Premium
from prices.premiums import with_premium
from prices.publishing import ingest
from prices.staff.forms import AuditedForm


def _show_in_force() -> None:
    ingest.apply_premiums(now=timezone.now())


def _shown(metal: ListedMetal) -> Quote | None:
    """What screens show of a metal."""
    latest = LatestPrice.shown().filter(metal=metal).first()
    return latest.quote() if latest else None


def _with(quote: Quote, multiplier: Decimal) -> Quote:
    """A shown quote as it would be under another premium."""
    return with_premium(quote.at_spot(), {quote.metal: multiplier})


def _in_words(quote: Quote, multiplier: Decimal) -> str:
    """What becomes of a shown quote under a premium."""
    spot, then = quote.at_spot().price, _with(quote, multiplier).price
    if spot == then != spot * multiplier:
        return f"{quote.metal} is shown as {quote.source} gives it, {spot:,}: no premium is put on that"
    return f"{quote.metal} is {spot:,} × {multiplier.normalize():f} = {then:,} {quote.currency} per gram"


def _moved(quote: Quote, multiplier: Decimal) -> Decimal:
    """How far a shown quote would move under a premium, in percent."""
    return percent(_with(quote, multiplier).price - quote.price, quote.price)


def _beside_now(quote: Quote, multiplier: Decimal) -> str:
    """What becomes of a shown quote under a premium, and how far that is from what it is."""
    moved = f"{_moved(quote, multiplier):+.1f} %"
    return f"{_in_words(quote, multiplier)}, {moved} from the {quote.price:,} that is shown now"


def _in_force(metal: ListedMetal, at: dt.datetime, without: Iterable[Premium]) -> Premium | None:
    """A metal's premium in force at `at`, as if those of `without` were not there."""
    others = Premium.objects.filter(metal=metal, effective_from__lte=at).exclude(pk__in=[each.pk for each in without])
    return others.order_by("effective_from").last()


def _multiplier(premium: Premium | None) -> Decimal:
    return premium.multiplier if premium else Decimal(1)


class PremiumForm(AuditedForm):
    """Says what the shown price becomes, and asks once more where that is a jump."""

    confirm = forms.BooleanField(
        required=False, label="I checked it", help_text="Needed only where the shown price would jump."
    )

    class Meta:
        model = Premium
        fields = ["metal", "multiplier", "effective_from", "note"]
        help_texts = {"note": "What it is made of. Anybody can read it in the API's config."}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "multiplier" in self.fields:
            self.fields["multiplier"].help_text += f" Now {self._now()}."

    def _now(self) -> str:
        """What the shown prices are made of; of all metals, where none is chosen yet."""
        premiums = Premium.multipliers(timezone.now())
        chosen = ListedMetal.objects.filter(enabled=True)
        if self.instance.pk:
            chosen = chosen.filter(pk=self.instance.metal_id)
        shown = [_in_words(quote, premiums[quote.metal]) for metal in chosen if (quote := _shown(metal))]
        return "; ".join(shown) or "it has no price"

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        metal, multiplier = data.get("metal") or getattr(self.instance, "metal", None), data.get("multiplier")
        shown = _shown(metal) if metal else None
        begins = data.get("effective_from")
        if metal and shown and begins and multiplier and 0 < multiplier < 1000 and not data.get("confirm"):
            for becomes in self._becomes(metal, multiplier, begins):
                if abs(_moved(shown, becomes)) > Configuration.load().jump_percent:
                    words = f"With it {_beside_now(shown, becomes)}. If it is right, {self.to_confirm}."
                    self.add_error("multiplier", words)
        return data

    def _becomes(self, metal: ListedMetal, multiplier: Decimal, begins: dt.datetime) -> list[Decimal]:
        """The multipliers that would be in force once this is saved: now and, where it begins later, from then on.

        Now it may be another's: of a later premium, or of the one before, where this one is put off.
        """
        now = timezone.now()
        newest = _in_force(metal, now, without=[self.instance])
        if begins > now:
            return [_multiplier(newest), multiplier]
        return [newest.multiplier if newest and newest.effective_from > begins else multiplier]


@admin.register(Premium)
class PremiumAdmin(AuditedAdmin):
    """Goes out at once, or when its time has come (prices/schedule.py)."""

    form = PremiumForm
    formfield_overrides = ONE_MEANING
    fields = ["metal", "multiplier", "effective_from", "note", "confirm", "version"]
    list_display = ["metal", "multiplier", "effective_from", "is_in_force", "note"]
    list_filter = ["metal"]
    list_select_related = ["metal"]
    sortable_by = ()
    history_list_display = ["multiplier", "effective_from", "note"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), *(["metal"] if obj else [])]

    @admin.display(description="in force", boolean=True)
    def is_in_force(self, premium: Premium) -> bool:
        return Premium.current(timezone.now()).get(premium.metal_id) == premium

    def save_model(self, request: HttpRequest, obj: Premium, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self._publish(request, [obj.metal])
        now = timezone.now()
        if obj.effective_from > now:
            shown = _shown(obj.metal)
            becomes = f": at today's spot, {_in_words(shown, obj.multiplier)}" if shown else ""
            messages.info(request, f"From {moment(obj.effective_from, now)} on it is put on{becomes}.")
        elif not self.is_in_force(obj):
            messages.warning(request, "It has no effect: a later one is in force.")

    def get_deleted_objects(self, objs: Iterable[Premium], request: HttpRequest) -> Any:
        """Where Django asks whether to delete, by the button or by the action, say what screens would show then."""
        if "post" not in request.POST:  # nobody has said yes yet
            gone = sorted(objs, key=lambda premium: (premium.metal_id, premium.effective_from))
            for _, of_metal in groupby(gone, key=lambda premium: premium.metal_id):
                for words in _without(list(of_metal), timezone.now()):
                    messages.warning(request, words)
        return super().get_deleted_objects(objs, request)

    def delete_model(self, request: HttpRequest, obj: Premium) -> None:
        super().delete_model(request, obj)
        self._publish(request, [obj.metal])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Premium]) -> None:
        metals = list(ListedMetal.objects.filter(premiums__in=queryset).distinct())
        for premium in queryset:  # one by one, so that each is audited
            premium.delete()
        self._publish(request, metals)

    def _publish(self, request: HttpRequest, metals: list[ListedMetal]) -> None:
        """Let the screens show it when the request ends, and say what they will show."""
        now = timezone.now()
        transaction.on_commit(_show_in_force)
        premiums = Premium.multipliers(now)
        for metal in metals:
            if shown := _shown(metal):
                messages.info(request, f"Now {_in_words(shown, premiums[shown.metal])}.")


def _without(gone: Sequence[Premium], now: dt.datetime) -> Iterator[str]:
    """What screens would show of a metal without these premiums of it: now, and when each would have come."""
    metal = gone[0].metal
    shown = _shown(metal)
    if shown is None:
        return
    then = _multiplier(_in_force(metal, now, without=gone))
    if _moved(shown, then):
        yield f"Without it {_beside_now(shown, then)}."
    else:
        yield f"With or without it {_in_words(shown, then)}."
    for begins in (premium.effective_from for premium in gone if premium.effective_from > now):
        then = _multiplier(_in_force(metal, begins, without=gone))
        yield f"From {moment(begins, now)} on it would not be put on: at today's spot, {_in_words(shown, then)}."
