"""Edits that wait for approval, and emergencies of the last day, for the admin's pages."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django import template
from django.utils import timezone

from prices.models import ProposedEdit
from prices.staff.approvals import emergencies, waiting_for

register = template.Library()


class Approvals(NamedTuple):
    """The number of others' edits that a user may decide on, and the emergencies that all staff are told of."""

    waiting: int
    emergencies: Sequence[ProposedEdit]


@register.simple_tag
def approvals(user: Any) -> Approvals:
    """The approvals that each page tells a user of; without a query where no edit ever waits."""
    if not (user and user.is_active and user.is_staff):
        return Approvals(0, [])
    now = timezone.now()
    return Approvals(waiting_for(user, now).count(), list(emergencies(now)))
