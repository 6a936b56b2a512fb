"""Staff's decisions on quarantined prices, as changes that the audit keeps."""

from django.contrib.auth.models import User
from django.utils import timezone

from prices.publishing import ingest
from prices.staff.changes import one_change


def decide(quarantined_id: int, *, approve: bool, by: User) -> None:
    """Approve and publish a quarantined price, or reject it. Raises as `ingest.decide` does."""
    with one_change(by=by):
        ingest.decide(quarantined_id, approve=approve, by=by.get_username(), now=timezone.now())


def reopen(quarantined_id: int, *, by: User) -> None:
    """Let a rejected price wait for a decision again. Raises as `ingest.reopen` does."""
    with one_change(by=by):
        ingest.reopen(quarantined_id, now=timezone.now())
