"""The schedule's pages, which django-celery-beat brings."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat.admin import (
    ClockedScheduleAdmin,
    CrontabScheduleAdmin,
    IntervalScheduleAdmin,
    SolarScheduleAdmin,
)
from django_celery_beat.admin import PeriodicTaskAdmin as BeatsOwn
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

_OF_A_TASK = {
    IntervalSchedule: IntervalScheduleAdmin,
    CrontabSchedule: CrontabScheduleAdmin,
    SolarSchedule: SolarScheduleAdmin,
    ClockedSchedule: ClockedScheduleAdmin,
}
admin.site.unregister([PeriodicTask, *_OF_A_TASK])


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(BeatsOwn):
    """The library's pages, with its actions only for staff who may change tasks.

    The library lets anybody who may view tasks enable, disable and run them, and so stop prices.
    """

    change_form_template = None  # the library's has an inline script, which our content security policy blocks

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        if self.has_change_permission(request):
            return actions
        return {name: action for name, action in actions.items() if name not in BeatsOwn.actions}


class _OutOfSight(admin.ModelAdmin):
    """Leaves a model out of the lists of models. A task's page leads to its schedule, and makes another."""

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        return {}


for _model, _pages in _OF_A_TASK.items():
    admin.site.register(_model, type(_pages.__name__, (_OutOfSight, _pages), {}))
