"""The npm package of the browsers' client, packed as it would be published, and installed into a folder."""

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.product import ROOT

PACKAGE = ROOT / "clients/js"
MANIFEST: dict[str, Any] = json.loads((PACKAGE / "package.json").read_text())
TYPESCRIPT = ROOT / "tests/support/typescript"
TSC = TYPESCRIPT / "node_modules/.bin/tsc"


def required(program: str | Path) -> str:
    """The path of a program; without it the test is skipped, or fails with REQUIRE_TYPESCRIPT=1."""
    path = shutil.which(program)
    if path is None:
        give_up = pytest.fail if os.environ.get("REQUIRE_TYPESCRIPT") == "1" else pytest.skip
        give_up(f"no {program}: install Node with npm, and run `make test`")
    return path


def pack(folder: Path) -> Path:
    """Pack the package in a new folder, which two tests may do at once; returns the file that is published."""
    npm, tsc = required("npm"), required(TSC)
    copy = folder / "package"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("types", "trials", "*.tgz"))
    _run(tsc, "--project", PACKAGE, "--outDir", copy / "types", "--pretty", "false")
    _run(npm, "pack", "--ignore-scripts", "--silent", "--pack-destination", folder, copy)
    (file,) = folder.glob("*.tgz")
    return file


def install(file: Path, folder: Path) -> None:
    """Put the package where Node and TypeScript find it from a folder, as npm does."""
    target = folder / "node_modules" / MANIFEST["name"]
    with tarfile.open(file) as archive:
        archive.extractall(target.parent, filter="data")
    (target.parent / "package").rename(target)


def _run(*command: str | Path) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
