"""The Celery application: `celery -A swarna worker`, `celery -A swarna beat`."""

import io
import os
import sys
from typing import Any

from celery import Celery
from celery.signals import import_modules

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")

app = Celery("swarna")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


# Of the signals that worker and beat both send, the one that comes before either has read the database.
@import_modules.connect
def refuse_a_bad_configuration(**kwargs: Any) -> None:
    """Run Django's checks, whose errors Celery itself would not heed, and end with what they say."""
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError

    try:
        call_command("check", stdout=io.StringIO())  # that all is well goes without saying
    except SystemCheckError as error:
        sys.exit(str(error))
