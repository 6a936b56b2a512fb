"""The quarantine: prices that broke a sanity rule, for staff to decide."""

from collections.abc import Collection
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Case, QuerySet, When
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_POST

from infra import readable
from prices.admin.pages import ReadOnlyAdmin, ReasonActionForm
from prices.domain.quotes import Quote, percent
from prices.models import HeldPrice, LatestPrice, Premium
from prices.premiums import with_premium
from prices.publishing.quarantine import released_by
from prices.staff.changes import one_change
from prices.staff.permissions import may
from prices.staff.quarantine import decide


@admin.register(HeldPrice)
class HeldPriceAdmin(ReadOnlyAdmin):
    """Pending prices come first, each beside the price that is shown now."""

    list_display = [
        "metal",
        "price_per_gram",
        "shown_now",
        "off_by",
        "source",
        "words",
        "quoted",
        "quarantined",
        "decided",
    ]
    fields = [
        *("metal", "currency", "price", "bid", "ask", "source", "quoted_at", "held_at", "doubt", "words"),
        *("decision", "decided_at", "decided_by"),
    ]
    # No list_filter: its column would leave the list too little room.
    search_fields = ["metal__name", "source", "decision", "decided_by"]
    list_select_related = ["metal"]
    list_per_page = 50
    sortable_by = ()
    ordering = [Case(When(decision=HeldPrice.Decision.PENDING, then=0), default=1), "-pk"]
    actions = ["approve", "reject"]
    action_form = ReasonActionForm

    class Media:
        css = {"all": ["prices/cards.css"]}

    def get_urls(self) -> list[Any]:
        decide = self.admin_site.admin_view(require_POST(self.decide_view))
        return [path("<path:object_id>/decide/", decide, name="prices_heldprice_decide"), *super().get_urls()]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Return True for staff with the permission to change quarantined prices; a decision is the only change."""
        return may(request.user, "change", HeldPrice)

    @admin.display(description="price per gram")
    def price_per_gram(self, quarantined: HeldPrice) -> str:
        return f"{quarantined.price:,}"

    @admin.display(description="quoted at")
    def quoted(self, quarantined: HeldPrice) -> str:
        return readable.moment(quarantined.quoted_at, timezone.now())

    @admin.display(description="quarantined at")
    def quarantined(self, quarantined: HeldPrice) -> str:
        return readable.moment(quarantined.held_at, timezone.now())

    @admin.display(description="shown now")
    def shown_now(self, quarantined: HeldPrice) -> str:
        shown = _shown(quarantined)
        return f"{shown.price:,} from {shown.source}" if shown else "—"

    @admin.display(description="would move by")
    def off_by(self, quarantined: HeldPrice) -> str:
        """The move of the shown price on approval, premium included."""
        shown = _shown(quarantined)
        if shown is None:
            return "—"
        then = with_premium(quarantined.quote(), Premium.multipliers(timezone.now()))
        return readable.percent(percent(then.price - shown.price, shown.price))

    @admin.display(description="decision")
    def decided(self, quarantined: HeldPrice) -> str:
        if quarantined.decision == HeldPrice.Decision.PENDING:
            return f"waits for {released_by(quarantined, timezone.now())}"
        return f"{quarantined.get_decision_display().lower()} by {quarantined.decided_by}"

    @admin.action(description="Approve: publish it now", permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[HeldPrice]) -> None:
        chosen = [quarantined.metal_id for quarantined in queryset]
        if len(chosen) != len(set(chosen)):
            messages.error(request, "Choose one price of each metal to approve.")
            return
        self._decide(request, list(queryset), chosen=_chosen(request), approve=True)

    @admin.action(description="Reject: keep what is shown", permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[HeldPrice]) -> None:
        self._decide(request, list(queryset), chosen=_chosen(request), approve=False)

    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Decide on one price, by the buttons of its row on the desk."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        decision = request.POST.get("decision")
        if decision not in ("approve", "reject"):
            return HttpResponseBadRequest("decision has to be approve or reject.", content_type="text/plain")
        quarantined = self.get_object(request, object_id)
        self._decide(request, [quarantined] if quarantined else [], chosen=1, approve=decision == "approve")
        return redirect("admin:index")

    def _decide(self, request: HttpRequest, rows: Collection[HeldPrice], *, chosen: int, approve: bool) -> None:
        # A newer price of the same source may have replaced a row since the page was opened.
        gone = chosen - len(rows)
        word = "Approved" if approve else "Rejected"
        by = cast(User, request.user)
        with one_change(reason=ReasonActionForm.reason_in(request)):
            for quarantined in rows:
                name = f"{quarantined.metal_id} {quarantined.price:,} from {quarantined.source}"
                try:
                    decide(quarantined.pk, approve=approve, by=by)
                except HeldPrice.DoesNotExist:
                    gone += 1
                    continue
                except ValueError as error:
                    messages.error(request, f"{name} was not {word.lower()}: {error}.")
                    continue
                self.log_change(request, quarantined, f"{word}.")
                messages.success(request, f"{word}: {name}.")
        if gone > 0:
            messages.error(request, f"Not decided, since newer prices, listed now, superseded them: {gone}.")


def _chosen(request: HttpRequest) -> int:
    """The number of rows that were chosen for an action."""
    return len(request.POST.getlist(ACTION_CHECKBOX_NAME))


def _shown(quarantined: HeldPrice) -> Quote | None:
    """The shown quote of a pending price's metal; None for a decided price."""
    if quarantined.decision != HeldPrice.Decision.PENDING:
        return None
    latest = LatestPrice.shown().filter(metal=quarantined.metal_id, currency=quarantined.currency).first()
    return latest.quote() if latest else None
