"""Pages name all modules that their scripts import, so that a browser need not read one to find the next."""

import os.path
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]

# At the beginning of a statement: what is imported by a call is loaded late.
IMPORTS = re.compile(r"""^(?:import|export)\b[^;'"]*?["'](\.[^"']+)["']""", re.MULTILINE)


def imported(module: str) -> set[str]:
    """All modules that a module imports, and those that they import, by their names below /static/."""
    found, left = set[str](), [module]
    while left:
        name = left.pop()
        file = finders.find(name)
        assert file, name
        names = {os.path.normpath(Path(name).parent / each) for each in IMPORTS.findall(Path(file).read_text())}
        left += names - found
        found |= names
    return found - {module}


@pytest.mark.parametrize("address", ["/", "/gold/", "/screen/", "/embed/"])
def test_a_page_names_exactly_the_modules_that_its_script_imports(client: Client, address: str) -> None:
    page = client.get(address).content.decode()
    named = re.findall(r'<link rel="modulepreload" href="/static/(.*?)">', page)
    (script,) = re.findall(r'<script type="module" src="/static/(.*?)">', page)
    assert sorted(named) == sorted(imported(script))
    assert "client/swarna-client.js" in named
