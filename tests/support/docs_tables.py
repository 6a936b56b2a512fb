"""The tables of docs/sources.md that tests write, and see to be there.

`pytest tests/unit/test_provider_table.py tests/db/test_provider_faults.py --write-tables` writes them anew.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sources.md"
FAULTS = "| source | fault | kind of error | what the log says of gold | what is shown, and marked how |"
_lines: list[str] = []


def table(head: str, lines: Iterable[str]) -> str:
    """A table in Markdown, of its lines and the line that heads it."""
    return "\n".join([head, "|" + " --- |" * (head.count("|") - 1), *lines])


def write(name: str, text: str) -> None:
    """Write a table in the place of the one that the page has by this name."""
    before, begin, end, after = _parts(name)
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def written(name: str) -> str:
    """The table that the page has by this name."""
    return PAGE.read_text().partition(_parts(name)[1])[2].partition(_parts(name)[2])[0].strip()


def _parts(name: str) -> tuple[str, str, str, str]:
    begin, end = f"<!-- {name}: written by a test run -->\n", f"\n<!-- end of {name} -->\n"
    before, _, rest = PAGE.read_text().partition(begin)
    return before, begin, end, rest.partition(end)[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-tables", action="store_true", help="write docs/sources.md from what this run sees")


@pytest.fixture
def in_matrix(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """See that a line is in the fault matrix; while it is written, note the line."""

    def check(line: str) -> None:
        if request.config.getoption("--write-tables"):
            record_property("fault", line)
        else:
            assert line in PAGE.read_text().splitlines(), "write it anew: pytest --write-tables"

    return check


def pytest_runtest_logreport(report: Any) -> None:
    """Where tests run in several processes, this is called in the one that gathers their reports."""
    if report.when == "call":
        _lines.extend(value for name, value in report.user_properties if name == "fault")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _lines and not hasattr(session.config, "workerinput"):
        write("the fault matrix", table(FAULTS, sorted(set(_lines))))
