"""docker-compose.yml and Dockerfile: the rights of the containers, and their health checks."""

import re
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer

from tests.support.product import ROOT, free_port
from tests.support.server import Server

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_gain_no_right_and_writes_only_where_it_is_let(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])
    # The rights to become another user are gone: each begins as the one that it is.
    assert "user" in service or re.search(r"^USER \d+$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("name", OURS)
def test_each_folder_that_the_product_writes_to_is_a_volume(name: str) -> None:
    service = OURS[name]
    granted = [PurePosixPath(volume.partition(":")[2]) for volume in service["volumes"]]
    granted += map(PurePosixPath, service["tmpfs"])
    assert PurePosixPath("/tmp") in granted
    for variable in ("SWARNA_STATE_DIR", "METRICS_DIR"):
        assert any(PurePosixPath(service["environment"][variable]).is_relative_to(folder) for folder in granted)
    # A volume takes over the owner of the folder in its place.
    assert f"--owner=swarna --group=swarna --mode=700 {OURS['web']['environment']['SWARNA_STATE_DIR']}" in DOCKERFILE


@pytest.mark.parametrize("name", OURS)
def test_an_update_is_what_runs_after_the_next_up(name: str) -> None:
    """With a name and no policy, Compose would find the image of before, and go on with it."""
    assert OURS[name]["pull_policy"] == "build"
    assert "image" not in OURS[name]


def test_the_port_is_published_to_this_machine_alone_by_default() -> None:
    assert OURS["web"]["ports"] == ["${PUBLISHED_ADDRESS:-127.0.0.1}:${PUBLISHED_PORT:-3001}:3001"]
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]


def test_byte_code_is_compiled_in_the_build() -> None:
    of_ours = DOCKERFILE.index("RUN python -m compileall -q .\n")
    assert DOCKERFILE.rindex("COPY ") < of_ours < DOCKERFILE.index("USER ")


def test_pythons_own_library_is_compiled_too(tmp_path: Path) -> None:
    """The image of Python comes without its byte code; pip compiles what it installs."""
    found = re.search(
        r"^RUN python (-m compileall .*) \"\$\(python .*get_path\(\"stdlib\"\).*$", DOCKERFILE, re.MULTILINE
    )
    assert found
    (tmp_path / "site-packages").mkdir()
    for name in ("json.py", "site-packages/a_template.py"):
        (tmp_path / name).write_text("1" if name == "json.py" else "{{ no Python }}")
    subprocess.run([sys.executable, *found[1].split(), str(tmp_path)], check=True)
    assert [path.parent.parent for path in tmp_path.rglob("*.pyc")] == [tmp_path]


# --- health checks -------------------------------------------------------------------------------------------------


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
