"""The rows of a sheet, as the browsers' client reads them: the same as the server does (tests/unit/test_rows.py)."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pages.rows import default_sheet, parse, written
from tests.support.js_package import required
from tests.support.product import CLIENT, ROOT

CASES = json.loads((ROOT / "tests/support/row_cases.json").read_text())
CURRENCIES = ["INR", "USD", "AED", "EUR", "GBP", "CHF", "SEK"]
UNITS = ("gram", "8gram", "10gram", "100gram", "tola", "kg", "troy_ounce")
MANY = ",".join(f"gold:{purity}:{unit}" for purity in (999, 916, 750, 585) for unit in UNITS) + ",nonsense" * 10_000
SCRIPT = """
import { readFileSync } from "node:fs";
import { defaultSheet, parse, written } from "./rows.js";
const { texts, currencies } = JSON.parse(readFileSync(0, "utf8"));
const sheets = texts.map(parse).map(({ rows, mistakes, leftOut }) => {
  return [written(rows), mistakes.map(({ text, wrong }) => [text, wrong]), leftOut];
});
console.log(JSON.stringify({ sheets, defaults: currencies.map((currency) => written(defaultSheet(currency))) }));
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All cases, and ten thousand rows, as the client reads them in Node."""
    node = required("node")
    folder: Path = tmp_path_factory.mktemp("rows")
    for name in ("rows.js", "units.js"):
        shutil.copy(CLIENT / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "script.js").write_text(SCRIPT)
    given = {"texts": [*(case["text"] for case in CASES), MANY], "currencies": CURRENCIES}
    ran = subprocess.run(
        [node, folder / "script.js"], input=json.dumps(given), capture_output=True, text=True, timeout=30
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_the_client_reads_each_case_as_the_server_does(read: dict[str, Any]) -> None:
    assert read["sheets"][:-1] == [[case["rows"], case["mistakes"], case["leftOut"]] for case in CASES]


def test_of_ten_thousand_rows_the_client_shows_the_first(read: dict[str, Any]) -> None:
    sheet = parse(MANY)
    assert sheet.left_out > 0
    assert read["sheets"][-1] == [written(sheet.rows), [list(each) for each in sheet.mistakes], sheet.left_out]


def test_the_client_knows_each_currencys_customary_sheet(read: dict[str, Any]) -> None:
    assert read["defaults"] == [written(default_sheet(currency)) for currency in CURRENCIES]
