"""Vendored files are exactly as their authors published them."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.support.product import ROOT

# Of each folder: ours in it, which name and check the others.
OURS = {
    ROOT / "pages/static/pages/vendor": {
        "README.md",
        "SHA256SUMS",
        "lightweight-charts.standalone.production.d.mts",
    },
    ROOT / "tests/support/vendor": {"NOTICE.md", "SHA256SUMS"},
}
each_folder = pytest.mark.parametrize("folder", OURS, ids=lambda folder: str(folder.relative_to(ROOT)))


def recorded_sums(folder: Path) -> dict[str, str]:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


@each_folder
def test_every_vendored_file_is_unchanged(folder: Path):
    actual = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name not in OURS[folder]
    }
    assert actual == recorded_sums(folder)


@each_folder
def test_every_vendored_script_says_where_it_is_from(folder: Path):
    (notice,) = folder.glob("*.md")
    assert [name for name in recorded_sums(folder) if name not in notice.read_text()] == []


def test_the_chart_library_and_its_types_are_of_one_version():
    packages = json.loads((ROOT / "tests/support/typescript/package.json").read_text())["devDependencies"]
    vendor = ROOT / "pages/static/pages/vendor"
    version = packages["lightweight-charts"]
    assert f"npm package `lightweight-charts` {version}," in (vendor / "README.md").read_text()
    library = (vendor / "lightweight-charts.standalone.production.mjs").read_text()
    assert library.splitlines()[2].strip() == f"* TradingView Lightweight Charts™ v{version}"
