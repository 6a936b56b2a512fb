"""docs/architecture.md, .dockerignore and the tree say the same."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

from tests.product import ROOT

APPS = [app for app in settings.INSTALLED_APPS if (ROOT / app).is_dir()]
# Django's own, of which nothing has to be said.
BY_CUSTOM = {"__init__.py", "apps.py"}


@pytest.mark.parametrize("app", APPS)
def test_every_module_has_its_room(app: str) -> None:
    _, table = (ROOT / "docs/architecture.md").read_text().split(f"| in `{app}/` | what |")
    named = {Path(name) for name in re.findall(r"`([\w./]+)`", table.partition("\n\n")[0])}
    assert {path.name for path in (ROOT / app).glob("*.py")} - BY_CUSTOM <= {path.name for path in named}
    there = {path.name for path in (ROOT / app).rglob("*.py")}
    assert {path.name for path in named if path.suffix == ".py"} <= there


def test_imports_go_one_way() -> None:
    known = {
        f"{node.module}.{name.name}"
        for path in (ROOT / "prices").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
    }
    assert {name for name in known if name.startswith("streaming")} == {"streaming.publish"}


def test_the_image_has_all_apps() -> None:
    copied = set(re.findall(r"^COPY (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert copied >= {*APPS, "templates", "manage.py"}
    assert copied == set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
