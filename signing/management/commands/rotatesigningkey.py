"""`manage.py rotatesigningkey`: another key signs from here on."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from signing import keys
from signing.key_file import KeyFileError


class Command(BaseCommand):
    help = (
        "Draw another key to sign receipts and price locks with. The private part of the one before is deleted; its "
        "public part stays published, and what it signed can be verified. SIGNING_KEYS_FILE is written, or made."
    )
    # A check would ask for the file that this makes.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            kid = keys.rotate()
        except KeyFileError as error:
            raise CommandError(f"{error} {error.hint}") from error
        except OSError as error:
            raise CommandError(
                f"SIGNING_KEYS_FILE cannot be written: {error.strerror}. Run this with the path of a file that can be, "
                "and put that in its place."
            ) from error
        self.stdout.write(f"The key {kid} signs from here on: within a minute in every process, at once in new ones.")
