"""The addresses of the browsers' client that stay."""

import re
from contextlib import closing

import pytest
from django.test import Client

from infra import static_files
from tests.support.product import CLIENT

pytestmark = pytest.mark.django_db  # the end of an answer looks after the connection

MODULES = sorted(path.stem for path in CLIENT.glob("*.js"))
MOVED = {"swarna-client": "swarna-client", "units": "units", "verify": "verify", "use-websocket-prices": "react"}


def led_to(address: str) -> str:
    """The path of the module whose exports an address hands on, checked to be served."""
    answer = Client().get(address)
    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (200, "text/javascript", "no-cache")
    assert answer["Access-Control-Allow-Origin"] == "*"
    found = re.fullmatch(r'export \* from "(\S+)";\n', answer.text)
    assert found
    with closing(Client().get(found[1])) as module:
        assert module["Content-Type"] == 'text/javascript; charset="utf-8"'
    return found[1]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_always_found_by_its_name(name: str) -> None:
    assert led_to(f"/client/v1/{name}.js") == f"/static/client/{name}.js"


@pytest.mark.parametrize(("before", "today"), MOVED.items())
def test_a_module_is_found_where_it_was_before(before: str, today: str) -> None:
    assert led_to(f"/static/streaming/{before}.js") == f"/static/client/{today}.js"


@pytest.mark.parametrize("name", ["no-such", "settings", "SWARNA-CLIENT"])
def test_no_other_file_is(name: str) -> None:
    assert Client().get(f"/client/v1/{name}.js").status_code == 404


def test_a_page_learns_which_files_are_served_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_files, "release", lambda: "04931316ae44")
    answer = Client().get("/client/v1/release.json")
    assert (answer.json(), answer["Cache-Control"]) == ({"release": "04931316ae44"}, "no-cache")
    assert answer["Access-Control-Allow-Origin"] == "*"
