"""Price sources: their order, their health, and actions on them."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_POST

from infra.readable import moment, span
from prices import clock_watch
from prices.admin.pages import ONE_MEANING, AuditedAdmin, ReasonActionForm
from prices.models import ProviderState
from prices.sources import registry
from prices.sources.fetching import probe
from prices.sources.health import health_detail, quota_left, standing_detail
from prices.staff.changes import one_change
from prices.staff.forms import ProviderStateForm, save_fields

_EDITABLE = ["position", "enabled"]
_MEASURED = ["health", "breaker", "success", "latency", "error", "quota", "excluded"]


@admin.register(ProviderState)
class ProviderStateAdmin(AuditedAdmin):
    """The sources that PRICE_PROVIDERS names. Staff order them, switch them off and set their tolerance."""

    form = ProviderStateForm
    list_display = ["name", *_EDITABLE, *_MEASURED]
    list_editable = _EDITABLE
    sortable_by = ()
    fields = ["name", *_EDITABLE, "tolerance_percent", "reason", *_MEASURED, "rests", "counts"]
    readonly_fields = ["name", *_MEASURED, "rests", "counts"]
    formfield_overrides = ONE_MEANING | {
        models.BooleanField: {"show_hidden_initial": True},
        models.PositiveSmallIntegerField: {"show_hidden_initial": True},
    }
    actions = ["probe", "switch_off", "switch_on", "reset"]
    actions_on_bottom = True
    action_form = ReasonActionForm
    history_list_display = ["enabled", "position", "tolerance_percent"]

    class Media:
        css = {"all": ["prices/cards.css"]}

    def get_urls(self) -> list[Any]:
        switch = self.admin_site.admin_view(require_POST(self.switch_view))
        return [path("<path:object_id>/switch/", switch, name="prices_providerstate_switch"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderState]:
        """The deployment's sources; `is_needed` of each is annotated once for all rows."""
        sources: QuerySet[ProviderState] = super().get_queryset(request).filter(name__in=settings.PRICE_PROVIDERS)
        return sources.annotate(is_needed=Q(name__in=registry.needed(timezone.now())))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if self.has_view_or_change_permission(request):
            registry.in_order()  # makes the rows of sources that were never fetched from
            if request.method == "GET":
                for detail in clock_watch.complaints():
                    messages.warning(request, f"{detail}. Until then prices may seem older or younger than they are.")
        response = super().changelist_view(request, extra_context)
        if request.method == "POST":  # after an action, or after all rows of an edited list were saved
            warn_if_too_few_enabled(request)
        return response

    def response_change(self, request: HttpRequest, obj: ProviderState) -> HttpResponse:
        warn_if_too_few_enabled(request)
        response: HttpResponse = super().response_change(request, obj)
        return response

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # PRICE_PROVIDERS names them

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the provider goes on counting its calls, which would be forgotten here

    @admin.display(description="health")
    def health(self, source: Any) -> str:
        detail = health_detail(source, timezone.now(), is_needed=source.is_needed)
        return f"{detail}; stands still: {still}" if (still := standing_detail(source)) else detail

    @admin.display(description="breaker")
    def breaker(self, source: ProviderState) -> str:
        return source.breaker.state(timezone.now())

    @admin.display(description="last success")
    def success(self, source: ProviderState) -> str:
        return moment(source.last_success_at, timezone.now()) if source.last_success_at else "never"

    @admin.display(description="latency")
    def latency(self, source: ProviderState) -> str:
        return "—" if source.latency_ms is None else f"{source.latency_ms} ms"

    @admin.display(description="last error")
    def error(self, source: ProviderState) -> str:
        if source.last_error_at is None:
            return "none"
        return f"{moment(source.last_error_at, timezone.now())}: {source.last_error}"

    @admin.display(description="quota left")
    def quota(self, source: ProviderState) -> str:
        return quota_left(source, timezone.now()) or "—"

    @admin.display(description="excluded")
    def excluded(self, source: ProviderState) -> str:
        if source.disagreed_at is None:
            return "none"
        return f"{moment(source.disagreed_at, timezone.now())}: {source.disagreement}"

    @admin.display(description="rests until")
    def rests(self, source: ProviderState) -> str:
        return moment(source.rests_until, timezone.now()) if source.rests_until else "—"

    @admin.display(description="so far")
    def counts(self, source: ProviderState) -> str:
        return (
            f"{source.refreshes_total} times fetched in {source.calls_total} calls,"
            f" {source.failures_total} times without any price, {source.set_aside_total} times excluded"
        )

    @admin.action(description="Probe now: fetch, and publish nothing", permissions=["change"])
    def probe(self, request: HttpRequest, queryset: QuerySet[ProviderState]) -> None:
        chosen = {source.name: source for source in queryset}
        for name, outcome in probe(list(chosen)).items():
            prices = ", ".join(f"{quote.metal} {quote.price:,}" for quote in outcome.all_quotes)
            calls = f"{outcome.calls} call{'' if outcome.calls == 1 else 's'}"
            detail = f"{'; '.join(filter(None, (prices, outcome.detail)))} ({outcome.seconds * 1000:.0f} ms, {calls})"
            level = messages.WARNING if outcome.quotes else messages.ERROR
            if not outcome.errors:
                level = messages.SUCCESS
            messages.add_message(request, level, f"Fetched {name}: {detail}")
            self.log_change(request, chosen[name], f"Probed: {detail}")

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[ProviderState]) -> None:
        self._switch(request, queryset, enabled=False)

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[ProviderState]) -> None:
        self._switch(request, queryset, enabled=True)

    def switch_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Switch one source off or on, by the button of its row on the desk.

        It says which, so that a press on an older page does not undo what somebody else has done since.
        """
        if not self.has_change_permission(request):
            raise PermissionDenied
        to = request.POST.get("to")
        if to not in ("off", "on"):
            return HttpResponseBadRequest("to has to be off or on.", content_type="text/plain")
        source = get_object_or_404(self.get_queryset(request), pk=unquote(object_id))
        if source.enabled is (to == "on"):
            messages.info(request, f"{source} was switched {to} already.")
        self._switch(request, self.get_queryset(request).filter(pk=source.pk), enabled=to == "on")
        warn_if_too_few_enabled(request)
        return redirect("admin:index")

    def _switch(self, request: HttpRequest, queryset: QuerySet[ProviderState], *, enabled: bool) -> None:
        word = "on" if enabled else "off"
        with one_change(reason=ReasonActionForm.reason_in(request)):
            for source in queryset.exclude(enabled=enabled):
                source.enabled = enabled
                save_fields(source, ["enabled"])
                self.log_change(request, source, f"Switched {word}.")
                messages.success(request, f"{source} is switched {word}.")

    @admin.action(description="Reset: forget its failures and its rest", permissions=["change"])
    def reset(self, request: HttpRequest, queryset: QuerySet[ProviderState]) -> None:
        for source in queryset:
            registry.reset(source.name)
            self.log_change(request, source, "Reset.")
            messages.success(request, f"{source} is fetched again at the next refresh.")


def warn_if_too_few_enabled(request: HttpRequest) -> None:
    """Warn that no price can be published, if no source is enabled, or fewer than have to agree."""
    enabled = sum(source.enabled for source in registry.in_order())
    if enabled >= max(settings.CONSENSUS_SOURCES, 1):
        return
    left = f"Only {enabled} of the {settings.CONSENSUS_SOURCES} sources that have to agree" if enabled else "No source"
    after = span(settings.FALLBACK_AFTER.total_seconds())
    messages.warning(
        request, f"{left} is fetched any more: prices turn stale, and after {after} fallback prices are shown."
    )
