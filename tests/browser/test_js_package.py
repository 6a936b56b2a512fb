"""The npm package as strangers have it: packed, installed into an empty folder, and used in Node by its README."""

import json
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from typing import Any, TypeAlias

import pytest

from tests.support.js_package import MANIFEST, PACKAGE, install, pack, required
from tests.support.product import CLIENT, ROOT, free_port
from tests.support.stub_stream import StubStream, price_update, quote, status

README = (PACKAGE / "README.md").read_text()
COMMANDS, PROGRAM, EVENTS = re.findall(r"```(?:js)?\n(.*?)```", README, re.DOTALL)[:3]
Run: TypeAlias = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def project(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has installed the package and React, of which a server needs no more than this."""
    folder = tmp_path_factory.mktemp("project")
    install(packed, folder)
    react = folder / "node_modules/react"
    react.mkdir()
    (react / "package.json").write_text('{"name": "react", "type": "module", "exports": "./index.js"}')
    (react / "index.js").write_text("export const useState = (first) => [first];\nexport const useEffect = () => {};\n")
    return folder


@pytest.fixture
def run(project: Path) -> Run:
    """Run a program in Node; returns what it prints, a JSON value a line, until it has printed so many.

    Where `lines` is None it has to end by itself, which Node does once nothing is open.
    """
    node = required("node")

    def run(program: str, *flags: str, lines: int | None = 1) -> list[Any]:
        (project / "program.mjs").write_text(program)
        command: list[str | Path] = [node, "--no-warnings", *flags, project / "program.mjs"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout
            in_time = Timer(30, process.kill)
            in_time.start()
            if lines is None:
                printed = process.stdout.readlines()
                assert process.wait() == 0, printed
            else:
                printed = [process.stdout.readline() for _ in range(lines)]
                process.kill()
            in_time.cancel()
        return [json.loads(line) if line[:1] in ("[", "{") else line.strip() for line in printed]

    return run


@pytest.fixture
def stream() -> Iterator[StubStream]:
    with StubStream() as stream:
        stream.greeting = [price_update(7, gold=quote(13221.39)), status()]
        yield stream


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_it_holds_exactly_the_modules_that_are_served(packed: Path) -> None:
    with tarfile.open(packed) as archive:
        files = {name: archive.extractfile(name) for name in archive.getnames()}
        inside = {name.removeprefix("package/"): file.read() for name, file in files.items() if file}
    served = {f"client/{path.relative_to(CLIENT)}": path.read_bytes() for path in CLIENT.rglob("*.js")}
    types = {name.replace("client/", "types/").replace(".js", ".d.ts") for name in served}
    assert {name: inside[name] for name in served} == served
    assert set(inside) - set(served) == types | {"package.json", "README.md", "LICENSE", "react.d.ts"}
    assert inside["LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_it_depends_on_nothing() -> None:
    assert not {"dependencies", "devDependencies", "bundleDependencies", "optionalDependencies"} & set(MANIFEST)
    assert MANIFEST["peerDependenciesMeta"] == {"react": {"optional": True}}


def test_every_entry_has_its_types_and_loads_without_a_browser(run: Run, project: Path) -> None:
    """As on a server that renders pages."""
    entries = {name: files for name, files in MANIFEST["exports"].items() if name != "./package.json"}
    assert set(entries) == {".", "./units", "./react", "./element", "./verify"}
    for files in entries.values():
        assert all((project / "node_modules/swarna-client" / file).is_file() for file in files.values())
    names = [name.replace(".", "swarna-client", 1) for name in entries]
    (loaded,) = run(f"""
        const loaded = {{}};
        for (const name of {names}) loaded[name] = Object.keys(await import(name));
        console.log(JSON.stringify(loaded));
    """)
    assert all(loaded[name] for name in names)


def test_a_component_that_a_server_renders_has_no_price_and_connects_to_nothing(run: Run, stream: StubStream) -> None:
    program = f"""
        import {{ useWebSocketPrices }} from "swarna-client/react";
        console.log(JSON.stringify(useWebSocketPrices("{stream.http_url}/ws/prices/")));
    """
    (rendered,) = run(program, "--experimental-websocket", lines=None)
    nothing = dict.fromkeys(("currency", "unit", "error", "status"))
    assert rendered == {"prices": {}, "connected": False, **nothing}
    assert not stream.has_connection()


# --- its README ------------------------------------------------------------------------------------------------------


def test_from_an_empty_folder_to_a_price_are_three_commands_and_ten_lines_at_most() -> None:
    commands, lines = COMMANDS.splitlines(), [line for line in PROGRAM.splitlines() if line]
    assert commands == ["npm install swarna-client", "node gold.mjs"]
    assert len(lines) <= 10


def test_the_first_program_prints_the_price(run: Run, stream: StubStream) -> None:
    assert PROGRAM.count("ws://127.0.0.1:3001/") == 1
    program = PROGRAM.replace("ws://127.0.0.1:3001/", f"{stream.http_url}/ws/prices/".replace("http", "ws"))
    # By this flag Node has had a WebSocket since version 20.
    assert run(program, "--experimental-websocket") == ["13221.39 INR per gram"]


def test_the_first_program_says_why_there_is_no_price(run: Run) -> None:
    port = free_port()
    program = PROGRAM.replace("127.0.0.1:3001", f"127.0.0.1:{port}")
    why = f"The server cannot be reached: connect ECONNREFUSED 127.0.0.1:{port}"
    assert run(program, "--experimental-websocket") == [why]


@pytest.mark.parametrize("address", ["127.0.0.1:3001", "localhost:3001", "prices.example"])
def test_an_address_without_its_scheme_is_told_as_that(run: Run, address: str) -> None:
    program = PROGRAM.replace("ws://127.0.0.1:3001/", address)
    caught = f"process.on('uncaughtException', (error) => console.log(String(error)));\n{program}"
    assert run(caught) == [f"SyntaxError: {address} is no server's address, such as wss://prices.example/"]


@pytest.mark.parametrize("delay", ["0", "-1", "NaN", "'5000'", "null"])
def test_a_server_is_not_hammered_by_a_delay_that_is_none(run: Run, delay: str) -> None:
    (said,) = run(f"""
        import {{ SwarnaClient }} from "swarna-client";
        try {{
          new SwarnaClient("ws://127.0.0.1:3001/", {{ reconnectDelay: {delay} }});
          console.log("taken");
        }} catch (error) {{
          console.log(String(error));
        }}
    """)
    assert said == "TypeError: reconnectDelay must be milliseconds, more than 0"


def test_an_address_without_prices_is_told_as_that(run: Run) -> None:
    (reason,) = run("""
        import { SwarnaClient } from "swarna-client";
        const fetch = async () => new Response("", { status: 404 });
        const client = new SwarnaClient("http://nowhere.example/", { fetch, transports: ["sse"] });
        client.addEventListener("connection", ({ detail: { reason } }) => reason && console.log(reason));
        client.connect();
    """)
    assert reason == "There are no prices at this address: HTTP 404"


def test_the_program_of_all_events_prints_them_where_no_token_is_required(run: Run, stream: StubStream) -> None:
    program = EVENTS.replace("wss://prices.example/", f"{stream.http_url}/ws/prices/")
    assert "121107.9324" in run(program, "--experimental-websocket", lines=4)
    assert stream.connection().offered == ["swarnaai-v1"]


def test_the_program_of_all_events_goes_on_with_a_token_where_one_is_required(run: Run, stream: StubStream) -> None:
    stream.greeting = []
    program = EVENTS.replace("wss://prices.example/", f"{stream.http_url}/ws/prices/")
    with ThreadPoolExecutor() as aside:
        printed = aside.submit(run, program, "--experimental-websocket", lines=4)
        stream.connection().close(1008, "Unauthorized")
        assert "swarna_TOKEN" in "".join(stream.connection().offered)
        assert printed.result() == ["connecting", "open", "connecting", "open"]


# --- what may be given to it -----------------------------------------------------------------------------------------


def test_a_platform_without_a_websocket_may_be_given_one(run: Run, stream: StubStream) -> None:
    said = run(
        f"""
        import {{ SwarnaClient }} from "swarna-client";
        const made = [];
        class Given extends WebSocket {{
          constructor(...how) {{
            super(...how);
            made.push(how);
          }}
        }}
        delete globalThis.WebSocket;
        const client = new SwarnaClient("{stream.http_url}/ws/prices/", {{ WebSocket: Given }});
        client.addEventListener("prices", () => console.log(JSON.stringify([client.transport, made])));
        client.connect();
        """,
        "--experimental-websocket",
    )
    assert said == [["websocket", [[f"{stream.http_url}/ws/prices/".replace("http", "ws"), ["swarnaai-v1"]]]]]


def test_events_and_polls_are_asked_for_by_the_fetch_that_is_given(run: Run) -> None:
    asked = run(
        """
        import { SwarnaClient } from "swarna-client";
        const fetch = async (url) => {
          console.log(JSON.stringify([url.pathname]));
          return new Response("", { status: 404 });
        };
        new SwarnaClient("http://nowhere.example/", { fetch, transports: ["sse", "poll"] }).connect();
        """,
        lines=2,
    )
    assert asked == [["/api/v1/stream/"], ["/api/v1/prices/"]]
