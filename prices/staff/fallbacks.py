"""All fallback prices on one page: what staff type of them, what screens would show, and the one Save.

What is typed of a metal becomes a change of its row by `FallbackPriceForm`, as in the admin and by REST.
"""

import datetime as dt
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils import timezone

from infra import formats
from infra.readable import moment, span
from prices.domain.quotes import Metal, PriceKind, Quote, percent
from prices.domain.units import UNITS, converted, per_gram
from prices.models import FallbackPrice, LatestPrice, ProposedEdit
from prices.publishing import audience, ingest
from prices.staff.amounts import AmountField, written
from prices.staff.approvals import limit_of, submit
from prices.staff.forms import FallbackPriceForm

# The weights that prices are typed for, as `UNITS` calls them, in words.
_PER: Final[Mapping[str, str]] = {"gram": "per gram", "10gram": "per 10 g", "kg": "per kg"}
_LOCAL_TIMES: Final = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]


class _EntryForm(forms.Form):
    """The fields of one metal; without a price, nothing is saved of it."""

    price = AmountField(required=False, label="New price")
    unit = forms.ChoiceField(choices=list(_PER.items()), initial="gram", label="Unit")
    confirm = forms.BooleanField(required=False, label="I checked it")
    version = forms.IntegerField(required=False)


class _SheetForm(forms.Form):
    """The fields that all prices share."""

    reason = forms.CharField(
        max_length=200,
        label="Reason",
        error_messages={"required": "Say in a few words why: others see it beside the change."},
    )
    until = forms.DateTimeField(
        required=False,
        input_formats=_LOCAL_TIMES,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_LOCAL_TIMES[0]),
        label="Until",
        error_messages={"invalid": "Write it as 2026-12-31 18:00."},
    )
    endless = forms.BooleanField(required=False, label="Without an end")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("until") and data.get("endless"):
            self.add_error("until", "Give a time, or tick “Without an end”, but not both.")
        return data


@dataclass(slots=True, kw_only=True)
class Row:
    """A metal's fallback beside what screens show, and what is typed of it.

    `live` is the last live price, of any age. `is_falling_back`: staff's price is shown, or would be if it had not
    expired. `version` is the row's own now, whatever it was when the page was opened. `change` makes the typed change,
    unless `is_saved` says that this user has made it before; `preview` says what it would do, and `hint` how a refused
    price may have been meant. The `user` may move a price by `limit` percent alone; None: by any.
    """

    fallback: FallbackPrice
    shown: Quote | None
    shown_since: dt.datetime | None
    live: Quote | None
    is_falling_back: bool
    has_expired: bool
    version: int | None
    user: Any
    limit: Decimal | None
    entry: _EntryForm
    change: FallbackPriceForm | None = None
    preview: "Preview | None" = None
    hint: str = ""
    is_saved: bool = False

    @property
    def is_typed(self) -> bool:
        """Return True if a price is typed that can be read."""
        return self.entry.is_bound and self.entry.is_valid() and self.entry.cleaned_data["price"] is not None

    @property
    def is_on_screen(self) -> bool:
        """Return True if screens show this very price, by the database."""
        return self.shown == self.fallback.quote()

    @property
    def as_of(self) -> str:
        """The time of the price as the stream writes it."""
        return formats.time(self.fallback.as_of)

    @property
    def needs_confirmation(self) -> bool:
        """Return True if the typed price has to be confirmed, or is."""
        return self.change is not None and (self.change.has_error("price") or self.entry.cleaned_data["confirm"])

    @property
    def needs_approval(self) -> bool:
        """Return True if another person has to approve the typed price."""
        if self.limit is None or self.change is None or not self.change.is_valid():
            return False
        return self.change.excess(self.limit, self.user) is not None

    @property
    def errors(self) -> list[str]:
        """The errors of the typed price, in sentences."""
        wrong = [self.entry.errors, self.change.errors if self.change else {}]
        return [str(error) for each in wrong for name in each if name != "expires_at" for error in each[name]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A typed price in words."""

    row: Row
    sheet: "Sheet"
    price: Decimal
    expires_at: dt.datetime | None

    @property
    def units(self) -> str:
        """The price in all units."""
        return " = ".join(f"{written(converted(self.price, unit=unit))} {per}" for unit, per in _PER.items())

    @property
    def effect(self) -> str:
        """A sentence on what screens would show of it, and until when."""
        if self.row.is_saved:
            return "You have saved this already."
        if self.row.needs_approval:
            return f"Another person has to approve it. Then: {self._effect}"
        return self._effect

    @property
    def _effect(self) -> str:
        until = _until(self.expires_at, self.sheet.now)
        if self.row.is_falling_back:
            return f"{self._move}, on {self.sheet.screens} at once, {until}."
        now = f"screens keep {written(self.row.shown.price)}" if self.row.shown else "screens show none"
        after = span(settings.FALLBACK_AFTER.total_seconds())
        return f"In reserve: {now}. Once no source has answered for {after}: {self._move}; {until}."

    @property
    def _move(self) -> str:
        if not self.row.shown:
            return written(self.price)
        shown = self.row.shown.price
        return f"{written(shown)} → {written(self.price)}, {percent(self.price - shown, shown):+.1f} %"


class Sheet:
    """The fallback prices of all listed metals, in the base currency; with `data`, as `user` has filled them in.

    Read with `lock`, in a transaction, to save it.
    """

    def __init__(
        self, user: Any, now: dt.datetime, data: Mapping[str, Any] | None = None, *, lock: bool = False
    ) -> None:
        self.now = now
        self.form = _SheetForm(data)
        self._user = user
        limit = limit_of(user)
        falling_back = ingest.metals_falling_back(now=now)
        fallbacks = FallbackPrice.objects.filter(currency=settings.BASE_CURRENCY, metal__enabled=True)
        fallbacks = fallbacks.select_for_update(of=("self",)) if lock else fallbacks
        shown: dict[str, LatestPrice] = {}
        for latest in LatestPrice.shown():
            shown.setdefault(latest.metal_id, latest)
        live = LatestPrice.objects.filter(lane=PriceKind.LIVE, currency=settings.BASE_CURRENCY)
        last_live = {latest.metal_id: latest.quote() for latest in live}
        self.rows = [
            Row(
                fallback=fallback,
                shown=shown[fallback.metal_id].quote() if fallback.metal_id in shown else None,
                shown_since=shown[fallback.metal_id].published_at if fallback.metal_id in shown else None,
                live=last_live.get(fallback.metal_id),
                is_falling_back=Metal(fallback.metal_id) in falling_back,
                has_expired=fallback.expires_at is not None and fallback.expires_at <= now,
                version=FallbackPriceForm(instance=fallback).current_version(),
                user=user,
                limit=limit,
                entry=_EntryForm(data, prefix=fallback.metal_id),
            )
            for fallback in fallbacks.select_related("metal")
        ]
        if data is not None:
            self.form.is_valid()  # which makes `cleaned_data`
            for row in self.typed:
                self._change(row)

    @cached_property
    def screens(self) -> str:
        """The number of screens, as far as it is known; from Redis, so not to be read in a transaction."""
        clients = audience.count()
        return "all screens" if clients is None else f"{clients} screen{'s' * (clients != 1)}"

    @property
    def typed(self) -> list[Row]:
        """The rows of which a price is typed that can be read."""
        return [row for row in self.rows if row.is_typed]

    def is_valid(self) -> bool:
        """Return True if all that was typed can be saved. Else `form` and each row have the errors."""
        changes = [row.change for row in self.rows if row.change]
        if all(row.entry.is_valid() for row in self.rows) and not self.typed:
            self.form.add_error(None, "Write a new price of one metal or more.")
        for error in {str(error) for change in changes for error in change.errors.get("expires_at", [])}:
            self.form.add_error("until", error)
        return self.form.is_valid() and not any(row.errors for row in self.rows)

    def save(self, *, site: str) -> ProposedEdit | None:
        """Save the typed prices as one change; screens follow after the commit.

        Returns the proposal where another person has to approve them, and nothing is saved. `site` is as for
        `approvals.submit`.
        """
        changes = [row.change for row in self.typed if row.change]
        reason = self.form.cleaned_data["reason"]
        return submit(changes, by=self._user, reason=reason, site=site) if changes else None

    # --- one metal ---------------------------------------------------------------------------------------------------

    def _change(self, row: Row) -> None:
        """Make the change that is typed of a row, and the preview of it."""
        typed = row.entry.cleaned_data
        price = _per_gram(typed["price"], typed["unit"])
        wanted = {"price": price, "expires_at": self._expires_at(row), "note": self.form.cleaned_data.get("reason", "")}
        row.preview = Preview(row=row, sheet=self, price=price, expires_at=wanted["expires_at"])
        row.is_saved = typed["version"] != row.version and self._has_saved(row.fallback, wanted)
        if row.is_saved:
            return
        of_now = {"as_of": self.now, "confirm": typed["confirm"], "version": typed["version"]}
        row.change = FallbackPriceForm.with_changes(copy(row.fallback), wanted | of_now)  # a form writes into its row
        row.change.to_reopen = "Save again to replace that."
        row.hint = _other_unit(row.change, typed) if row.change.has_error("price") else ""

    def _expires_at(self, row: Row) -> dt.datetime | None:
        """The expiry of a price that is typed now: as typed, or else the end of the day where it is shown at once."""
        given = self.form.cleaned_data
        if given.get("until") or given.get("endless"):
            return given.get("until")
        return end_of_day(self.now) if row.is_falling_back else None

    def _has_saved(self, fallback: FallbackPrice, wanted: Mapping[str, Any]) -> bool:
        """Return True if the row's last change was this one by the same user, as when a page is sent twice."""
        newest = fallback.history.latest()
        return newest.history_user_id == self._user.pk and all(
            getattr(newest, name) == value for name, value in wanted.items()
        )


def end_of_day(now: dt.datetime) -> dt.datetime:
    """The next midnight in TIME_ZONE."""
    tomorrow = timezone.localdate(now) + dt.timedelta(days=1)
    return timezone.make_aware(dt.datetime.combine(tomorrow, dt.time()))


def _until(expires_at: dt.datetime | None, now: dt.datetime) -> str:
    if expires_at is None:
        return "without an end"
    return "until the end of today" if expires_at == end_of_day(now) else f"until {moment(expires_at, now)}"


def _per_gram(price: Decimal, unit: str) -> Decimal:
    """A price for a weight as one per gram; one that was typed per gram keeps all its decimals, to be refused."""
    return price if unit == "gram" else per_gram(price, Decimal(UNITS[unit].numerator))


def _other_unit(change: FallbackPriceForm, typed: Mapping[str, Any]) -> str:
    """Advice where a price would be right for another weight than it was typed for; empty if for none."""
    metal = {"metal": change.instance.metal}
    for unit, per in _PER.items():
        if unit != typed["unit"] and not change.violation_of(_per_gram(typed["price"], unit), metal):
            return f"As a price {per} it would be right: choose “{per}” if it is one."
    return ""
