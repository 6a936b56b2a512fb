"""A process that is killed between any two statements leaves all of a lock or nothing, and may be asked again."""

import json
import os
import subprocess
import sys

import pytest

from locks.models import LockSettings
from streaming import publish as broadcasting
from tests.support.environment import DATABASE_URL, KINDS
from tests.support.locks import publish
from tests.support.product import ROOT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_or_done_twice_wherever_the_process_is_killed(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(broadcasting, "publication", lambda publication: None)
    address = DATABASE_URL if kind == "sqlite" else request.getfixturevalue("on_postgresql")
    if kind == "sqlite":
        request.getfixturevalue("seeded")
    publish()
    LockSettings.load()
    LockSettings.objects.update(most_held=1000)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "swarna.settings"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) > 12  # statements of a grant
    assert {each["left"] for each in found} == {0, 1}  # all of a lock or nothing, and both came to pass
    assert {each["made"] for each in found} == {1}
    assert {each["status"] for each in found} == {"held", "redeemed"}
    assert {tuple(each["answers"]) for each in found} == {(200, 409)}
