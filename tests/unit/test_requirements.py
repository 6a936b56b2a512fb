"""Every imported package is named in requirements*.in, and all are pinned with hashes in requirements*.txt."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.product import ROOT

OURS = {path.name for folder in (ROOT, ROOT / "clients/python/src") for path in folder.iterdir() if path.is_dir()}
PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[\w,]+\])?==([^\s;]+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return {canonical(package): version for package, version in PINNED.findall((ROOT / name).read_text())}


def canonical(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def imported(*folders: str) -> set[str]:
    """The top-level packages of others that our modules import; a script that names its own is left out."""
    texts = [path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py")]
    modules = {
        name.partition(".")[0]
        for text in texts
        if not text.startswith("# /// script")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }
    return modules - OURS - set(sys.stdlib_module_names) - {""}


@pytest.mark.parametrize(
    ("named", "folders"),
    [
        (["requirements.in"], ["accounts", "infra", "locks", "pages", "prices", "signing", "streaming", "swarna"]),
        (["requirements.in", "requirements-dev.in"], ["tests", "bench"]),
    ],
    ids=["product", "tests"],
)
def test_what_is_imported_is_named(named: list[str], folders: list[str]) -> None:
    known = {package for name in named for package in pins(name)}
    distributions = packages_distributions()
    unnamed = {
        module
        for module in imported(*folders)
        if known.isdisjoint(canonical(distribution) for distribution in distributions[module])
    }
    assert unnamed == set()


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_lock_holds_what_is_named_and_a_hash_of_each(name: str) -> None:
    lock = (ROOT / f"{name}.txt").read_text()
    assert pins(f"{name}.in").items() <= pins(f"{name}.txt").items()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock.partition("make lock\n")[2])
    assert len(blocks) == len(PINNED.findall(lock))
    assert all("--hash=sha256:" in block for block in blocks)


def test_both_locks_agree() -> None:
    assert pins("requirements.txt").items() <= pins("requirements-dev.txt").items()


def test_a_lock_names_no_place_that_it_came_from() -> None:
    assert not re.search(
        r"https?://|--(extra-)?index-url|--find-links|file:", Path(ROOT / "requirements-dev.txt").read_text()
    )
