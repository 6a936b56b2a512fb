"""Two people for large edits of prices: an edit beyond its editor's limit waits until another person approves it.

APPROVAL_ABOVE_PERCENT switches this on, and roles may have limits of their own. `submit` is the way of every edit of
prices, in the admin and by REST: it saves it, or proposes it. An approved edit is saved by its forms, under the rules
of that moment, as its editor's (prices/staff/decisions.py).
"""

import datetime as dt
import json
import logging
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import AnonymousUser, User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from prices.models import ApprovalLimit, ProposedEdit
from prices.staff import notices
from prices.staff.changes import one_change
from prices.staff.forms import AuditedForm, FallbackPriceForm, allowed
from prices.staff.permissions import may
from prices.staff.premiums import PremiumForm

logger = logging.getLogger(__name__)

# The forms whose edits may wait, by the names under which proposals keep them.
FORMS: Final[dict[str, type[AuditedForm]]] = {"fallback": FallbackPriceForm, "premium": PremiumForm}
# For so long each page tells all staff of an emergency.
_TOLD_FOR: Final = dt.timedelta(days=1)
_MODEL_BACKEND: Final = "django.contrib.auth.backends.ModelBackend"  # it alone knows who has a permission


# --- limits ----------------------------------------------------------------------------------------------------------


def limit_of(user: User) -> Decimal | None:
    """The percent by which a user may move a price alone; None where nobody's edit waits."""
    default: Decimal | None = settings.APPROVAL_ABOVE_PERCENT
    if default is None:
        return None
    of_roles = ApprovalLimit.objects.filter(role__user=user).aggregate(largest=Max("percent"))["largest"]
    limit: Decimal = default if of_roles is None else of_roles
    return limit.normalize()


def may_override(user: User | AnonymousUser) -> bool:
    """Return True for staff who may save an edit without approval, in an emergency."""
    return user.is_active and user.is_staff and user.has_perm("prices.override_proposededit")


def approvers(*, but: User) -> "QuerySet[User]":
    """The other users who may approve this user's edits."""
    permission = f"prices.{get_permission_codename('change', ProposedEdit._meta)}"
    able = User.objects.with_perm(permission, backend=_MODEL_BACKEND)
    return able.filter(is_staff=True).exclude(pk=but.pk)


def waiting_for(user: User | AnonymousUser, now: dt.datetime) -> "QuerySet[ProposedEdit]":
    """The edits of others that a user may decide on now, the newest first."""
    if settings.APPROVAL_ABOVE_PERCENT is None or not may(user, "change", ProposedEdit):
        return ProposedEdit.objects.none()
    return ProposedEdit.waiting(now).exclude(proposed_by=user.pk).select_related("proposed_by")


def emergencies(now: dt.datetime) -> "QuerySet[ProposedEdit]":
    """The edits of the last day that were saved without approval, of which all staff are told."""
    if settings.APPROVAL_ABOVE_PERCENT is None:
        return ProposedEdit.objects.none()
    of_late = ProposedEdit.objects.filter(decided_at__gt=now - _TOLD_FOR, decision=ProposedEdit.Decision.OVERRIDDEN)
    return of_late.select_related("decided_by")


def excess_detail(beyond: Sequence[str], by: User, limit: Decimal) -> str:
    """The reason why a user may not make these moves alone, in sentences."""
    return f"{'; '.join(beyond)}. {by} may move a price by {limit:f} % alone."


# --- edits -----------------------------------------------------------------------------------------------------------


def submit(edits: Sequence[AuditedForm], *, by: User, reason: str = "", site: str = "") -> ProposedEdit | None:
    """Save valid edits, which belong together; or propose all of them, where one is beyond its editor's limit.

    Returns the proposal; None where they are saved. Must be called in a transaction. `site` is this deployment's
    address, such as `https://prices.example`, for e-mails.
    """
    limit = limit_of(by)
    if limit is not None and (beyond := [found for edit in edits if (found := edit.excess(limit, by))]):
        summary = "; ".join(edit.summary() for edit in edits)
        reason = reason or next(filter(None, (edit.cleaned_data.get("reason", "") for edit in edits)), "")
        detail = excess_detail(beyond, by, limit)
        return propose([*map(_written, edits)], summary=summary, detail=detail, by=by, reason=reason, site=site)
    with one_change(reason=reason, by=by), allowed():
        for edit in edits:
            edit.save()
    return None


def propose(
    edits: Sequence[dict[str, Any]], *, summary: str, detail: str, by: User, reason: str, site: str
) -> ProposedEdit:
    """Keep edits until another person decides, and tell those who may; `detail` is why their editor may not alone.

    Must be called in a transaction. The same edits of the same person wait once.
    """
    assert transaction.get_connection().in_atomic_block
    now = timezone.now()
    written = json.loads(json.dumps(edits, cls=DjangoJSONEncoder))
    for waiting in ProposedEdit.waiting(now).filter(proposed_by=by):
        if _without_times(waiting.edits) == _without_times(written):
            return waiting  # the form was sent twice
    proposal = ProposedEdit.objects.create(
        edits=written,
        summary=summary,
        detail=detail,
        reason=reason,
        proposed_by=by,
        proposed_at=now,
        expires_at=now + settings.APPROVAL_EXPIRES_AFTER,
    )
    log(by, ADDITION, proposal, "Proposed.")
    logger.info("%s proposes an edit, which waits for approval: %s", by, proposal.summary)
    transaction.on_commit(partial(notices.proposed, proposal, approvers(but=by), site))
    return proposal


def _written(edit: AuditedForm) -> dict[str, Any]:
    """A filled-in form, as a proposal keeps it: of a row that exists, only what is changed."""
    values = edit.entered()
    return {
        "form": next(name for name, form in FORMS.items() if isinstance(edit, form)),
        "row": None if edit.instance._state.adding else edit.instance.pk,
        "version": edit.current_version(),
        "changes": {name: value.pk if isinstance(value, models.Model) else value for name, value in values.items()},
    }


def _without_times(edits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Edits without the time of a price, which a page sets to that of its Save."""
    return [
        {**edit, "changes": {name: value for name, value in edit.get("changes", {}).items() if name != "as_of"}}
        for edit in edits
    ]


def log(user: User, action: int, row: Any, message: str) -> None:
    """Write the admin's log."""
    LogEntry.objects.log_actions(user.pk, [row], action, message, single_object=True)
