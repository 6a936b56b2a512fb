"""Undo of a change: its rows go back to what they were, in one step, by the rules and with the audit of any edit.

A change is undone only while nobody has changed the same since.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import groupby

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from infra.readable import moment
from prices.audit import StaffChange
from prices.models import HeldPrice, Premium, ProposedEdit
from prices.staff import quarantine
from prices.staff.approvals import excess_detail, limit_of, propose
from prices.staff.changes import one_change
from prices.staff.forms import AuditedForm, allowed, is_allowed
from prices.staff.premiums import excess_without
from prices.staff.row_changes import AUDITED, RowChange, name_of, row_changes


class UndoError(Exception):
    """A change cannot be undone; the message tells staff why, and what to do instead."""


class RulesError(UndoError):
    """The values before a change break a rule that staff may confirm them against: `details`, a line for each row."""

    def __init__(self, details: Sequence[str]) -> None:
        super().__init__(" ".join(details))
        self.details = details


def undo(
    change: StaffChange, by: User, *, reason: str = "", confirmed: bool = False, site: str = ""
) -> StaffChange | ProposedEdit:
    """Undo a change, and return the change that this is; or propose it, where it is beyond its editor's limit.

    `confirmed`: staff have checked values that their form requires a confirmation for. Raises UndoError, and then
    nothing has changed. `site` is as for `approvals.submit`.
    """
    expect_undoable(change, row_changes([change])[change.pk], by)  # before anything is written or locked
    with one_change(reason=reason, by=by) as undoing:
        change = StaffChange.objects.select_for_update().get(pk=change.pk)
        parts = _locked(change)
        expect_undoable(change, parts, by)
        forms = [_form(part, confirmed=confirmed) for part in parts]
        _expect_valid(parts, forms, confirmed=confirmed)
        if detail := _excess(parts, forms, by):
            summary = f"undo: {'; '.join(f'{part.row}: {part.undone()}' for part in parts)}"
            edit = {"undoes": change.pk, "confirmed": confirmed}
            return propose([edit], summary=summary, detail=detail, by=by, reason=reason, site=site)
        message = f"Undone: the change that {name_of(change.by)} made at {moment(change.at, timezone.now())}."
        with allowed():
            for part, form in zip(parts, forms, strict=True):
                _take_back(part, form, by, message)
        undoing.undoes = change
        undoing.save(update_fields=["undoes"])
    return undoing


def expect_undoable(change: StaffChange, parts: Sequence[RowChange], by: User) -> None:
    """Raise UndoError if a change was undone already, cannot be undone, or not by this user."""
    undoing: StaffChange | None = getattr(change, "undone_by", None)
    if undoing is not None:
        raise UndoError(f"{name_of(undoing.by)} has undone this already, at {moment(undoing.at, timezone.now())}.")
    for part in parts:
        if obstacle := part.obstacle():
            raise UndoError(f"{part.row} stays as it is: {obstacle}.")
        if not part.can_be_undone_by(by):
            raise UndoError(f"{part.row} stays as it is: you do not have the permission to change it.")


def _excess(parts: Sequence[RowChange], forms: Sequence[AuditedForm | None], by: User) -> str:
    """The reason why this user may not undo a change alone; empty if they may, or another person has approved it."""
    limit = None if is_allowed() else limit_of(by)
    if limit is None:
        return ""
    beyond = [form.excess(limit, by) for form in forms if form]
    gone = [part.current for part in parts if part.model is Premium and part.is_added]
    for _, of_metal in groupby(sorted(gone, key=_metal_of), key=_metal_of):
        beyond.append(excess_without(list(of_metal), timezone.now(), limit, by))
    return excess_detail(said, by, limit) if (said := [*filter(None, beyond)]) else ""


def _metal_of(premium: Premium) -> str:
    return premium.metal_id


def _locked(change: StaffChange) -> list[RowChange]:
    """The parts of a change, with their rows locked until the transaction ends."""
    parts = row_changes([change])[change.pk]
    for model in AUDITED:
        # A decision locks the stream before its row; in the other order, two could wait for each other.
        if model is not HeldPrice and (keys := [part.key for part in parts if part.model is model]):
            list(model._default_manager.select_for_update().filter(pk__in=keys).order_by("pk"))
    return row_changes([change])[change.pk]


def _form(part: RowChange, *, confirmed: bool) -> AuditedForm | None:
    """The form, filled in, that takes a row back; None where none does."""
    form_class = part.audited.form
    if form_class is None or part.is_added:
        return None
    then = part.last if part.is_deleted else part.before
    fields = part.fields if part.audited.has_separate_fields else part.all_fields
    values = {field.name: getattr(then, field.attname) for field in fields}
    row = part.model(pk=part.key) if part.is_deleted else copy(part.current)  # a form writes into its row
    form = form_class.with_changes(row, values | {"confirm": confirmed})
    form.restored = then
    form.to_confirm = "tick “I checked it” and undo again"
    return form


def _expect_valid(parts: Sequence[RowChange], forms: Sequence[AuditedForm | None], *, confirmed: bool) -> None:
    """Raise RulesError if a form is not valid and would be if staff confirmed it, UndoError if it would not be."""
    broken = _broken(parts, forms)
    if broken and not confirmed and not _broken(parts, [_form(part, confirmed=True) for part in parts]):
        raise RulesError(broken)
    if broken:
        raise UndoError(f"Nothing was undone. {' '.join(broken)} Enter other values instead.")


def _broken(parts: Sequence[RowChange], forms: Sequence[AuditedForm | None]) -> list[str]:
    """The broken rules, a line for each row."""
    rows = [(part.row, form) for part, form in zip(parts, forms, strict=True) if form and not form.is_valid()]
    return [f"{row}: {' '.join(_errors(form))}" for row, form in rows]


def _errors(form: AuditedForm) -> Iterator[str]:
    """The errors of a form, each once."""
    yield from dict.fromkeys(str(error) for errors in form.errors.values() for error in errors)


def _take_back(part: RowChange, form: AuditedForm | None, by: User, message: str) -> None:
    """Take a row back, by a valid form where there is one, and log it as the admin does. Raises UndoError."""
    row, flag = part.current, CHANGE
    if form is not None:
        row, flag = form.save(), ADDITION if part.is_deleted else CHANGE
    elif part.is_added and part.audited.form is not None:
        flag = DELETION
        transaction.on_commit(part.audited.form(instance=row).show)
    else:
        _take_back_decision(part, by)
    LogEntry.objects.log_actions(by.pk, [row], flag, message, single_object=True)
    if flag == DELETION:
        row.delete()


def _take_back_decision(part: RowChange, by: User) -> None:
    """Let a rejected price wait again, or reject one that an undo let wait. Raises UndoError."""
    try:
        if part.last.decision == HeldPrice.Decision.REJECTED:
            quarantine.reopen(part.key, by=by)
        else:
            quarantine.decide(part.key, approve=False, by=by)
    except ValueError as error:
        raise UndoError(f"{part.row} stays as it is: {error}.") from error
