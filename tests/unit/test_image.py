"""docker-compose.yml and Dockerfile: the rights of the containers, and their health checks."""

import re
from pathlib import PurePosixPath

import pytest

from tests.support.containers import DOCKERFILE, OURS, SERVICES


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


# --- health checks -------------------------------------------------------------------------------------------------
