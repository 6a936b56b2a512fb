#!/usr/bin/env python3
"""Django's command line for Swarna: `python manage.py up` runs the whole product."""

import gc
import os
import sys


def main() -> None:
    # Written so that an old Python can read this far and say what is wrong.
    if sys.version_info < (3, 11):  # noqa: UP036  (for the Pythons that pyproject.toml excludes)
        sys.exit("Swarna needs Python 3.11 or newer, and this is " + sys.version.split()[0] + ". Run it with that.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")
    # What is imported stays: to look for garbage among it takes a sixth of a start. swarna/apps.py ends this.
    gc.disable()
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed for this Python. Run 'make setup', then use .venv/bin/python manage.py.")
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)  # as shells have it for Ctrl-C; a traceback would help nobody
    except BrokenPipeError:
        # The reader has enough, as `head` has: the rest of the output must not be written at the exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        from swarna.database_advice import advice

        if "--traceback" in sys.argv or not (text := advice(error)):
            raise
        sys.exit(text)


if __name__ == "__main__":
    main()
