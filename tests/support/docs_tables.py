"""The tables of docs/ that tests write, and see to be there; those of docs/sources.md unless said otherwise.

`pytest tests/unit/test_provider_table.py tests/db/test_provider_faults.py --write-tables` writes them anew.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, OPERATIONS = DOCS / "sources.md", DOCS / "operations.md"
FAULTS = "| source | fault | kind of error | what the log says of gold | what is shown, and marked how |"
_lines: list[str] = []


def table(head: str, lines: Iterable[str]) -> str:
    """A table in Markdown, of its lines and the line that heads it."""
    return "\n".join([head, "|" + " --- |" * (head.count("|") - 1), *lines])


def write(name: str, text: str, page: Path = PAGE) -> None:
    """Write a table in the place of the one that the page has by this name."""
    before, begin, end, after = _parts(name, page)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def written(name: str, page: Path = PAGE) -> str:
    """The table that the page has by this name."""
    _, begin, end, _ = _parts(name, page)
    return page.read_text().partition(begin)[2].partition(end)[0].strip()


def _parts(name: str, page: Path) -> tuple[str, str, str, str]:
    begin, end = f"<!-- {name}: written by a test run -->\n", f"\n<!-- end of {name} -->\n"
    before, _, rest = page.read_text().partition(begin)
    return before, begin, end, rest.partition(end)[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-tables", action="store_true", help="write tables of docs/ from what this run sees")


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
