"""Price locks: a price that holds while a customer pays."""

from django.apps import AppConfig


class LocksConfig(AppConfig):
    name = "locks"
    verbose_name = "Price locks"

    def ready(self) -> None:
        from locks import registration

        registration.register()
