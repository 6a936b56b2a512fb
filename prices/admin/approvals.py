"""Edits that wait for another person's approval, and the limits beyond which they do."""

from typing import Any, Final, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Case, QuerySet, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from infra.readable import moment
from prices.admin.pages import ONE_MEANING, AuditedAdmin, ReadOnlyAdmin, ReasonActionForm, site_of
from prices.models import ApprovalLimit, ListedMetal, ProposedEdit
from prices.staff import decisions
from prices.staff.approvals import may_override
from prices.staff.decisions import DecisionError
from prices.staff.forms import ApprovalLimitForm
from prices.staff.permissions import may
from prices.staff.premiums import shown_quote

Decision = ProposedEdit.Decision
# Buttons of an edit's page, by their names.
_DECISIONS: Final = {
    "_approve": decisions.approve,
    "_reject": decisions.reject,
    "_withdraw": decisions.withdraw,
    "_override": decisions.override,
}


@admin.register(ApprovalLimit)
class ApprovalLimitAdmin(AuditedAdmin):
    """Limits of roles. Where none is set, APPROVAL_ABOVE_PERCENT counts, which also switches approval on."""

    form = ApprovalLimitForm
    formfield_overrides = ONE_MEANING
    fields = ["role", "percent", "version"]
    list_display = ["role", "percent"]
    list_select_related = ["role"]
    sortable_by = ()
    history_list_display = ["percent"]


@admin.register(ProposedEdit)
class ProposedEditAdmin(ReadOnlyAdmin):
    """Edits that wait come first. Each has a page, with what it changes and why it waits, where it is decided."""

    list_display = ["summary", "detail", "reason", "proposed", "state"]
    list_select_related = ["proposed_by", "decided_by"]
    list_per_page = 50
    sortable_by = ()
    ordering = [Case(When(decision=Decision.PENDING, then=0), default=1), "-pk"]
    actions = ["approve", "reject"]

    class Media:
        css = {"all": ["prices/cards.css"]}

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Return True for staff with the permission to change proposed edits; a decision is the only change."""
        return may(request.user, "change", ProposedEdit)

    @admin.display(description="proposed")
    def proposed(self, proposal: ProposedEdit) -> str:
        return f"by {proposal.proposed_by or 'nobody'} at {moment(proposal.proposed_at, timezone.now())}"

    @admin.display(description="decision")
    def state(self, proposal: ProposedEdit) -> str:
        now = timezone.now()
        if proposal.is_waiting(now):
            return f"waits until {moment(proposal.expires_at, now)}"
        return f"{proposal.decided_words(now)}{': ' if proposal.outcome else ''}{proposal.outcome}"

    @admin.action(description="Approve: save it now", permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[ProposedEdit]) -> None:
        for proposal in queryset.order_by("pk"):
            self._decide(request, proposal, "_approve")

    @admin.action(description="Reject: keep what is shown", permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[ProposedEdit]) -> None:
        for proposal in queryset.order_by("pk"):
            self._decide(request, proposal, "_reject")

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show an edit with the buttons that this user may press, or take one of them."""
        proposal = self.get_object(request, unquote(object_id)) if object_id else None
        if object_id is None or not self.has_view_permission(request, proposal):
            raise PermissionDenied
        if proposal is None:
            raise Http404
        if request.method == "POST":
            pressed = next((button for button in _DECISIONS if button in request.POST), None)
            if pressed:
                self._decide(request, proposal, pressed)
                if request.POST[pressed] == "desk":  # the desk's button
                    return redirect("admin:index")
            return redirect("admin:prices_proposededit_change", proposal.pk)
        now, is_own = timezone.now(), proposal.proposed_by == request.user
        is_waiting = proposal.is_waiting(now)
        context = {
            **self.admin_site.each_context(request),
            "title": "Proposed edit",
            "opts": self.opts,
            "proposal": proposal,
            "proposed": self.proposed(proposal),
            "state": self.state(proposal),
            "shown_now": _shown_now() if is_waiting else [],  # the detail has the prices of when it was proposed
            "is_own": is_own,
            "is_waiting": is_waiting,
            "may_decide": is_waiting and not is_own and self.has_decide_permission(request),
            "may_withdraw": is_waiting and is_own,
            "may_override": is_waiting and may_override(request.user),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/prices/proposal.html", context)

    def _decide(self, request: HttpRequest, proposal: ProposedEdit, button: str) -> None:
        """Take a decision, and say what became of it."""
        by, reason = cast(User, request.user), ReasonActionForm.reason_in(request)
        try:
            decided = _DECISIONS[button](proposal.pk, by=by, reason=reason, site=site_of(request))
        except DecisionError as error:
            messages.error(request, f"Nothing was done with “{proposal}”: {error}.")
            return
        word = decided.decision.capitalize()
        if decided.decision == Decision.REFUSED:
            messages.error(request, f"Not saved: “{decided}”. {decided.outcome}.")
        elif decided.decision == Decision.OVERRIDDEN:
            messages.warning(request, f"Saved without approval: {decided}. Everybody is told.")
        else:
            messages.success(request, f"{word}: {decided}.")


def _shown_now() -> list[str]:
    """The shown price of each metal, in words."""
    shown = filter(None, map(shown_quote, ListedMetal.objects.filter(enabled=True)))
    return [f"{quote.metal} {quote.price:,} {quote.currency} per gram ({quote.kind})" for quote in shown]
