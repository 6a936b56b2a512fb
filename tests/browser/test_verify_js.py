"""The verifier of the client library, in Chromium and in Node, with documents that a server has signed."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, Route

from signing import keys
from signing.documents import Kind, sign
from tests.support.browser import new_page
from tests.support.js_package import required
from tests.support.product import CLIENT
from tests.support.server import Server
from tests.support.tampering import forged, with_each_bit_changed

DOCUMENT = {"epoch": "q7Vb2xWk", "seq": 18231}
# For each text what it is found to be: the payload, or the code of the error.
VERIFY_ALL = """async ([texts, expected]) => {
  const outcome = ({ payload }) => payload;
  return Promise.all(texts.map((text) => verify(text, expected).then(outcome, (error) => error.code ?? String(error))));
}"""


@pytest.fixture(scope="module")
def signed(server: Server) -> Callable[..., str]:
    """A document that the server has signed."""
    return lambda kind=Kind.RECEIPT: str(server.do(lambda: sign(kind, DOCUMENT)))


@pytest.fixture(scope="module")
def lab(browser: Browser, server: Server) -> Iterator[Page]:
    """A page of the server's, with the verifier as `verify`."""
    with new_page(browser) as page:
        page.goto(f"{server.http_url}/healthz")  # of a page that a test makes, Chromium would cache nothing
        page.evaluate("import('/client/v1/verify.js').then((module) => Object.assign(window, module))")
        yield page


def found(lab: Page, *texts: str, **expected: Any) -> list[Any]:
    outcomes: list[Any] = lab.evaluate(VERIFY_ALL, [texts, {"type": "receipt", **expected}])
    return outcomes


def keys_of(server: Server) -> Any:
    return requests.get(f"{server.http_url}/.well-known/jwks.json", timeout=10).json()


def test_a_document_is_verified_by_the_keys_of_the_pages_own_server(lab: Page, signed: Callable[..., str]):
    assert found(lab, signed()) == [DOCUMENT | {"iss": "swarna"}]
    assert found(lab, signed(Kind.LOCK), type="lock", issuer="swarna") == [DOCUMENT | {"iss": "swarna"}]


def test_no_bit_of_a_document_can_be_changed(lab: Page, server: Server, signed: Callable[..., str]):
    text = signed()
    assert found(lab, text, keys=keys_of(server)) == [DOCUMENT | {"iss": "swarna"}]
    changed = with_each_bit_changed(text)
    outcomes = found(lab, *changed, keys=keys_of(server))
    assert set(map(str, outcomes)) <= {"malformed", "algorithm", "type", "unknown_key", "signature"}


def test_what_others_signed_is_not_believed_and_the_reason_has_a_code(
    lab: Page, server: Server, signed: Callable[..., str]
):
    text, published = signed(), keys_of(server)
    forgeries = forged(text, published["keys"][0]["x"])
    assert dict(zip(forgeries, found(lab, *forgeries.values(), keys=published), strict=True)) == {
        "another's key by the true one's name": "signature",
        "an unknown key": "unknown_key",
        "no signature": "malformed",
        "a signature by alg none": "algorithm",
        "the public key as a password": "algorithm",
        "a header without an algorithm": "algorithm",
        "a part too few": "malformed",
        "a part too many": "malformed",
        "nothing": "malformed",
    }
    assert found(lab, text, type="lock") == ["type"]
    assert found(lab, text, issuer="https://prices.example") == ["issuer"]


def test_a_key_that_is_newer_than_the_cached_set_is_looked_for_once_more(
    lab: Page, server: Server, signed: Callable[..., str]
):
    found(lab, signed())  # the browser has the set in its cache from here on
    server.do(keys.rotate)
    assert found(lab, signed()) == [DOCUMENT | {"iss": "swarna"}]


def test_keys_that_cannot_be_fetched_are_no_verdict(lab: Page, server: Server, signed: Callable[..., str]):
    # No page is at this address, but an answer of the API's.
    assert found(lab, signed(), keys="/api/v1/metals/") == ["keys"]


def test_a_page_by_plain_http_is_told_that_it_has_no_webcrypto(browser: Browser, signed: Callable[..., str]):
    def serve(route: Route) -> None:
        if route.request.url.endswith(".js"):
            route.fulfill(path=CLIENT / "verify.js", content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html><title>shop</title>", content_type="text/html")

    with new_page(browser) as page:
        page.route("http://shop.example/**", serve)
        page.goto("http://shop.example/")
        page.evaluate("import('/verify.js').then((module) => Object.assign(window, module))")
        tried = "(text) => verify(text, { type: 'receipt' }).catch(({ code, message }) => [code, message])"
        error = page.evaluate(tried, signed())
    assert error[0] == "unavailable"
    assert "only on pages by https or from localhost" in error[1]


def test_it_verifies_in_node_too(server: Server, signed: Callable[..., str], tmp_path: Path) -> None:
    node = required("node")
    shutil.copy(CLIENT / "verify.js", tmp_path / "verify.mjs")
    text = signed()
    texts = [text, text[:-3] + ("B" if text[-3] == "A" else "A") + text[-2:]]
    expected = {"type": "receipt", "keys": f"{server.http_url}/.well-known/jwks.json"}
    (tmp_path / "script.mjs").write_text(
        'import { verify } from "./verify.mjs";\n'
        f"const verifyAll = {VERIFY_ALL};\n"
        f"console.log(JSON.stringify(await verifyAll({json.dumps([texts, expected])})));"
    )
    ran = subprocess.run([node, "--no-warnings", tmp_path / "script.mjs"], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [DOCUMENT | {"iss": "swarna"}, "signature"]
