"""The project as an app, with its checks and commands; and its admin site."""

import gc

from django.apps import AppConfig
from django.contrib.admin import apps


class SwarnaConfig(AppConfig):
    name = "swarna"
    default = True

    def ready(self) -> None:
        from swarna import (
            celery,  # noqa: F401  (the application of all tasks; not in __init__.py: infra.process.probe needs no Celery)
            checks,  # noqa: F401  (registers them; models must be loaded first)
        )

        # All that is there by now stays. Until here manage.py keeps the collector from searching it.
        gc.freeze()
        gc.enable()


class DeskConfig(apps.AdminConfig):
    default = False
    default_site = "swarna.admin.Desk"
