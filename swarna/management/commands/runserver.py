"""`manage.py runserver`: Django's development server, which starts anew when a file changes, and serves the stream too.

It is Daphne's own, found here instead of by `daphne` among the apps: that would load Twisted and its reactor into every
command, the worker and beat, and before `serve` has chosen its event loop.
"""

from typing import Any

from daphne.management.commands import runserver


class Command(runserver.Command):
    help = (
        "Serve the board, the API, the admin and the stream for development: it starts anew when a file changes. Each "
        "client of the stream is written to by itself. For all else there is manage.py serve."
    )

    def inner_run(self, *args: Any, **options: Any) -> None:
        self.stdout.write("Prices are fetched by worker and beat: manage.py up, in another terminal, runs them.")
        super().inner_run(*args, **options)
