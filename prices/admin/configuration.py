"""The configuration: how prices are validated, and how often they are fetched."""

from django.contrib import admin

from prices.admin.pages import ONE_MEANING, OneRowAdmin
from prices.models import Configuration
from prices.staff.forms import ConfigurationForm


@admin.register(Configuration)
class ConfigurationAdmin(OneRowAdmin):
    form = ConfigurationForm
    formfield_overrides = ONE_MEANING
    fields = [*ConfigurationForm.Meta.fields, "reason", "version"]
    history_list_display = ["update_interval_ms"]
