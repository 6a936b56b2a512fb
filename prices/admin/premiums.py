"""Premiums: duty, tax and local premiums, as multipliers of spot prices."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone

from infra.readable import moment
from prices.admin.pages import ONE_MEANING, PriceAdmin, say_proposed, site_of
from prices.models import ListedMetal, Premium, ProposedEdit
from prices.publishing import audience
from prices.staff.approvals import limit_of
from prices.staff.duty import DutyForm, recent
from prices.staff.premiums import PremiumForm, described, described_without, excess_without, shown_quote


@admin.register(Premium)
class PremiumAdmin(PriceAdmin):
    """A premium is published at once, or at its time (prices/schedule.py)."""

    form = PremiumForm
    formfield_overrides = ONE_MEANING
    fields = ["metal", "multiplier", "effective_from", "note", "confirm", "reason", "version"]
    list_display = ["metal", "multiplier", "effective_from", "is_current", "note"]
    list_filter = ["metal"]
    list_select_related = ["metal"]
    sortable_by = ()
    readonly_after_adding = ["metal"]
    history_list_display = ["multiplier", "effective_from", "note"]

    def get_urls(self) -> list[Any]:
        duty = self.admin_site.admin_view(self.duty_view)
        return [path("duty/", duty, name="prices_premium_duty"), *super().get_urls()]

    def duty_view(self, request: HttpRequest) -> HttpResponse:
        """Change the premiums of several metals at once."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = DutyForm(request.POST if request.method == "POST" else None)
        is_to_be_saved = form.is_valid() and "_save" in request.POST
        if is_to_be_saved and (saved := form.save(cast(User, request.user), site=site_of(request))):
            if isinstance(saved, ProposedEdit):
                say_proposed(request, saved)
                return redirect("admin:prices_premium_duty")
            for premium in saved:
                self.log_addition(request, premium, "Added by a duty change.")
            self._say_saved(request, saved)
            return redirect("admin:prices_premium_duty")
        previews = form.previews()
        context = {
            **self.admin_site.each_context(request),
            "title": "Change duty",
            "opts": self.opts,
            "form": form,
            "previews": previews,
            "has_jump": any(preview.is_jump for preview in previews),
            "is_unseen": is_to_be_saved,
            "clients": audience.count(),
            "changes": recent(cast(User, request.user)),
        }
        return TemplateResponse(request, "admin/prices/duty.html", context)

    def _say_saved(self, request: HttpRequest, added: Sequence[Premium]) -> None:
        now, begins = timezone.now(), added[0].effective_from
        if begins > now:
            messages.success(request, f"Scheduled from {moment(begins, now)} on, at most a minute late.")
            return
        messages.success(request, "It is on screens.")
        self._say_now(request, [premium.metal for premium in added])

    @admin.display(description="current", boolean=True)
    def is_current(self, premium: Premium) -> bool:
        return Premium.current(timezone.now()).get(premium.metal_id) == premium

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if obj.proposal:
            return
        self._say_now(request, [obj.metal])
        now = timezone.now()
        if obj.effective_from > now:
            shown = shown_quote(obj.metal)
            becomes = f": at today's spot, {described(shown, obj.multiplier)}" if shown else ""
            messages.info(request, f"From {moment(obj.effective_from, now)} on it applies{becomes}.")
        elif not self.is_current(obj):
            messages.warning(request, "It has no effect: a later one is current.")

    def get_deleted_objects(self, objs: Iterable[Premium], request: HttpRequest) -> Any:
        """On the page that confirms a deletion, warn what screens would show without these premiums.

        A deletion beyond the user's limit is refused there: an edit can wait for another person, a deletion cannot.
        """
        listed, counts, lacking, protected = super().get_deleted_objects(objs, request)
        gone = sorted(objs, key=lambda premium: (premium.metal_id, premium.effective_from))
        by, now = cast(User, request.user), timezone.now()
        limit = limit_of(by)
        for _, group in groupby(gone, key=lambda premium: premium.metal_id):
            of_metal = list(group)
            if "post" not in request.POST:  # not yet confirmed
                for line in described_without(of_metal, now):
                    messages.warning(request, line)
            if limit is not None and (excess := excess_without(of_metal, now, limit, by)):
                instead = "Enter a premium with the multiplier that is to apply instead, for another person to approve"
                protected = [*protected, f"{excess}: too much for one person. {instead}."]
        return listed, counts, lacking, protected

    def delete_model(self, request: HttpRequest, obj: Premium) -> None:
        super().delete_model(request, obj)
        transaction.on_commit(PremiumForm.show)
        self._say_now(request, [obj.metal])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Premium]) -> None:
        metals = list(ListedMetal.objects.filter(premiums__in=queryset).distinct())
        super().delete_queryset(request, queryset)
        transaction.on_commit(PremiumForm.show)
        self._say_now(request, metals)

    def _say_now(self, request: HttpRequest, metals: list[ListedMetal]) -> None:
        """Add messages with the prices that screens show of these metals once the request has ended."""
        premiums = Premium.multipliers(timezone.now())
        for metal in metals:
            if shown := shown_quote(metal):
                messages.info(request, f"Now {described(shown, premiums[shown.metal])}.")
