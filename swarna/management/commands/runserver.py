"""`manage.py runserver`: the development server, which reloads when a file changes, and serves the stream too.

It is Daphne's command, imported here because `daphne` in INSTALLED_APPS would load Twisted and its reactor into every
command, worker and beat.
"""

from typing import Any

from daphne.management.commands import runserver


class Command(runserver.Command):
    help = (
        "Serve the board, the API, the admin and the stream for development, and reload when a file changes. It "
        "encodes frames for each client, where manage.py serve shares them."
    )

    def inner_run(self, *args: Any, **options: Any) -> None:
        self.stdout.write("Worker and beat fetch prices: manage.py up, in another terminal, runs them.")
        super().inner_run(*args, **options)
