"""The examples of what `/developers/` serves, against a real server, and the clients that are generated from it.

Those of docs/api.md are run by test_rest_on_postgresql.py, of docs/verifying.md by test_signing.py, of the packages by
test_python_client.py and in tests/browser, the page of docs/protocol.md by tests/browser/test_event_source.py.
"""

import csv
import io
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from tests.support.js_package import TSC, TYPESCRIPT, required
from tests.support.product import ROOT
from tests.support.server import Server

BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs/developers.md").read_text(), re.DOTALL)
OPENAPI_TYPESCRIPT = ROOT / "tests/support/openapi_typescript/node_modules/openapi-typescript/bin/cli.js"
STRICT = json.loads((TYPESCRIPT / "tsconfig.json").read_text())["compilerOptions"]


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Server]) -> Server:
    server = run_server()
    server.publish(gold="13200", silver="165")
    return server


def block(kind: str, words: str, server: Server) -> str:
    """The one block of this kind with these words in it, for this server."""
    (found,) = [text for of_kind, text in BLOCKS if of_kind == kind and words in text]
    return str(found).replace("http://127.0.0.1:3001", server.http_url)


def run(*command: str, folder: Path, **environment: str) -> str:
    """The output of a command, with this Python's programs before others."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path} | environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_commands_print_prices_and_write_a_table(server: Server, tmp_path: Path) -> None:
    price, table, stream = re.findall(r"^curl .*$", block("sh", "curl", server), re.MULTILINE)
    assert json.loads(run("sh", "-c", price, folder=tmp_path))["price"] == 120912
    run("sh", "-c", table, folder=tmp_path)
    (today,) = csv.DictReader(io.StringIO((tmp_path / "gold.csv").read_text()))
    assert (today["metal"], today["interval"], today["close"]) == ("gold", "1d", "13200")
    with subprocess.Popen(["sh", "-c", f"exec {stream}"], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert "event: priceUpdate\n" in running.stdout  # which reads up to it
        running.terminate()


def test_the_commands_of_the_streams_document_are_answered_as_it_says(server: Server, tmp_path: Path) -> None:
    page = (ROOT / "docs/protocol.md").read_text().replace("http://127.0.0.1:3001", server.http_url)
    events, first, next = re.findall(r"^\$ (curl (?:.*\\\n)*.*)$", page, re.MULTILINE)
    with subprocess.Popen(["sh", "-c", f"exec {events}"], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        head = [line.strip() for line in islice(running.stdout, 4)]
        running.terminate()
    assert (head[0], head[3]) == ("retry: 3000", "event: priceUpdate")
    answer, body = run("sh", "-c", first, folder=tmp_path).split("\n\n", 1)
    assert answer.startswith("HTTP/1.1 200 ")
    position, (etag,) = json.loads(body), re.findall(r"^ETag: (.*)$", answer, re.MULTILINE | re.IGNORECASE)
    for given, of_now in (
        ("wait=25", "wait=1"),
        ("q7Vb2xWk", position["epoch"]),
        ("since=18231", f"since={position['seq']}"),
        ('W/"3dd49b603b66d8dd875400ee853dc75b"', etag.strip()),
    ):
        assert given in next
        next = next.replace(given, of_now)
    assert run("sh", "-c", next, folder=tmp_path).startswith("HTTP/1.1 304 ")


def test_a_client_in_python_is_generated_and_reads_prices_without_a_token(server: Server, tmp_path: Path) -> None:
    (generate,) = re.findall(r"^openapi-python-client .*$", block("sh", "openapi", server), re.MULTILINE)
    assert "Warning" not in run("sh", "-c", generate, folder=tmp_path)
    with urllib.request.urlopen(f"{server.http_url}/api/schema/?format=json", timeout=10) as answer:
        methods = [method for path in json.load(answer)["paths"].values() for method in path.values()]
    operations = {method["operationId"] for method in methods}
    assert {path.stem for path in (tmp_path / "swarna_rest/api").glob("*/v1_*.py")} == operations
    program = block("python", "swarna_rest", server)
    assert run(sys.executable, "-W", "error", "-c", program, folder=tmp_path, PYTHONPATH=str(tmp_path)) == "13200\n"


def test_types_are_generated_and_describe_the_answers(server: Server, tmp_path: Path) -> None:
    node, tsc = required("node"), required(TSC)
    if not OPENAPI_TYPESCRIPT.exists():
        required("openapi-typescript")
    (generate,) = re.findall(r"^npx openapi-typescript .*$", block("sh", "openapi", server), re.MULTILINE)
    run("sh", "-c", generate.replace("npx openapi-typescript", f"{node} {OPENAPI_TYPESCRIPT}"), folder=tmp_path)
    program = block("ts", "paths", server)
    (tmp_path / "right.ts").write_text(program)
    (tmp_path / "wrong.ts").write_text(program.replace("?.price", "?.prise"))
    options = STRICT | {"noEmit": False, "outDir": "out"}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["right.ts", "wrong.ts"]}))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    checked = subprocess.run([tsc, "--pretty", "false"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    (error,) = checked.stdout.splitlines()
    assert error.startswith("wrong.ts")
    assert "'prise' does not exist" in error
    assert run(node, "out/right.js", folder=tmp_path) == "13200\n"
