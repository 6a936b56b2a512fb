"""`manage.py export` into a pipe."""

import os
import subprocess
import sys

from tests.support.product import ROOT


def test_who_has_read_enough_is_no_failure() -> None:
    end, beginning = os.pipe()
    os.close(end)
    command = [sys.executable, "manage.py", "export", "--from=2026-09-23", "--to=2026-09-24"]
    environment = os.environ | {"PYTHONUNBUFFERED": ""}
    stopped = subprocess.run(command, cwd=ROOT, env=environment, stdout=beginning, stderr=subprocess.PIPE, text=True)
    os.close(beginning)
    assert (stopped.returncode, stopped.stderr) == (141, "")
