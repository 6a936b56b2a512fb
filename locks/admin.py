"""The admin's pages of locks: who holds what, and staff's settings."""

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Case, QuerySet, When
from django.http import HttpRequest
from django.utils import timezone

from infra import readable
from infra.formats import number
from locks import lifecycle
from locks.forms import LockSettingsForm
from locks.models import LockSettings, PriceLock
from locks.refusals import RefusalError
from prices.admin.pages import ONE_MEANING, OneRowAdmin, ReadOnlyAdmin, ReasonActionForm
from prices.domain.fineness import purity_label
from prices.domain.quotes import Metal
from prices.staff.changes import one_change
from prices.staff.permissions import may


@admin.register(PriceLock)
class PriceLockAdmin(ReadOnlyAdmin):
    """Held locks come first, the next to expire before the others."""

    list_display = ["side_and_metal", "locked_price", "locked_quantity", "holder", "status_now", "until", "reference"]
    fields = [
        *("key", "user", "metal", "side", "unit", "purity", "quantity", "reference", "currency", "price"),
        *("epoch", "seq", "issued_at", "expires_at", "tolerance_percent", "passes_on"),
        *("status", "ended_at", "redeemed_price"),
    ]
    search_fields = ["key", "user__username", "metal", "reference", "status"]
    list_select_related = ["user"]
    list_per_page = 50
    sortable_by = ()
    ordering = [Case(When(status=PriceLock.Status.HELD, then=0), default=1), "-pk"]
    actions = ["release"]
    action_form = ReasonActionForm

    class Media:
        css = {"all": ["prices/cards.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[PriceLock]:
        """Return the locks, once those that have expired are marked: what staff saw expired stays so."""
        lifecycle.settle()
        return super().get_queryset(request)

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Return True for staff with the permission to change locks; to release one is the only change."""
        return may(request.user, "change", PriceLock)

    @admin.display(description="lock")
    def side_and_metal(self, lock: PriceLock) -> str:
        return f"{lock.side} {lock.metal}, {purity_label(Metal(lock.metal), lock.purity)}"

    @admin.display(description="price")
    def locked_price(self, lock: PriceLock) -> str:
        return f"{readable.amount(lock.price)} {lock.currency} per {lock.unit.replace('_', ' ')}"

    @admin.display(description="quantity")
    def locked_quantity(self, lock: PriceLock) -> str:
        return "—" if lock.quantity is None else f"{number(lock.quantity):,f}"

    @admin.display(description="held by")
    def holder(self, lock: PriceLock) -> str:
        return lock.user.get_username() if lock.user else "a deleted user"

    @admin.display(description="status")
    def status_now(self, lock: PriceLock) -> str:
        return str(lock.get_status_display()).lower()

    @admin.display(description="expires at")
    def until(self, lock: PriceLock) -> str:
        return readable.moment(lock.expires_at, timezone.now())

    @admin.action(description="Release: the price no longer holds", permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[PriceLock]) -> None:
        with one_change(reason=ReasonActionForm.reason_in(request)):
            for chosen in queryset.order_by("pk"):
                self._release(request, chosen)

    def _release(self, request: HttpRequest, chosen: PriceLock) -> None:
        try:
            with transaction.atomic():
                lock = lifecycle.release(pk=chosen.pk)
        except RefusalError as refusal:
            messages.error(request, f"{chosen} was not released: {refusal}")
            return
        if lock.status == PriceLock.Status.RELEASED:
            self.log_change(request, lock, "Released.")
            messages.success(request, f"Released: {lock}.")
        else:
            messages.warning(request, f"{lock} has expired already.")


@admin.register(LockSettings)
class LockSettingsAdmin(OneRowAdmin):
    form = LockSettingsForm
    formfield_overrides = ONE_MEANING
    fields = [*LockSettingsForm.Meta.fields, "reason", "version"]
    history_list_display = ["ttl_seconds", "tolerance_percent"]
