"""The schedule's own pages, which django-celery-beat brings."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat.admin import PeriodicTaskAdmin as BeatsOwn
from django_celery_beat.models import PeriodicTask

admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(BeatsOwn):
    """The library's pages, whose actions enable, disable and run tasks without checking any permission: here they are
    for those who may change tasks, or whoever may view them could stop prices.
    """

    change_form_template = None  # the library's has its script in the page, which ours do not run

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        if self.has_change_permission(request):
            return actions
        return {name: action for name, action in actions.items() if name not in BeatsOwn.actions}
