"""`manage.py prices`: fetch the prices of each source now, and print them side by side."""

from argparse import ArgumentParser
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from prices.staff.comparison import compare


class Command(BaseCommand):
    help = (
        "Fetch from the price sources once, and print their prices side by side. Publishes nothing, but calls count "
        "against the sources' quotas, and the admin's page of sources shows how they did. Exits with 1 where a metal "
        "has no price from any."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", nargs="*", help="sources of PRICE_PROVIDERS; all of them if none is named")
        parser.add_argument("--json", action="store_true", help="print the same as JSON")

    def handle(self, *args: Any, source: list[str], json: bool, **options: Any) -> None:
        names = source or settings.PRICE_PROVIDERS
        if unknown := [name for name in names if name not in settings.PRICE_PROVIDERS]:
            known = ", ".join(settings.PRICE_PROVIDERS)
            raise CommandError(f"PRICE_PROVIDERS does not name {', '.join(unknown)}. It names: {known}.")
        if metered := [name for name in names if getattr(settings, f"{name.upper()}_QUOTA", None)]:
            self.stderr.write(f"This uses calls of the quotas of: {', '.join(metered)}.")
        compared = compare(names)
        if not compared.metals:
            raise CommandError("No metal is listed: run manage.py seed, or switch one on in the admin.")
        if json:
            encoded = msgspec.json.Encoder(decimal_format="number").encode(compared.data())
            self.stdout.write(msgspec.json.format(encoded, indent=2).decode())
        else:
            self.stdout.write(compared.table())
        if compared.missing:
            raise CommandError(f"No source has a price of {', '.join(compared.missing)}.")
