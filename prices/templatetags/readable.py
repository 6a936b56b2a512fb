"""Amounts and times in templates, as people read them."""

import datetime as dt

from django import template
from django.utils import timezone

from infra import readable
from prices.staff.amounts import written

register = template.Library()

register.filter("amount", readable.amount)
register.filter("percent", readable.percent)
register.filter("written", written)


@register.filter
def moment(at: dt.datetime) -> str:
    """The time of day, with the date where it is not today's."""
    return readable.moment(at, timezone.now())
