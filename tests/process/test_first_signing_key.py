"""One signing key, however many processes start."""

import os
import subprocess
import sys
from collections.abc import Callable

import requests

from tests.support.product import ROOT
from tests.support.server import Server

PROCESSES = 4
# Each waits until all have started: then they need the key at the same moment.
_NEED_THE_KEY = """
import django
django.setup()
from signing import keys
print("ready", flush=True)
input()
print(keys.current().thumbprint())
"""


def test_processes_that_need_the_first_key_at_once_make_one(run_server: Callable[..., Server]) -> None:
    server = run_server()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _NEED_THE_KEY],
            cwd=ROOT,
            env=os.environ | server.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    kids = {process.communicate(timeout=30)[0].strip() for process in processes}
    published = requests.get(f"{server.http_url}/.well-known/jwks.json", timeout=10).json()["keys"]
    assert [key["kid"] for key in published] == list(kids)
