"""The feed of changes: by whom, when and why, as a member of staff may see it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils import timezone

from infra.readable import moment
from prices.audit import StaffChange
from prices.staff.permissions import may
from prices.staff.row_changes import RowChange, name_of, row_changes
from prices.staff.undo import UndoError, expect_undoable


@dataclass(frozen=True, slots=True)
class Entry:
    """A change as one member of staff sees it: the rows of models that they may view.

    `obstacle` tells why it cannot be undone; it is empty where `can_undo`, and where this is for others to do.
    """

    change: StaffChange
    parts: Sequence[RowChange]
    can_undo: bool
    obstacle: str

    @property
    def when(self) -> str:
        return moment(self.change.at, timezone.now())

    @property
    def by(self) -> str:
        return name_of(self.change.by)

    @property
    def undoes(self) -> str:
        """The author and the time of the change that it undoes; empty if none."""
        undone = self.change.undoes
        return f"{name_of(undone.by)}, {moment(undone.at, timezone.now())}" if undone else ""


def entries(changes: Collection[StaffChange], user: User) -> list[Entry]:
    """These changes as a user may see them, in their order."""
    parts = row_changes(changes)
    return [_entry(change, parts[change.pk], user) for change in changes]


def _entry(change: StaffChange, parts: Sequence[RowChange], user: User) -> Entry:
    shown = [part for part in parts if may(user, "view", part.model)]
    obstacle, can_undo = "", all(part.can_be_undone_by(user) for part in parts)
    try:
        expect_undoable(change, parts, user)
    except UndoError as error:
        obstacle, can_undo = str(error) if len(shown) == len(parts) else "", False
    return Entry(change, shown, can_undo, obstacle)
