"""Amounts in templates, as people read them."""

from django import template

from prices.staff.amounts import written

register = template.Library()

register.filter("written", written)
