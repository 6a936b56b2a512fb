"""The project as an app: its checks and its commands."""

from django.apps import AppConfig


class SwarnaConfig(AppConfig):
    name = "swarna"

    def ready(self) -> None:
        from swarna import checks  # noqa: F401  (registers them; models must be loaded first)
