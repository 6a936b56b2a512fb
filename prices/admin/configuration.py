"""How prices are judged, and how often they are fetched."""

import datetime as dt
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from prices import schedule, wire
from prices.admin.pages import ONE_MEANING, AuditedAdmin, AuditedForm
from prices.models import Configuration
from streaming import publish


class ConfigurationForm(AuditedForm):
    """The configuration, and the interval of the schedule that belongs with it."""

    update_interval_ms = forms.IntegerField(
        label="Update interval, ms",
        min_value=wire.milliseconds(schedule.SHORTEST_INTERVAL),
        max_value=wire.milliseconds(schedule.LONGEST_INTERVAL),
        help_text="How often prices are fetched. Mind the sources' quotas.",
    )

    class Meta:
        model = Configuration
        fields = ["change_threshold_percent", "freshness_limit_ms", "max_jump_percent"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        interval = schedule.interval()
        self.fields["update_interval_ms"].initial = wire.milliseconds(interval)
        if "change_threshold_percent" not in self.fields:
            return  # for staff who may only look, there is nothing to explain
        self.fields["change_threshold_percent"].help_text += f" Empty: {settings.CHANGE_THRESHOLD_PERCENT} %."
        self.fields["max_jump_percent"].help_text += f" Empty: {settings.MAX_JUMP_PERCENT} %."
        deployed = wire.milliseconds(settings.FRESHNESS_LIMIT or 5 * interval)
        self.fields["freshness_limit_ms"].help_text += f" Now that would be {deployed}."


@admin.register(Configuration)
class ConfigurationAdmin(AuditedAdmin):
    form = ConfigurationForm
    formfield_overrides = ONE_MEANING

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is one: go straight to it."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:prices_configuration_change", args=[Configuration.load().pk]))

    def save_model(self, request: HttpRequest, obj: Configuration, form: Any, change: bool) -> None:
        interval = dt.timedelta(milliseconds=form.cleaned_data["update_interval_ms"])
        if interval != (before := schedule.interval()):
            schedule.set_interval(interval)
            # The interval is the schedule's, so the row's own history would not show it.
            obj._change_reason = f"update interval {before} → {interval}"  # type: ignore[attr-defined]  # simple-history reads it
        super().save_model(request, obj, form, change)
        transaction.on_commit(publish.reload)
