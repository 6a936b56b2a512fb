"""docs/verifying.md's example in Python, with a server's own documents."""

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

DOCUMENT = {"epoch": "q7Vb2xWk", "seq": 18231}


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
    publication = server.publish(gold="13221.39")
    assert publication
    address = f"{server.http_url}/api/v1/publications/{publication.seq}/"
    text = requests.get(address, headers={"Accept": "application/jose"}, timeout=10).text
    subprocess.run(
        [sys.executable, "manage.py", "rotatesigningkey"], cwd=ROOT, env=os.environ | server.environment, check=True
    )
    receipt = verified(text)
    assert (receipt["iss"], receipt["seq"]) == ("swarna", publication.seq)
    assert receipt["metals"]["gold"]["price"] == "13221.39"


def test_the_example_in_python_believes_nothing_else(server: Server, verified: Callable[..., Any]) -> None:
    text = server.do(lambda: sign(Kind.RECEIPT, DOCUMENT))
    with pytest.raises(ValueError, match="This is no swarna-lock"):
        verified(text, "swarna-lock+jws")
    public = server.do(lambda: SigningKey.objects.get(current=True).public)
    for what, forgery in {**forged(text, public), "a bit changed": with_each_bit_changed(text)[-1]}.items():
        with pytest.raises((JoseError, ValueError)):
            pytest.fail(f"{what}: {verified(forgery)}")
