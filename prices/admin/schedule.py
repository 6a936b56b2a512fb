"""The schedule's pages, which django-celery-beat brings."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat.admin import PeriodicTaskAdmin as BeatsOwn
from django_celery_beat.models import PeriodicTask

admin.site.unregister(PeriodicTask)


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
