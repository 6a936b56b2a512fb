"""Try the npm package as strangers do: `.venv/bin/python clients/js/trials/run.py [SERVER] [NAME ...]`.

It packs the package and installs the file, from an empty folder, into a project of each kind in this folder; builds the
project; and looks for the price of gold that the server (http://127.0.0.1:3001/, as `make demo` starts it) shows: in a
real Chromium, or in what a program prints in Node 20, 22 and 24. It needs npm, the network and some minutes.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

from playwright.sync_api import sync_playwright

TRIALS = Path(__file__).resolve().parent
PACKAGE = TRIALS.parent
SERVER = "http://127.0.0.1:3001/"
IN_README = "ws://127.0.0.1:3001/"
PAGES = ["react", "next", "vue", "svelte"]
NODES = ["20", "22", "24"]
# Seconds for a project to serve its page, and for the price to be there.
PATIENCE = 60


def main(server: str, *names: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run("npm", "pack", "--silent", "--pack-destination", folder, at=PACKAGE)
        (file,) = Path(folder).glob("*.tgz")
        for name in names or (*PAGES, "readme", "node-ws"):
            begun = time.monotonic()
            project = Path(folder, name)
            if name == "readme":
                shown = "; ".join(readme(project, file, server, node) for node in NODES[1:])
            elif name == "node-ws":
                shown = program(begin(name, project, file, server), "20", "gold.js", server)
            else:
                shown = page(begin(name, project, file, server), server)
            print(f"{name}: {shown} ({time.monotonic() - begun:.0f} s)", flush=True)


def begin(name: str, project: Path, file: Path, server: str) -> Path:
    """A copy of a project for this server, with the package installed, and built."""
    shutil.copytree(TRIALS / name, project)
    for source in (path for path in project.rglob("*") if path.is_file()):
        source.write_text(source.read_text().replace(IN_README, stream_of(server)).replace(SERVER, server))
    run("npm", "install", "--no-audit", "--no-fund", "--silent", file, at=project)
    run("npm", "run", "--silent", "build", at=project)
    return project


def readme(project: Path, file: Path, server: str, node: str) -> str:
    """README's own commands and program, in an empty folder."""
    commands, text = re.findall(r"```(?:js)?\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)[:2]
    assert commands.split("\n")[:2] == ["npm install swarna-client", "node gold.mjs"]
    project = project / node
    project.mkdir(parents=True)
    (project / "gold.mjs").write_text(text.replace(IN_README, stream_of(server)))
    run("npm", "install", "--no-audit", "--no-fund", "--silent", file, at=project)
    return program(project, node, "gold.mjs", server)


def program(project: Path, node: str, name: str, server: str) -> str:
    """The first line that a program prints in this version of Node, checked to be the server's price."""
    command = ["npx", "--yes", "--package", f"node@{node}", "node", name]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout
        end = Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))  # of a program that prints nothing
        end.start()
        line = process.stdout.readline().strip()
        end.cancel()
        os.killpg(process.pid, signal.SIGKILL)
    return f"Node {node}: {checked(line, server)}"


def page(project: Path, server: str) -> str:
    """The text of a project's page, checked to be the server's price."""
    with served(project) as address, sync_playwright() as playwright:
        path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page()
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(address)
        tab.wait_for_function("/\\d/.test(document.querySelector('output')?.textContent)", timeout=PATIENCE * 1000)
        shown = tab.locator("output").inner_text()
        if element := tab.query_selector("swarna-price"):
            element.wait_for_selector(".amount:has-text('₹')")
        browser.close()
        assert not errors, errors
    return checked(shown, server)


@contextmanager
def served(project: Path) -> Iterator[str]:
    """The address at which a project's own server shows its page."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["npm", "run", "--silent", "start", str(port)]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        address = f"http://localhost:{port}/"
        try:
            until = time.monotonic() + PATIENCE
            while not answers(address):
                assert time.monotonic() < until, f"{project.name} does not serve its page"
                time.sleep(0.2)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except OSError:
        return False


def checked(shown: str, server: str) -> str:
    """The text, if the price in it is within a tenth of the one that the server has now."""
    with urllib.request.urlopen(f"{server}api/v1/prices/gold/", timeout=10) as answer:
        price = float(json.load(answer)["price"])
    found = re.search(r"[\d.]+", shown)
    assert found, shown
    assert abs(float(found[0]) - price) < price / 10, (shown, price)
    return shown


def stream_of(server: str) -> str:
    return server.replace("http", "ws", 1)


def run(*command: str | Path, at: Path) -> None:
    ran = subprocess.run(command, cwd=at, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"{' '.join(map(str, command))} in {at}:\n{ran.stdout}{ran.stderr}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*(given if given and given[0].startswith("http") else [SERVER, *given]))
