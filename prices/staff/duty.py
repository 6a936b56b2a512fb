"""A duty change: the premiums of several metals from one moment on, in one form, which shows each new price before."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from prices.domain.quotes import Metal, PriceKind, Quote, percent
from prices.models import Configuration, FallbackPrice, LatestPrice, ListedMetal, Premium, ProposedEdit
from prices.staff.approvals import submit
from prices.staff.feed import Entry, entries
from prices.staff.premiums import PremiumForm, move_under, moved_quote, shown_quote, under
from prices.staff.row_changes import visible_to

# A later time is a slip of the year.
_LATEST: Final = dt.timedelta(days=366)
# The current minute, whose seconds the field does not show, is no past.
_EARLIEST: Final = dt.timedelta(minutes=1)
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The effect of a duty change on the shown price of one metal, at today's spot.

    `becomes` is None where no price is shown, or the new one cannot be. `live` is the last live price under the new
    premium, and `fallback` staff's price, on which no premium is put: it stays as it is.
    """

    listed: ListedMetal
    multiplier: Decimal
    shown: Quote | None
    becomes: Quote | None
    move: Decimal | None
    is_jump: bool
    live: Quote | None
    fallback: FallbackPrice | None

    @property
    def is_fallback_shown(self) -> bool:
        return self.shown is not None and self.shown.kind is PriceKind.FALLBACK

    @property
    def gap(self) -> Decimal | None:
        """The distance of the fallback from the live price of then, in percent; None where either is missing."""
        if self.fallback is None or self.live is None:
            return None
        return percent(self.fallback.price - self.live.price, self.live.price)


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyChange:
    """A change that brought premiums. One that `is_to_come` can be cancelled before anybody sees it."""

    entry: Entry
    is_to_come: bool


class DutyForm(forms.Form):
    """The premiums of all listed metals, and the minute from which they count.

    Only those count that differ from the current ones. Each is saved by a `PremiumForm`, whose rules hold. A form is
    saved only as its preview was seen (`was_seen`): with these premiums and this time, while nobody has changed one.
    """

    begins = forms.DateTimeField(
        label="From",
        required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": "Write date and time as 2026-12-31 18:30."},
    )
    note = forms.CharField(
        label="What it is made of",
        required=False,
        max_length=200,
        help_text="Such as “duty 6 %, local premium 0.5 %”. Anybody can read it in the API's config.",
    )
    reason = forms.CharField(
        label="Reason", required=False, max_length=200, help_text="Why it is changed. Staff see it beside the change."
    )
    confirm = forms.BooleanField(label="I checked it", required=False)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        self.now = timezone.now()
        self.listed = list(ListedMetal.objects.filter(enabled=True))
        self.fields["begins"].help_text = f"Empty: at once. By the clock of {settings.TIME_ZONE}."
        self.premiums = Premium.multipliers(self.now)
        # Filled by `clean`: the changed metals, and the form that saves each.
        self.changed: list[tuple[ListedMetal, Decimal]] = []
        self.forms: list[PremiumForm] = []
        for listed in self.listed:
            self.fields[_field(listed)] = forms.DecimalField(
                label=listed.display_name,
                initial=f"{self.premiums[listed.name].normalize():f}",
                max_digits=9,
                decimal_places=6,
                widget=forms.TextInput(attrs={"inputmode": "decimal"}),
                error_messages={"invalid": "Enter a number without commas, and with a point before its decimals."},
            )

    @property
    def is_at_once(self) -> bool:
        return not self.data.get("begins")

    @property
    def multipliers(self) -> list[forms.BoundField]:
        """The fields of the premiums."""
        return [self[_field(listed)] for listed in self.listed]

    @property
    def others(self) -> list[forms.BoundField]:
        """The fields that all premiums share, but for the confirmation."""
        return [self["begins"], self["note"], self["reason"]]

    def clean_begins(self) -> dt.datetime:
        begins: dt.datetime | None = self.cleaned_data["begins"]
        if begins is None:
            return self.now
        if begins < self.now - _EARLIEST:
            raise ValidationError("This is in the past. Leave it empty for at once, or give a time to come.")
        if begins > self.now + _LATEST:
            raise ValidationError("This is more than a year from now. Give a time within a year.")
        return begins

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.errors:
            return data
        given = [(listed, data[_field(listed)]) for listed in self.listed]
        self.changed = [
            (listed, multiplier) for listed, multiplier in given if multiplier != self.premiums[listed.name]
        ]
        if not self.changed:
            raise ValidationError("No premium is another one than now. Change one, then look at the new prices.")
        same = {"effective_from": data["begins"], "note": data["note"], "confirm": data["confirm"]}
        for listed, multiplier in self.changed:
            form = PremiumForm({"metal": listed.pk, "multiplier": multiplier, **same})
            self.forms.append(form)
            for errors in form.errors.values():
                self.add_error(_field(listed), list(errors))
        return data

    @property
    def mark(self) -> str:
        """A mark of the change that the preview shows, and of all premiums as they are now.

        A post brings it back as `seen`.
        """
        rows = Premium.objects.order_by("pk").values_list("pk", "multiplier", "effective_from")
        given = [str(self.data.get(name, "")).strip() for name in ("begins", *map(_field, self.listed))]
        return hashlib.sha256(repr((given, list(rows))).encode()).hexdigest()[:32]

    @property
    def was_seen(self) -> bool:
        """True if the preview was shown of exactly this change."""
        return self.data.get("seen") == self.mark

    def previews(self) -> list[Preview]:
        """The effect on each changed metal; empty before anything valid was entered."""
        return [self._preview(listed, multiplier) for listed, multiplier in self.changed]

    @transaction.atomic
    def save(self, by: User, *, site: str) -> list[Premium] | ProposedEdit:
        """Save the changed premiums as one change, and bring screens up to date once the transaction commits.

        Returns the proposal where another person has to approve it, and nothing is saved. Saves nothing either, and
        returns an empty list, unless the preview `was_seen`. `site` is as for `approvals.submit`.
        """
        list(ListedMetal.objects.select_for_update())  # nobody else's change comes between
        if not self.was_seen:
            return []
        proposal = submit(self.forms, by=by, reason=self.cleaned_data["reason"], site=site)
        return proposal or [form.instance for form in self.forms]

    def _preview(self, listed: ListedMetal, multiplier: Decimal) -> Preview:
        shown, live = shown_quote(listed), LatestPrice.live(listed.name, settings.BASE_CURRENCY)
        becomes = _under(shown, multiplier)
        move = move_under(shown, multiplier) if shown and becomes else None
        moved = moved_quote(listed)
        jump = move_under(moved, multiplier) if moved and _under(moved, multiplier) else None
        return Preview(
            listed=listed,
            multiplier=multiplier,
            shown=shown,
            becomes=becomes,
            move=move,
            is_jump=jump is not None and abs(jump) > Configuration.load().jump_percent,
            live=_under(live.quote() if live else None, multiplier),
            fallback=FallbackPrice.objects.filter(metal=listed, currency=settings.BASE_CURRENCY).first(),
        )


def recent(user: User) -> list[DutyChange]:
    """The newest changes that brought premiums, as a member of staff may see and undo them."""
    added = Premium.history.filter(history_type="+").values_list("change", flat=True)
    changes = list(visible_to(user).filter(pk__in=added)[:_SHOWN])
    now = timezone.now()
    return [DutyChange(entry=entry, is_to_come=_is_to_come(entry, now)) for entry in entries(changes, user)]


def _is_to_come(entry: Entry, now: dt.datetime) -> bool:
    premiums = [part.current for part in entry.parts if part.model is Premium and part.current]
    return bool(premiums) and all(premium.effective_from > now for premium in premiums)


def _field(listed: ListedMetal) -> str:
    return f"multiplier_{Metal(listed.name)}"


def _under(quote: Quote | None, multiplier: Decimal) -> Quote | None:
    try:
        return under(quote, multiplier) if quote else None
    except ValueError:
        return None
