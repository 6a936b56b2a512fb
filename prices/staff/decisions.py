"""Decisions on edits that wait for approval: by another person, by their editor, or in an emergency.

Each raises DecisionError where it is not taken: by whoever may not, or since the edit no longer waits. An approval or
an override of an edit that can no longer be saved is taken, and makes it `refused`, with the reason as its outcome.
"""

import logging
from functools import partial
from typing import Any, Final

from django.contrib.admin.models import ADDITION, CHANGE
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import AnonymousUser, User
from django.db import models, transaction
from django.utils import timezone

from prices.audit import StaffChange
from prices.models import ProposedEdit
from prices.staff import notices
from prices.staff.approvals import FORMS, log, may_override
from prices.staff.changes import one_change
from prices.staff.forms import allowed
from prices.staff.permissions import may
from prices.staff.undo import UndoError, undo

logger = logging.getLogger(__name__)

_LONGEST_REASON: Final = 200  # characters of a change's
Decision = ProposedEdit.Decision


class DecisionError(Exception):
    """A decision that was not taken; its text says why, for people."""


class _RefusedError(Exception):
    """An edit that can no longer be saved; its text says why."""


def approve(number: int, *, by: User, reason: str = "", site: str = "") -> ProposedEdit:
    """Save a proposed edit, as another person decided who may approve edits."""
    with transaction.atomic():
        proposal = _locked(number)
        if proposal.proposed_by_id == by.pk:
            raise DecisionError("it is your own edit: another person has to approve it")
        _expect_approver(by)
        _save_proposed(proposal, Decision.APPROVED, f"approved by {by}", by=by, outcome=reason)
        transaction.on_commit(partial(notices.decided, proposal, site))
    return proposal


def reject(number: int, *, by: User, reason: str = "", site: str = "") -> ProposedEdit:
    """Reject a proposed edit of another person."""
    with transaction.atomic():
        proposal = _locked(number)
        if proposal.proposed_by_id == by.pk:
            raise DecisionError("it is your own edit: withdraw it")
        _expect_approver(by)
        _decide(proposal, Decision.REJECTED, by=by, outcome=reason)
        transaction.on_commit(partial(notices.decided, proposal, site))
    return proposal


def withdraw(number: int, *, by: User, reason: str = "", site: str = "") -> ProposedEdit:
    """Take back one's own proposed edit."""
    with transaction.atomic():
        proposal = _locked(number)
        if proposal.proposed_by_id != by.pk:
            raise DecisionError("it is another person's edit")
        _decide(proposal, Decision.WITHDRAWN, by=by, outcome=reason)
    return proposal


def override(number: int, *, by: User, reason: str = "", site: str = "") -> ProposedEdit:
    """Save a proposed edit without approval, in an emergency; everybody is told so, with the reason."""
    if not reason:
        raise DecisionError("say in a few words what the emergency is: everybody is told")
    with transaction.atomic():
        proposal = _locked(number)
        if not may_override(_as_of_now(by)):
            raise DecisionError("you may not save an edit without approval")
        note = f"emergency, without approval, by {by}: {reason}"
        _save_proposed(proposal, Decision.OVERRIDDEN, note, by=by, outcome=reason)
        if proposal.decision == Decision.OVERRIDDEN:
            logger.warning("%s saved an edit without approval, in an emergency: %s (%r)", by, proposal.summary, reason)
            transaction.on_commit(partial(notices.overridden, proposal, site))
    return proposal


def _locked(number: int) -> ProposedEdit:
    """A proposal that waits, locked: of two decisions at once the second finds it decided."""
    proposal = ProposedEdit.objects.select_for_update(of=("self",)).filter(pk=number).first()
    if proposal is None:
        raise DecisionError("there is no such edit")
    now = timezone.now()
    if not proposal.is_waiting(now):
        raise DecisionError(f"it is {proposal.decided_words(now)} already")
    return proposal


def _as_of_now(user: User) -> User | AnonymousUser:
    """A user with the permissions of this moment: a role may have been taken away since the request began."""
    return User.objects.filter(pk=user.pk).first() or AnonymousUser()


def _expect_approver(user: User) -> None:
    if not may(_as_of_now(user), "change", ProposedEdit):
        raise DecisionError("you may not approve edits: get that permission from an administrator")


def _save_proposed(proposal: ProposedEdit, decision: Decision, note: str, *, by: User, outcome: str) -> None:
    """Save all edits of a proposal as one change of its editor's, whose reason says how it was approved; or none."""
    reason = f"{proposal.reason} ({note})" if proposal.reason else note
    try:
        editor = _editor_of(proposal)
        with one_change(reason=reason[:_LONGEST_REASON], by=editor) as change, allowed():
            for each in proposal.edits:
                _save_edit(each, editor, note)
    except _RefusedError as error:
        _decide(proposal, Decision.REFUSED, by=by, outcome=str(error))
    else:
        _decide(proposal, decision, by=by, outcome=outcome, change=change if change.is_used else None)


def _editor_of(proposal: ProposedEdit) -> User:
    """The editor, who is still one of the staff. Raises _RefusedError."""
    editor = proposal.proposed_by
    if editor is None or not (editor.is_active and editor.is_staff):
        raise _RefusedError(f"{editor or 'its editor'} is no longer a member of staff")
    return editor


def _save_edit(written: dict[str, Any], editor: User, note: str) -> None:
    """Save one edit as its editor's. Raises _RefusedError."""
    if "undoes" in written:
        try:
            undo(StaffChange.objects.get(pk=written["undoes"]), editor, confirmed=written["confirmed"])
        except UndoError as error:
            raise _RefusedError(str(error)) from error
        return
    form = FORMS[written["form"]]
    model: type[models.Model] = form._meta.model
    action = "add" if written["row"] is None else "change"
    needed = f"prices.{get_permission_codename(action, model._meta)}"
    if not editor.has_perm(needed):
        raise _RefusedError(f"{editor} may no longer {action} a {model._meta.verbose_name}")
    row: Any = model()
    if written["row"] is not None:
        row = model._default_manager.select_for_update(of=("self",)).filter(pk=written["row"]).first()
        if row is None:
            raise _RefusedError("the row has been deleted since")
    edit = form.with_changes(row, written["changes"])
    if edit.current_version() != written["version"]:
        raise _RefusedError(f"somebody has saved this since it was proposed; it is now: {row}")
    if not edit.is_valid():
        raise _RefusedError(" ".join(str(message) for messages in edit.errors.values() for message in messages))
    if futility := edit.futility():
        raise _RefusedError(futility)
    log(editor, ADDITION if written["row"] is None else CHANGE, edit.save(), f"{edit.summary()}: {note}")


def _decide(
    proposal: ProposedEdit, decision: Decision, *, by: User, outcome: str, change: StaffChange | None = None
) -> None:
    proposal.decide(decision, by=by, at=timezone.now(), outcome=outcome, change=change)
    log(by, CHANGE, proposal, f"{decision.label}.")
    logger.info("%s: the edit of %s, by %s: %s", decision.value, proposal.proposed_by, by, proposal.summary)
