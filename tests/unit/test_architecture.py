"""docs/architecture.md, .dockerignore, CHANGELOG.md and the tree say the same."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from prices.domain.provider_table import PROVIDER_TABLE
from swarna import __version__
from tests.support.product import ROOT

PACKAGES = ["infra", *(app for app in settings.INSTALLED_APPS if (ROOT / app).is_dir())]
# Django's own, and the providers' of docs/sources.md: nothing has to be said of them here.
BY_CUSTOM = {"__init__.py", "apps.py", "urls.py", "migrations", *(f"{name}.py" for name in PROVIDER_TABLE)}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_is_in_a_room_of_the_map(package: str) -> None:
    """Each table is a folder's; a module is named in it, or the folder that it is in."""
    named = set()
    for table in re.findall(rf"^\| in `({package}/.*?)\n\n", (ROOT / "docs/architecture.md").read_text(), re.M | re.S):
        folder, _, rows = table.partition("`")
        named |= {
            Path(folder) / name for name in re.findall(r"^\| (`.*?) \|", rows, re.M) for name in name.split("`")[1::2]
        }
    modules = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")}
    lost = {path for path in modules if not ({path, *path.parents} & named) and BY_CUSTOM.isdisjoint(path.parts)}
    assert lost == set()
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_image_has_all_packages() -> None:
    copied = set(re.findall(r"^COPY (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert copied >= {*PACKAGES, "templates", "manage.py"}
    assert copied == set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))


def test_the_newest_version_of_the_changelog_is_this_one() -> None:
    versions = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == __version__
