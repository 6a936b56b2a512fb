"""Forms of staff's edits."""

from locks.models import LockSettings
from prices.staff.forms import AuditedForm


class LockSettingsForm(AuditedForm):
    """Settings of the locks that are granted from now on."""

    has_separate_fields = True

    class Meta:
        model = LockSettings
        fields = [
            "enabled",
            "ttl_seconds",
            "tolerance_percent",
            "passes_on",
            "most_held",
            "most_in_an_hour",
            "allows_fallback",
        ]
