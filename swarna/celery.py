"""The Celery application: `celery -A swarna worker`, `celery -A swarna beat`."""

import io
import os
import sys
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")

app = Celery("swarna")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def refuse_a_bad_configuration(**kwargs: Any) -> None:
    """Run Django's checks, whose errors Celery itself would not heed, and end with what they say."""
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError

    try:
        call_command("check", stdout=io.StringIO())  # that all is well goes without saying
    except SystemCheckError as error:
        sys.exit(str(error))
