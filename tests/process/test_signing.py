"""docs/verifying.md's examples, in Python and in Node, with a server's own documents."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from joserfc.errors import JoseError

from signing.documents import Kind, sign
from signing.models import SigningKey
from tests.support.js_package import required
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


def test_the_example_in_javascript_prints_what_the_server_signed_and_refuses_what_was_changed(
    server: Server, tmp_path: Path
) -> None:
    node = required("node")
    (example,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs/verifying.md").read_text(), re.DOTALL)
    (module,) = re.findall(r'from "(.*)";', example)
    program = example.replace("https://prices.example", server.http_url)
    program = program.replace(module, (ROOT / "clients/js/client/verify.js").as_uri())
    documents = [DOCUMENT | {"metals": {"gold": {"price": price}}} for price in ("13221.39", "1")]
    signed, other = server.do(lambda: [sign(Kind.RECEIPT, document).split(".") for document in documents])
    for parts, says in ((signed, "13221.39\n"), ([signed[0], other[1], signed[2]], "signature ")):
        (tmp_path / "example.mjs").write_text(f"const jws = {'.'.join(parts)!r};\n{program}")
        run = [node, "--no-warnings", str(tmp_path / "example.mjs")]
        ran = subprocess.run(run, capture_output=True, text=True, timeout=30)
        assert (ran.stdout + ran.stderr).startswith(says)


def test_the_example_in_python_believes_nothing_else(server: Server, verified: Callable[..., Any]) -> None:
    text = server.do(lambda: sign(Kind.RECEIPT, DOCUMENT))
    with pytest.raises(ValueError, match="This is no swarna-lock"):
        verified(text, "swarna-lock+jws")
    public = server.do(lambda: SigningKey.objects.get(current=True).public)
    for what, forgery in {**forged(text, public), "a bit changed": with_each_bit_changed(text)[-1]}.items():
        with pytest.raises((JoseError, ValueError)):
            pytest.fail(f"{what}: {verified(forgery)}")
