"""The number of quarantined prices that wait for staff, for the admin's pages."""

from typing import Any

from django import template
from django.conf import settings

from prices.models import HeldPrice
from prices.staff.permissions import may

register = template.Library()


@register.simple_tag
def pending_prices(user: Any) -> int:
    """The number of pending prices; 0 for a user who may not see them."""
    if not (user and may(user, "view", HeldPrice)):
        return 0
    return HeldPrice.pending().filter(currency=settings.BASE_CURRENCY).count()
