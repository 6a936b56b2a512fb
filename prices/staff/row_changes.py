"""The parts that rows have in changes, as staff read them, and what keeps a row from going back to what it was."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from django.contrib.auth.models import Group, User
from django.db.models import Exists, Field, Max, Model, OuterRef, Q, QuerySet
from django.utils import timezone

from infra import formats
from infra.readable import moment
from prices import schedule
from prices.audit import StaffChange
from prices.models import (
    ApprovalLimit,
    Configuration,
    FallbackPrice,
    HeldPrice,
    ListedMetal,
    Premium,
    ProviderState,
    SanityBand,
)
from prices.staff.forms import (
    ApprovalLimitForm,
    AuditedForm,
    ConfigurationForm,
    FallbackPriceForm,
    ListedMetalForm,
    ProviderStateForm,
    SanityBandForm,
)
from prices.staff.permissions import may
from prices.staff.premiums import PremiumForm


@dataclass(frozen=True, slots=True)
class Audited:
    """A model that staff change: how its rows are called, and the form by whose rules they are edited.

    `stays` tells why a row that was added stays; empty: it can be deleted. `final_because` tells why no change of a row
    can be undone; empty: each can.
    """

    called: Callable[[Any], str]
    form: type[AuditedForm] | None
    stays: str = "it came with the installation"
    final_because: str = ""

    @property
    def has_separate_fields(self) -> bool:
        return self.form is not None and self.form.has_separate_fields


# Apps above this one add theirs.
AUDITED: Final[dict[type[Model], Audited]] = {
    FallbackPrice: Audited(
        lambda row: f"Fallback price of {row.metal_id} in {row.currency}",
        FallbackPriceForm,
        stays="a screen would have nothing to fall back on. Change the price instead",
    ),
    Premium: Audited(lambda row: f"Premium of {row.metal_id}", PremiumForm, stays=""),
    SanityBand: Audited(lambda row: f"Sanity band of {row.metal_id} in {row.currency}", SanityBandForm, stays=""),
    Configuration: Audited(lambda row: "Configuration", ConfigurationForm),
    ApprovalLimit: Audited(lambda row: f"Approval limit of {_role(row)}", ApprovalLimitForm, stays=""),
    ListedMetal: Audited(lambda row: f"Metal {row.name}", ListedMetalForm),
    ProviderState: Audited(lambda row: f"Source {row.name}", ProviderStateForm),
    HeldPrice: Audited(
        lambda row: f"Quarantined {row.metal_id} {_amount(row.price)} {row.currency} from {row.source}", None
    ),
}

# Fields that tell a row from others, and so are part of how it is called.
_NAMES: Final = {"metal", "currency", "name", "role"}
_OF_A_DECISION: Final = {
    HeldPrice.Decision.APPROVED: "it has been on screens, and the next prices are judged by it. Approve the next one "
    "that waits, or wait for one from a source",
    HeldPrice.Decision.SUPERSEDED: "another price of the metal was approved in its place",
}


def name_of(user: User | None) -> str:
    """A user's name, for staff."""
    return user.get_full_name() or user.get_username() if user else "nobody logged in"


@dataclass(frozen=True, slots=True)
class RowChange:
    """The part of a change that one row has.

    `first` and `last` are its versions in the change, mostly the same one; `before` is the one before them, `since` are
    those after them, and `current` is the row as it is now. Those may be missing.
    """

    model: type[Model]
    first: Any
    last: Any
    before: Any
    since: Sequence[Any]
    current: Any

    @property
    def audited(self) -> Audited:
        return AUDITED[self.model]

    @property
    def row(self) -> str:
        """The name of the row, for people."""
        return self.audited.called(self.last)

    @property
    def is_added(self) -> bool:
        return bool(self.first.history_type == "+")

    @property
    def is_deleted(self) -> bool:
        return bool(self.last.history_type == "-")

    @property
    def key(self) -> Any:
        """The primary key of the row."""
        return getattr(self.last, _key(self.model))

    @property
    def fields(self) -> list[Field]:
        """The fields that the change gave other values."""
        if self.before is None:
            return []
        return [field for field in self.all_fields if _differ(self.before, self.last, [field])]

    @property
    def all_fields(self) -> list[Field]:
        return [field for field in self.last.tracked_fields if not field.primary_key]

    # --- for staff ---------------------------------------------------------------------------------------------------

    def done(self) -> str:
        """The change of the row, for staff."""
        if self.is_deleted:
            return f"deleted: {self._values(self.last)}"
        if self.is_added:
            return f"added: {self._values(self.last)}"
        return self._differences(self.before, self.last) or "saved as it was"

    def undone(self) -> str:
        """The effect of an undo on the row, for staff."""
        if self.is_deleted:
            return f"added again: {self._values(self.last)}"
        if self.is_added:
            return "deleted"
        return self._differences(self.last, self.before)

    def _values(self, version: Any) -> str:
        with_value = [field for field in self.all_fields if getattr(version, field.attname) not in (None, "", False)]
        shown = [field for field in with_value if field.name not in _NAMES]
        return "; ".join(f"{field.verbose_name} {_shown(field, version)}" for field in shown)

    def _differences(self, old: Any, new: Any) -> str:
        return "; ".join(f"{field.verbose_name} {_shown(field, old)} → {_shown(field, new)}" for field in self.fields)

    # --- whether it can be undone ------------------------------------------------------------------------------------

    def can_be_undone_by(self, user: User) -> bool:
        """Return True for staff with the permission for what an undo does."""
        action = "delete" if self.is_added else "add" if self.is_deleted else "change"
        permission = f"{self.model._meta.app_label}.{action}_{self.model._meta.model_name}"
        return user.is_active and user.is_staff and user.has_perm(permission)

    def obstacle(self) -> str:
        """The reason why the row cannot go back, for staff; empty if it can."""
        if self.audited.final_because:
            return self.audited.final_because
        if self.is_added and self.audited.stays:
            return self.audited.stays
        if self.model is HeldPrice and self.last.decision in _OF_A_DECISION:
            return _OF_A_DECISION[self.last.decision]
        if not (self.is_added or self.is_deleted or self.fields):
            return "nothing was changed"
        if version := self._changed_since():
            if version.change is None:
                return "it was changed since, and not by staff"
            when = moment(version.change.at, timezone.now())
            return f"{name_of(version.change.by)} changed it since, at {when}. Undo that first"
        return self._drift()

    def _changed_since(self) -> Any:
        """The newest of the later versions in which the same was changed, and whose change was not undone."""
        cancelled: set[int] = set()
        for version in reversed(self.since):  # newest first, as an undo may have been undone itself
            change = version.change
            if change and change.undoes_id and change.pk not in cancelled:
                cancelled |= {change.pk, change.undoes_id}
        for previous, version in reversed(list(pairwise([self.last, *self.since]))):
            is_same = not self.audited.has_separate_fields or _differ(previous, version, self.fields)
            if is_same and version.change_id not in cancelled:
                return version
        return None

    def _drift(self) -> str:
        """A later change of the row that left no version, for staff; empty if it is as its last version has it."""
        if self.is_deleted:
            return ""
        if self.current is None:
            return "it is no longer there"
        fields = self.fields if self.audited.has_separate_fields else self.all_fields
        if _differ(self.current, self.last, fields):
            if self.model is HeldPrice:
                decision = self.current.get_decision_display().lower()
                return f"it was {decision} by {self.current.decided_by} since"
            return "it was changed since, and not by staff"
        if "update_interval_ms" in {field.name for field in self.fields}:
            if self.before.update_interval_ms is None:
                return "its interval before is not known"
            if self.last.update_interval_ms != formats.milliseconds(schedule.interval()):
                return "the schedule has another interval since"
        return ""


def visible_to(user: User) -> QuerySet[StaffChange]:
    """The changes of rows that a user may view, newest first."""
    rows = Q(pk__in=[])
    for model in AUDITED:
        if may(user, "view", model):
            rows |= Q(Exists(_versions(model).filter(change=OuterRef("pk"))))
    return StaffChange.objects.filter(rows).select_related("by", "undoes__by", "undone_by__by")


def row_changes(changes: Collection[StaffChange]) -> dict[int, list[RowChange]]:
    """The parts of each change, by its key. It takes a few queries for each model, however many changes there are."""
    found: dict[int, list[RowChange]] = defaultdict(list)
    for model in AUDITED:
        key = _key(model)
        mine = list(_versions(model).filter(change__in=changes).order_by("history_id"))
        if not mine:
            continue
        keys = {getattr(version, key) for version in mine}
        chains = _chains(model, keys, oldest=mine[0].history_id)
        current = model._default_manager.in_bulk(keys)
        in_change: dict[tuple[int, Any], list[Any]] = defaultdict(list)
        for version in mine:
            in_change[version.change_id, getattr(version, key)].append(version)
        for (change, row), versions in in_change.items():
            first, last, chain = versions[0], versions[-1], chains[row]
            before = [version for version in chain if version.history_id < first.history_id]
            since = [version for version in chain if version.history_id > last.history_id]
            found[change].append(RowChange(model, first, last, before[-1] if before else None, since, current.get(row)))
    return found


def _chains(model: type[Model], keys: Collection[Any], *, oldest: int) -> dict[Any, list[Any]]:
    """The versions of each row from the last one before `oldest` on, oldest first."""
    key = _key(model)
    versions = _versions(model).filter(**{f"{key}__in": keys})
    before = versions.filter(history_id__lt=oldest).order_by().values(key).annotate(newest=Max("history_id"))
    wanted = Q(history_id__gte=oldest) | Q(history_id__in=[found["newest"] for found in before])
    chains: dict[Any, list[Any]] = defaultdict(list)
    for version in versions.filter(wanted).select_related("change__by").order_by("history_id"):
        chains[getattr(version, key)].append(version)
    return chains


def _versions(model: type[Model]) -> QuerySet[Any]:
    versions: QuerySet[Any] = model.history.all()  # type: ignore[attr-defined]  # a StaffHistory
    return versions


def _key(model: type[Model]) -> str:
    return str(model._meta.pk.attname)


def _differ(one: Any, other: Any, fields: Collection[Field]) -> bool:
    return any(getattr(one, field.attname) != getattr(other, field.attname) for field in fields)


def _shown(field: Field, row: Any) -> str:
    """A value of a row, for staff."""
    value = getattr(row, field.attname)
    if value is None or value == "":
        return "empty"
    if field.flatchoices:
        return str(dict(field.flatchoices)[value]).lower()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return _amount(value)
    if isinstance(value, dt.datetime):
        return moment(value, timezone.now())
    return str(value)


def _role(limit: Any) -> str:
    """The role of a limit, which may have been deleted since."""
    role = Group.objects.filter(pk=limit.role_id).first()
    return str(role) if role else "a deleted role"


def _amount(amount: Decimal) -> str:
    return f"{formats.number(amount):,f}"
