"""Changes by staff: what is saved in one block is one change, and is undone in one step (prices/staff/undo.py)."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.models import User
from django.db import transaction

from prices.audit import StaffChange, open_change, user_of_request


@contextmanager
def one_change(*, reason: str = "", by: User | None = None) -> Iterator[StaffChange]:
    """Make one change, in one transaction, of all versions that are saved in the block.

    A block within another belongs to the other's change, whose reason it gives where that has none. `by` is the
    request's user by default. A change in which nothing was saved is not kept.
    """
    outer = open_change.get()
    if outer is not None:
        if reason and not outer.reason:
            outer.reason = reason
            outer.save(update_fields=["reason"])
        yield outer
        return
    with transaction.atomic():
        change = StaffChange.objects.create(by=by or user_of_request(), reason=reason)
        token = open_change.set(change)
        try:
            yield change
        finally:
            open_change.reset(token)
        if not change.is_used:
            change.delete()
