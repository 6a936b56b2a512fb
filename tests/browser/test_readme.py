"""README's commands work, beside a demo as `make demo` starts it in a checkout of its own."""

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.support.product import ROOT, answers, free_port, wait_until

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv*", "var", ".env", "node_modules", "__pycache__", ".*_cache")


def block(kind: str, words: str) -> str:
    """The one block of README of this kind with these words in it."""
    found: str
    (found,) = [text for of_kind, text in BLOCKS if of_kind == kind and words in text]
    return found


class Demo:
    """`make demo`, in a copy of this checkout; as one is typed in after the other, its environment is a shell's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "swarna"
        shutil.copytree(ROOT, self.folder, ignore=LEFT_BEHIND)
        (self.folder / ".venv").symlink_to((ROOT / ".venv").resolve())
        self.port = free_port()
        self.http_url = f"http://127.0.0.1:{self.port}"
        # Somebody's own database, which nothing of the demo may touch.
        (self.folder / ".env").write_text(f"DATABASE_URL=sqlite:///{folder}/somebodys-own.sqlite3\n")
        ours = [name for name in os.environ if name.startswith(("SWARNA_", "DJANGO_")) or name.endswith("_URL")]
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        self.shell = kept | {"WEBSOCKET_PORT": str(self.port)}
        with (folder / "log").open("wb") as log:
            command = ["make", "--old-file=setup", "demo"]  # the environment stands, and has no network
            self._make = subprocess.Popen(
                command, cwd=self.folder, env=self.shell, stdout=log, stderr=log, start_new_session=True
            )
        self.log = folder / "log"

    def has_price(self) -> bool:
        if not answers(f"{self.http_url}/healthz"):
            return False
        prices = requests.get(f"{self.http_url}/api/v1/prices/", timeout=10).json()["data"]
        return {quote["source"] for quote in prices.values()} == {"simulated"}

    def typed(self, command: str, **more: str) -> subprocess.Popen[str]:
        """A command of README, begun in the demo's checkout; its address is the demo's."""
        return subprocess.Popen(
            ["bash", "-c", command.replace("127.0.0.1:3001", f"127.0.0.1:{self.port}")],
            cwd=self.folder,
            env=self.shell | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def stop(self) -> None:
        os.killpg(self._make.pid, signal.SIGINT)
        self._make.wait(15)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("readme"))
    try:
        wait_until(demo.has_price, f"the demo's prices; see {demo.log}", 60)
        yield demo
    finally:
        demo.stop()


def test_the_first_member_of_staff_of_the_demo_can_log_in(demo: Demo) -> None:
    (command,) = [line for line in block("", "createsuperuser").splitlines() if "var/demo" in line]
    assert f"to create the first staff user: {command}" in demo.log.read_text()
    typed = demo.typed(
        f"{command} --noinput --username boss --email boss@example.com", DJANGO_SUPERUSER_PASSWORD="opensesame"
    )
    said, _ = typed.communicate(timeout=60)
    assert typed.returncode == 0, said
    with requests.Session() as browser:
        page = browser.get(f"{demo.http_url}/admin/login/?next=/admin/", timeout=10).text
        (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        form = {"username": "boss", "password": "opensesame", "csrfmiddlewaretoken": token, "next": "/admin/"}
        desk = browser.post(f"{demo.http_url}/admin/login/", form, timeout=10)
    assert desk.url == f"{demo.http_url}/admin/"
    assert "Log out" in desk.text
    assert not (demo.folder.parent / "somebodys-own.sqlite3").exists()


def test_the_python_example_prints_what_it_subscribed_to_and_nothing_else(demo: Demo) -> None:
    (demo.folder / "example.py").write_text(
        block("python", "websockets").replace("127.0.0.1:3001", f"127.0.0.1:{demo.port}")
    )
    typed = demo.typed("exec .venv/bin/python -u example.py")
    assert typed.stdout is not None
    try:
        lines: list[list[str]] = []
        deadline = time.monotonic() + 30
        while len(lines) < 6 and select.select([typed.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
            lines.append(typed.stdout.readline().split())
    finally:
        typed.terminate()
        typed.wait(10)
        typed.stdout.close()
    assert [(metal, source) for metal, _, source, *_ in lines] == [("gold", "simulated"), ("silver", "simulated")] * 3


def test_the_page_of_readme_shows_a_price(demo: Demo, page: Page) -> None:
    html = block("html", "SwarnaClient").replace("127.0.0.1:3001", f"127.0.0.1:{demo.port}")
    page.route(f"{demo.http_url}/page", lambda route: route.fulfill(content_type="text/html", body=html))
    page.context.grant_permissions(["local-network-access"])
    page.goto(f"{demo.http_url}/page")
    expect(page.locator("output")).to_have_text(re.compile(r"^\d+(\.\d+)? per gram, simulated$"))
