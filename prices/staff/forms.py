"""Forms of staff's edits, for the admin and REST: the valid values, those to confirm, and the effects of saving."""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, Self

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from infra import formats
from infra.readable import moment
from prices import schedule
from prices.domain import drift
from prices.domain.quotes import FALLBACK, Metal, Quote
from prices.domain.sanity import SanityRule, find_violation
from prices.models import (
    EXAMPLES_NOTE,
    ApprovalLimit,
    Configuration,
    FallbackPrice,
    LatestPrice,
    ListedMetal,
    ProviderState,
    SanityBand,
)
from prices.premiums import with_premium
from prices.publishing import ingest
from prices.sanity_bands import bands
from prices.staff.changes import one_change
from prices.staff.unapproved import BEFORE, fallback_before, multiplier_before

# True while edits are saved that their editor may make alone, or that another person has approved.
_is_allowed: ContextVar[bool] = ContextVar("is_allowed", default=False)


@contextmanager
def allowed() -> Iterator[None]:
    """Let edits of prices be saved in the block; prices/staff/approvals.py has found that they may."""
    before = _is_allowed.set(True)
    try:
        yield
    finally:
        _is_allowed.reset(before)


def is_allowed() -> bool:
    """Return True in a block of `allowed`."""
    return _is_allowed.get()


class AuditedForm(forms.ModelForm):
    """A form that does not overwrite what somebody else has saved since it was opened.

    Where large edits need two people, a form that moves a price is saved by prices/staff/approvals.py alone.
    """

    # The way to confirm a value, where a form has `confirm`; REST has another text.
    to_confirm = "tick “I checked it” and save again"
    # True where each field stands for itself: its change can be undone though another field was changed since.
    has_separate_fields = False
    # The row as it was, where an undo brings it back.
    restored: Any = None
    # The way on with a row that others have saved meanwhile.
    to_reopen = "Open it again and make your change to that."

    reason = forms.CharField(
        required=False, max_length=200, help_text="Why, for those who read the changes later. Clients do not see it."
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial["version"] = self.current_version()
        for field in self.fields.values():
            if isinstance(field, forms.SplitDateTimeField):
                field.help_text += f" By the clock of {settings.TIME_ZONE}."

    @classmethod
    def with_changes(cls, row: models.Model, changes: dict[str, Any]) -> Self:
        """A form as if it had just been opened for a row, and these fields been written into it."""
        opened = cls(instance=row)
        data = {name: opened.get_initial_for_field(field, name) for name, field in opened.fields.items()}
        # Where a default moves, as the current time does, a form finds changes by hidden initial values.
        data |= {opened.add_initial_prefix(name): value for name, value in data.items()}
        return cls(data | {"version": None} | changes, instance=row)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        opened = data.get("version")
        if self.instance.pk and transaction.get_connection().in_atomic_block:
            # Whoever saves the row at the same moment waits here, and then finds that it has changed.
            list(type(self.instance)._default_manager.select_for_update().filter(pk=self.instance.pk).order_by())
        if self.instance.pk and opened is not None and opened != self.current_version():
            current = type(self.instance)._default_manager.get(pk=self.instance.pk)
            by = current.history.latest().history_user
            now = f"{current}, saved by {by}" if by else str(current)
            raise ValidationError(f"Somebody has saved this since you opened it; it is now: {now}. {self.to_reopen}")
        return data

    def save(self, commit: bool = True) -> Any:
        """Save the row, with its audit, and bring screens up to date once the transaction commits."""
        if not commit:
            return super().save(commit=False)
        asks_for_two = settings.APPROVAL_ABOVE_PERCENT is not None and not is_allowed()
        if asks_for_two and self.excess(Decimal(0), None):
            raise RuntimeError("a form that moves a price is saved by prices.staff.approvals.submit")
        with one_change(reason=self.cleaned_data.get("reason", "")):
            row = super().save()
            transaction.on_commit(self.show)
        return row

    def show(self) -> None:
        """Bring screens up to date with the saved row."""

    def excess(self, limit_percent: Decimal, by: User | None) -> str | None:
        """The reason why `by`, with this limit, may not save this valid edit alone; None if they may.

        None is nobody in particular: the edit is measured from the prices of now.
        """
        return None

    def futility(self) -> str:
        """The reason why this valid edit, which waited for approval, would change nothing by now; empty if it would."""
        return ""

    def summary(self) -> str:
        """The edit for people: the row, and each field that it changes, before and after."""
        changed = set(self.changed_data)
        if "price" in changed:
            changed.discard("as_of")  # a new price is of now
        of_row = [field.name for field in self.instance._meta.fields if field.name in changed]
        changes = [
            f"{str(self.fields[name].label or name).lower()} {_readable(self.initial.get(name))} → "
            f"{_readable(self.cleaned_data[name])}"
            for name in of_row
        ]
        return f"{self.instance._meta.verbose_name} of {self.instance.metal_id}: {'; '.join(changes) or 'confirmed'}"

    def entered(self) -> dict[str, Any]:
        """The values that a valid form writes: all of a new row; of one that exists, only what is changed."""
        written = self.fields if self.instance._state.adding else self.changed_data
        return {name: self.cleaned_data[name] for name in written if name not in ("version", "reason")}

    def current_version(self) -> int | None:
        """The id of the row's newest audit entry."""
        newest = self.instance.history.order_by("-history_id").first() if self.instance.pk else None
        return newest.history_id if newest else None


class InACurrencyForm(AuditedForm):
    """A form with a currency, which may be written in lower case."""

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].upper()
        if not re.fullmatch("[A-Z]{3}", currency):
            raise ValidationError("Write a three-letter ISO 4217 code such as INR.")
        return currency


class FallbackPriceForm(InACurrencyForm):
    """Requires a confirmation for a price that would be quarantined if a source gave it."""

    confirm = forms.BooleanField(
        required=False,
        label="I checked it",
        help_text="Needed only for a price that would be quarantined if a source gave it: "
        "far from the last one known, or outside its sanity band; and for the first one in a currency.",
    )

    class Meta:
        model = FallbackPrice
        fields = ["metal", "currency", "price", "as_of", "expires_at", "note"]
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
        """True if staff entered a price or its time, or confirmed them unchanged."""
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
        violation = None if data.get("confirm") else self.violation_of(data.get("price"), data)
        if violation:
            self.add_error(
                "price",
                f"{violation}. Prices are per gram of fine metal. If it is right, {self.to_confirm}.",
            )
        self._check_expiry(data.get("expires_at"), timezone.now())
        return data

    def save(self, commit: bool = True) -> Any:
        """Save the price; a new one is as of now, not of the old one's date, unless staff entered a time."""
        fallback = self.instance
        if self.restored is not None:
            fallback.example = self.restored.example
            return super().save(commit)
        if not fallback._state.adding and "price" in self.changed_data and "as_of" not in self.changed_data:
            fallback.as_of = timezone.now()
        if fallback.example and self.is_entered:
            fallback.example = False
            if fallback.note == EXAMPLES_NOTE:
                fallback.note = ""  # it says where the example came from
        return super().save(commit)

    def entered(self) -> dict[str, Any]:
        """As of every form; a new price has the time at which it was entered, however late it is approved."""
        of_now = {"as_of": timezone.now()} if "price" in self.changed_data else {}
        return of_now | super().entered()

    def show(self) -> None:
        now = timezone.now()
        ingest.fall_back_where_due(now=now)
        ingest.withdraw_fallbacks(now=now)  # an undo may have made it an example again

    def _check_expiry(self, expires_at: dt.datetime | None, now: dt.datetime) -> None:
        """Add an error for an expiry that cannot be meant. One that has passed is no reason not to save a note."""
        if expires_at is None:
            return
        if expires_at <= now and (self.is_entered or "expires_at" in self.changed_data):
            self.add_error("expires_at", "This is in the past. Give a later time, or none for a price without an end.")
        if expires_at > now + FallbackPrice.LONGEST:
            self.add_error("expires_at", "This is more than a year away. Give none for a price without an end.")

    def excess(self, limit_percent: Decimal, by: User | None) -> str | None:
        """The reason why its price is beyond the limit; None where an edit leaves that and its time as they are."""
        touched = set(self.changed_data) - {"note", "reason", "version"}
        makes_own = touched == {"confirm"} and FallbackPrice.objects.filter(pk=self.instance.pk, example=True).exists()
        if touched <= {"confirm"} and not makes_own:
            return None
        return self.violation_of(
            self.cleaned_data.get("price"), self.cleaned_data, max_jump_percent=limit_percent, by=by
        )

    def violation_of(
        self,
        price: Decimal | None,
        data: Mapping[str, Any],
        max_jump_percent: Decimal | None = None,
        by: User | None = None,
    ) -> str | None:
        """The detail of the sanity rule that a price would break if a source gave it now, of the metal in `data`.

        `max_jump_percent` is the configured one by default. A jump is measured from the price before what `by` has
        changed of late without approval.
        """
        metal = data.get("metal") or getattr(self.instance, "metal", None)
        currency = data.get("currency") or self.instance.currency
        if metal is None:
            return None
        try:
            quote = Quote(
                metal=Metal(metal.name),
                price=price or Decimal(0),
                currency=currency,
                source=FALLBACK,
                quoted_at=timezone.now(),
            )
        except ValueError:
            return None  # not a price: the field's own validators reject it
        last, band = self._last_known(metal, currency, by), bands(currency).get(quote.metal)
        if last is None and band is None:
            return f"There is no price of {quote.metal} in {currency} yet to compare this with"
        jump = Configuration.load().jump_percent if max_jump_percent is None else max_jump_percent
        violation = find_violation(quote, last, band=band, max_jump_percent=jump)
        if violation and violation.rule is SanityRule.JUMP and last != self._last_known(metal, currency, None):
            return f"{violation.detail} {BEFORE}"
        return violation.detail if violation else None

    def _last_known(self, metal: ListedMetal, currency: str, by: User | None) -> Quote | None:
        """The newest live price of this metal, or else the fallback that is replaced; before `by` changed them.

        The live price includes any premium, unlike for a source's quote: a fallback is published without adding one.
        """
        now = timezone.now()
        if live := LatestPrice.live(metal.name, currency):
            quote, multiplier = live.quote(), multiplier_before(metal, by, now)
            return quote if multiplier is None else with_premium(quote.at_spot(), {quote.metal: multiplier})
        replaced = fallback_before(self.instance.pk, by, now)
        return replaced.quote() if replaced else None


class ApprovalLimitForm(AuditedForm):
    class Meta:
        model = ApprovalLimit
        fields = ["role", "percent"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "percent" in self.fields:
            every = settings.APPROVAL_ABOVE_PERCENT
            otherwise = "no edit waits, until APPROVAL_ABOVE_PERCENT is set" if every is None else f"{every} %"
            self.fields["percent"].help_text += f" Without a limit of its own: {otherwise}."


class SanityBandForm(InACurrencyForm):
    class Meta:
        model = SanityBand
        fields = ["metal", "currency", "lowest", "highest"]
        help_texts = {
            "lowest": "Per gram of fine metal, before any premium. A source's price below it is quarantined until you "
            "decide.",
            "highest": "A price above it is quarantined too. Leave room for years: it stops only absurd prices.",
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        lowest, highest = data.get("lowest"), data.get("highest")
        if lowest is not None and highest is not None and lowest >= highest:
            self.add_error("highest", f"This has to be above the lowest, {lowest:,}.")
        return data


class ConfigurationForm(AuditedForm):
    """The configuration, and the interval of the schedule that belongs with it."""

    has_separate_fields = True

    update_interval_ms = forms.IntegerField(
        label="Update interval, ms",
        min_value=formats.milliseconds(schedule.SHORTEST_INTERVAL),
        max_value=formats.milliseconds(schedule.LONGEST_INTERVAL),
        help_text="How often prices are fetched. Mind the sources' quotas.",
    )

    class Meta:
        model = Configuration
        fields = [
            "change_threshold_percent",
            "freshness_limit_ms",
            "max_jump_percent",
            *(f"max_drift_percent_{metal}" for metal in Metal),
            "update_interval_ms",
        ]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        interval = schedule.interval()
        self.initial["update_interval_ms"] = formats.milliseconds(interval)
        if "change_threshold_percent" not in self.fields:
            return  # staff who may only view have no fields
        self.fields["change_threshold_percent"].help_text += f" Empty: {settings.CHANGE_THRESHOLD_PERCENT} %."
        self.fields["max_jump_percent"].help_text += f" Empty: {settings.MAX_JUMP_PERCENT} %."
        for metal, usual in drift.USUAL_PERCENT.items():
            self.fields[f"max_drift_percent_{metal}"].help_text += f" Empty: {usual} %."
        deployed = formats.milliseconds(settings.FRESHNESS_LIMIT or 5 * interval)
        self.fields["freshness_limit_ms"].help_text += f" Now that would be {deployed}."

    def save(self, commit: bool = True) -> Any:
        interval = dt.timedelta(milliseconds=self.cleaned_data["update_interval_ms"])
        if not commit:
            return super().save(commit=False)
        with transaction.atomic():
            if interval != schedule.interval():
                schedule.set_interval(interval)
            # As it is kept, which of a long one is whole seconds.
            self.instance.update_interval_ms = formats.milliseconds(schedule.interval())
            return super().save()

    def show(self) -> None:
        ingest.reload()


class ListRowForm(AuditedForm):
    """A row that a list edits too: only its changed fields are saved, as others may have saved the rest meanwhile."""

    has_separate_fields = True
    version = None  # type: ignore[assignment]  # Django's way to leave out a field of the base class

    def save(self, commit: bool = True) -> Any:
        if not commit:
            return super().save(commit=False)
        with one_change(reason=self.cleaned_data.get("reason", "")):
            of_row = {field.name for field in self.instance._meta.fields}
            save_fields(self.instance, [name for name in self.changed_data if name in of_row])
            transaction.on_commit(self.show)
        return self.instance


def save_fields(row: models.Model, names: list[str]) -> None:
    """Save these fields of a row, and read its others anew, so that its version has no old value of them."""
    row.refresh_from_db(fields=[field.name for field in row._meta.concrete_fields if field.name not in names])
    row.save(update_fields=names)


class ListedMetalForm(ListRowForm):
    class Meta:
        model = ListedMetal
        fields = ["display_name", "enabled", "position"]

    @staticmethod
    def show() -> None:
        """Show a metal that was switched on, if need be with its fallback price, and drop one that was switched off."""
        now = timezone.now()
        ingest.fall_back_where_due(now=now, unpriced_only=True)
        ingest.apply_premiums(now=now)  # one may have changed while the metal was off
        ingest.reload()


class ProviderStateForm(ListRowForm):
    class Meta:
        model = ProviderState
        fields = ["position", "enabled", "tolerance_percent"]


def _readable(value: Any) -> str:
    """A field's value for people."""
    match value:
        case None | "":
            return "—"
        case Decimal():
            return f"{value:,}"
        case dt.datetime():
            return moment(value, timezone.now())
    return str(value)
