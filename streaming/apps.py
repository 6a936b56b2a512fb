"""The stream of prices to clients."""

from django.apps import AppConfig


class StreamingConfig(AppConfig):
    name = "streaming"

    def ready(self) -> None:
        from streaming import revocations

        revocations.follow()
