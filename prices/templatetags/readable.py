"""Amounts and times in templates, as people read them."""

from django import template

from infra import readable

register = template.Library()

register.filter("amount", readable.amount)
register.filter("percent", readable.percent)
register.filter("moment", readable.moment)
