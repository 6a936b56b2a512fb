"""clients/python, as strangers have it: its wheel, its README's programs, each supported Python, and a real server."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import websockets
from django.contrib.auth.models import User

from accounts import tokens
from swarna_client import Disconnected, Position, PriceUpdate, RefusedError, SwarnaClient
from tests.support.product import ROOT
from tests.support.server import Server

PACKAGE = ROOT / "clients/python"
SUPPORTED = ("3.11", "3.12", "3.13")


def blocks_of_readme() -> list[str]:
    """The programs of README."""
    return re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)


def pythons() -> Iterator[Any]:
    """The supported Pythons that this machine has. pyenv's are in its folder, whichever of them it shows."""
    of_pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in SUPPORTED:
        candidates = [sys.executable, f"python{version}", *map(str, of_pyenv.glob(f"{version}.*/bin/python"))]
        found = next((python for python in filter(shutil.which, candidates) if version_of(python) == version), None)
        if found:
            yield pytest.param(found, id=version)


def version_of(python: str) -> str:
    """Such as 3.11; of a program that is none, what it says."""
    ask = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it would be published."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = str(Path(sys.executable).with_name("uv"))
    build = [uv, "build", "--quiet", "--offline", "--wheel", "--out-dir", str(folder), str(PACKAGE)]
    subprocess.run(build, check=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's modules, and those that it depends on; none of them is compiled."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    shutil.copytree(Path(websockets.__file__).parent, folder / "websockets", ignore=shutil.ignore_patterns("*.so"))
    return folder


def lines_of(program: str, server: Server, installed: Path, count: int, python: str = sys.executable) -> list[str]:
    """The first lines that a program of README prints, in a folder and an environment without Swarna's code."""
    ours = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed), "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
    text = program.replace("http://127.0.0.1:3001/", f"{server.http_url}/")
    running = subprocess.Popen(
        [python, "-W", "error", "-c", text], cwd=installed, env=ours, stdout=subprocess.PIPE, text=True
    )
    in_time = Timer(30, running.kill)
    in_time.start()
    with running:
        assert running.stdout is not None
        lines = [line.strip() for line in islice(running.stdout, count)]
        running.terminate()
    in_time.cancel()
    return lines


@pytest.fixture(scope="module")
def shop(run_server: Callable[..., Server]) -> Server:
    server = run_server(WS_AUTH_RECHECK="1s", WS_BATCH_INTERVAL="0")
    server.publish(gold="13200", silver="165")
    return server


def test_the_wheel_has_types_a_licence_and_no_code_but_its_own(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"swarna_client/__init__.py", "swarna_client/py.typed"} <= set(names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    metadata = wheel.name.replace("-py3-none-any.whl", ".dist-info")
    assert {name.split("/")[0] for name in names} == {"swarna_client", metadata}


@pytest.mark.parametrize("python", list(pythons()))
def test_readmes_first_program_shows_the_price_in_each_python(python: str, shop: Server, installed: Path) -> None:
    first, _ = blocks_of_readme()
    assert len([line for line in first.splitlines() if line]) <= 10
    (line,) = lines_of(first, shop, installed, 1, python)
    assert re.fullmatch(r"13\d00 INR gram", line)


def test_readmes_second_program_shows_all_that_happens(shop: Server, installed: Path) -> None:
    _, second = blocks_of_readme()
    lines = lines_of(second, shop, installed, 4)
    assert "connected, for gold silver" in lines
    assert {"silver 165 gold_api_com"} <= set(lines)


def test_readmes_programs_pass_strict_types(installed: Path, tmp_path: Path) -> None:
    for number, program in enumerate(blocks_of_readme()):
        (tmp_path / f"program{number}.py").write_text(program)
    shutil.copytree(installed / "swarna_client", tmp_path / "swarna_client")
    check = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "."]
    ran = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr


async def test_a_restart_of_the_server_loses_no_move(run_server: Callable[..., Server]) -> None:
    server = await asyncio.to_thread(run_server, WS_BATCH_INTERVAL="0")
    await asyncio.to_thread(lambda: server.publish(gold="13200"))
    async with SwarnaClient(server.http_url, metals=["gold"]) as client, asyncio.timeout(60):
        await anext(client.updates())
        await asyncio.to_thread(server.kill)
        await lost(client)
        await asyncio.to_thread(lambda: server.publish(gold="13500"))
        await asyncio.to_thread(lambda: server.publish(gold="13300"))
        await asyncio.to_thread(server.start)
        update = await anext(client.updates())
    assert [str(move.new_price) for move in update.changes] == ["13500", "13300"]
    assert (update.snapshot, str(client.prices["gold"].price)) == (False, "13300")


async def lost(client: SwarnaClient) -> None:
    async for event in client:
        if isinstance(event, Disconnected):
            return


async def test_a_program_that_starts_anew_misses_no_move(shop: Server) -> None:
    async with SwarnaClient(shop.http_url, metals=["gold"]) as before, asyncio.timeout(30):
        await anext(before.updates())
    await asyncio.to_thread(lambda: shop.publish(gold="13600"))
    since = Position.parse(str(before.position))
    async with SwarnaClient(shop.http_url, metals=["gold"], since=since) as after, asyncio.timeout(30):
        update = await anext(after.updates())
        assert [str(move.new_price) for move in update.changes] == ["13600"]
        assert after.is_timed
    async with SwarnaClient(shop.http_url, metals=["gold"], since=after.position) as idle, asyncio.timeout(30):
        update = await anext(idle.updates())
        assert (update.changes, str(update.prices["gold"].price)) == ((), "13600")


async def test_a_token_that_ends_ends_the_loop(shop: Server) -> None:

    token = await asyncio.to_thread(shop.do, lambda: tokens.issue(User.objects.create_user("trader"))[1])
    async with SwarnaClient(shop.http_url, token=token) as client, asyncio.timeout(30):
        assert isinstance(await anext(client.updates()), PriceUpdate)
        await asyncio.to_thread(shop.do, lambda: User.objects.get(username="trader").delete())
        with pytest.raises(RefusedError) as ended:
            async for _ in client:
                pass
    assert ended.value.code == "unauthorized"
