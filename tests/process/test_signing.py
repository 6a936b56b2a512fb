"""One signing key, however many processes start; docs/verifying.md's example in Python, with a server's documents."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import requests
from joserfc.errors import JoseError

from signing.documents import Kind, sign
from signing.models import SigningKey
from tests.support.product import ROOT
from tests.support.server import Server
from tests.support.tampering import forged, with_each_bit_changed

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
DOCUMENT = {"epoch": "q7Vb2xWk", "seq": 18231}


def published(server: Server) -> list[dict[str, str]]:
    keys: list[dict[str, str]] = requests.get(f"{server.http_url}/.well-known/jwks.json", timeout=10).json()["keys"]
    return keys


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
    assert [key["kid"] for key in published(server)] == list(kids)


@pytest.fixture(scope="module")
def verified(server: Server) -> Callable[..., Any]:
    """The function of the page's example, as it stands there."""
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/verifying.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(example.replace("https://prices.example", server.http_url), names)
    function: Callable[..., Any] = names["verified"]
    return function


def test_the_example_in_python_reads_what_the_server_signed_also_by_a_key_of_before(
    server: Server, verified: Callable[..., Any]
) -> None:
    text = server.do(lambda: sign(Kind.RECEIPT, DOCUMENT))
    assert verified(text) == DOCUMENT | {"iss": "swarna"}
    subprocess.run(
        [sys.executable, "manage.py", "rotatesigningkey"], cwd=ROOT, env=os.environ | server.environment, check=True
    )
    assert verified(text) == DOCUMENT | {"iss": "swarna"}


def test_the_example_in_python_believes_nothing_else(server: Server, verified: Callable[..., Any]) -> None:
    text = server.do(lambda: sign(Kind.RECEIPT, DOCUMENT))
    with pytest.raises(ValueError, match="This is no swarna-lock"):
        verified(text, "swarna-lock+jws")
    public = server.do(lambda: SigningKey.objects.get(current=True).public)
    for what, forgery in {**forged(text, public), "a bit changed": with_each_bit_changed(text)[-1]}.items():
        with pytest.raises((JoseError, ValueError)):
            pytest.fail(f"{what}: {verified(forgery)}")
