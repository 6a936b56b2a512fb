"""The Celery application: `celery -A swarna worker`, `celery -A swarna beat`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")

app = Celery("swarna")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
