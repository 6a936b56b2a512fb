"""The containers' health checks and byte code, by the commands that docker-compose.yml and Dockerfile run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.support.containers import DOCKERFILE, OURS
from tests.support.product import ROOT, free_port
from tests.support.server import Server


def test_pythons_own_library_is_compiled_too(tmp_path: Path) -> None:
    """The image of Python comes without its byte code; pip compiles the packages that it installs."""
    found = re.search(
        r"^RUN python (-m compileall .*) \"\$\(python .*get_path\(\"stdlib\"\).*$", DOCKERFILE, re.MULTILINE
    )
    assert found
    (tmp_path / "site-packages").mkdir()
    for name in ("json.py", "site-packages/a_template.py"):
        (tmp_path / name).write_text("1" if name == "json.py" else "{{ no Python }}")
    subprocess.run([sys.executable, *found[1].split(), str(tmp_path)], check=True)
    assert [path.parent.parent for path in tmp_path.rglob("*.pyc")] == [tmp_path]


def check(name: str, port: int) -> "subprocess.CompletedProcess[str]":
    """A container's health check, on this machine."""
    command, python, *arguments = OURS[name]["healthcheck"]["test"]
    assert (command, python) == ("CMD", "python")
    at = {"3001": str(port), "web": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, *(at.get(word, word) for word in arguments)], cwd=ROOT, capture_output=True, text=True
    )


def test_a_web_process_is_healthy_while_it_answers(server: Server) -> None:
    assert (check("web", server.port).returncode, check("web", server.port).stderr) == (0, "")
    gone = free_port()
    failed = check("web", gone)
    assert failed.returncode == 1
    assert re.fullmatch(
        rf"The web process at http://127\.0\.0\.1:{gone}/ does not answer: .*Connect call failed.*\n", failed.stderr
    )


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_worker_and_beat_are_healthy_while_refreshes_are_begun(name: str, http: HTTPServer) -> None:
    """A price that is stale is no fault of theirs."""
    for refreshes, code, said in (
        ("ok", 0, ""),
        ("none was begun for 70 s", 1, "refreshes: none was begun for 70 s\n"),
    ):
        http.clear()
        http.expect_request("/readyz").respond_with_json({"prices": "stale: gold", "refreshes": refreshes}, 503)
        ran = check(name, http.port)
        assert (ran.returncode, ran.stderr) == (code, said)
    assert check(name, free_port()).returncode == 1


def test_a_health_check_starts_neither_django_nor_celery() -> None:
    program = (
        "import sys, infra.process.probe; sys.exit(' '.join({'django', 'celery', 'redis'} & set(sys.modules)) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    for name in ("web", "worker", "beat"):
        assert OURS[name]["healthcheck"]["test"][2:4] == ["-m", "infra.process.probe"]
