"""`make bench` by itself, in a shell of its own."""

import os
import subprocess
import sys

from bench import servers


def test_it_is_ready_by_itself_in_a_shell_that_knows_nothing_of_django() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    script = "from bench.__main__ import ready\nwith ready(True, 20): print('ready')"
    made = subprocess.run(
        [sys.executable, "-c", script], cwd=servers.ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert made.stdout.endswith("ready\n"), made.stderr
