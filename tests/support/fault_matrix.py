"""The fault matrix of docs/sources.md: each case of tests/db/test_vendor_faults.py sees that its line is there.

`pytest tests/db/test_vendor_faults.py --write-fault-matrix` writes the lines anew from what the run saw.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sources.md"
BEGIN, END = "<!-- fault matrix: written by a test run -->\n", "<!-- end of the fault matrix -->\n"
HEAD = "| source | fault | kind of error | what the log says of gold | what is shown, and marked how |\n"
_LINE = "fault matrix"
_lines: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-fault-matrix", action="store_true", help="write docs/sources.md from what this run sees")


@pytest.fixture
def in_matrix(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """See that a line is in the matrix; while it is written, note the line."""

    def check(line: str) -> None:
        if request.config.getoption("--write-fault-matrix"):
            record_property(_LINE, line)
        else:
            assert line in PAGE.read_text().splitlines(), "write it anew: pytest --write-fault-matrix"

    return check


def pytest_runtest_logreport(report: Any) -> None:
    """Where tests run in several processes, this is called in the one that gathers their reports."""
    if report.when == "call":
        _lines.extend(value for name, value in report.user_properties if name == _LINE)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not _lines or hasattr(session.config, "workerinput"):
        return
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "".join(f"{line}\n" for line in sorted(set(_lines)))
    PAGE.write_text(f"{before}{BEGIN}\n{HEAD}| --- | --- | --- | --- | --- |\n{table}\n{END}{after}")
