"""For the admin's pages: how many prices wait for staff."""

from typing import Any

from django import template
from django.conf import settings

from prices.models import HeldPrice

register = template.Library()


@register.simple_tag
def held_prices_that_wait(user: Any) -> int:
    """How many wait; 0 for who may not see them."""
    if not (user and (user.has_perm("prices.view_heldprice") or user.has_perm("prices.change_heldprice"))):
        return 0
    return HeldPrice.pending().filter(currency=settings.BASE_CURRENCY).count()
