"""Fallback prices that stand in for no source, as they have expired or are examples: for the admin's pages."""

from typing import Any

from django import template
from django.utils import timezone

from infra.readable import moment
from prices.models import FallbackPrice
from prices.staff.permissions import may

register = template.Library()


@register.simple_tag
def expired_fallbacks(user: Any) -> list[tuple[str, str]]:
    """The listed metals whose fallback has expired, and when it did; none for a user who may not see them."""
    if not (user and may(user, "view", FallbackPrice)):
        return []
    now = timezone.now()
    expired = FallbackPrice.expired(now).filter(metal__enabled=True).select_related("metal")
    return [(str(each.metal), moment(each.expires_at, now)) for each in expired if each.expires_at]


@register.simple_tag
def example_fallbacks(user: Any) -> list[str]:
    """The listed metals whose fallback is only an example; none for a user who may not see them."""
    if not (user and may(user, "view", FallbackPrice)):
        return []
    return [str(each.metal) for each in FallbackPrice.examples().select_related("metal")]
