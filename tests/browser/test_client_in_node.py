"""The client library in Node: its parts without a network, and the whole of it, with and without a WebSocket."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.support.bad_proxy import BadProxy, bad_proxy
from tests.support.js_package import required
from tests.support.product import CLIENT
from tests.support.stub_market import Market, market
from tests.support.stub_stream import StubStream

__all__ = ["market"]  # a fixture

Run: TypeAlias = Callable[[str], Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a script in Node with all of the library in scope; returns what it hands to `say`."""
    node = required("node")
    shutil.copy(CLIENT / "swarna-client.js", tmp_path / "swarna-client.mjs")

    def run(script: str) -> Any:
        file = tmp_path / "script.mjs"
        file.write_text(
            'import { backoff, endOf, EventStream, isInTheWay, SwarnaClient } from "./swarna-client.mjs";\n'
            f"const say = (what) => console.log(JSON.stringify(what));\n{script}"
        )
        # Node has a WebSocket of its own from version 22 on, and before by this flag.
        command: list[str | Path] = [node, "--no-warnings", "--experimental-websocket", file]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run


# --- events in a text ----------------------------------------------------------------------------------------------

EVENTS = [
    ("data: 1\n\ndata: 2\n\n", ["1", "2"]),
    ("data: 1\r\n\r\ndata: 2\r\n\r\n", ["1", "2"]),
    ("data: 1\r\rdata: 2\r\r", ["1", "2"]),
    ("data: 1\r\n\ndata: 2\r\r\n", ["1", "2"]),
    ("\ufeffdata: 1\n\n", ["1"]),
    ("data: \ufeff1\n\n", ["\ufeff1"]),
    ("data: one\ndata:  two\ndata\ndata:three\n\n", ["one\n two\n\nthree"]),
    (": comment\n\nretry: 3000\n\n:\n\nevent: x\n\ndata: 1\n\n", ["1"]),
    ("data: ₹ 13,221 für 🥇\n\n", ["₹ 13,221 für 🥇"]),
    ("data: 1\n\ndata: never completed\n", ["1"]),
    ("nonsense\ndata 1\n:data: 2\ndata: a:b\n\n", ["a:b"]),
]


@pytest.mark.parametrize(("text", "data"), EVENTS, ids=repr)
def test_events_are_found_wherever_the_bytes_are_cut(run: Run, text: str, data: list[str]) -> None:
    found = run(f"""
        const bytes = new TextEncoder().encode({json.dumps(text)});
        const read = (...chunks) => {{
          const events = new EventStream();
          return chunks.flatMap((chunk) => events.feed(chunk));
        }};
        const found = [read(bytes), read(...Array.from(bytes, (byte) => Uint8Array.of(byte)))];
        for (let cut = 0; cut <= bytes.length; cut++) {{
          found.push(read(bytes.subarray(0, cut), new Uint8Array(), bytes.subarray(cut)));
        }}
        say([...new Set(found.map((each) => JSON.stringify(each)))].map(JSON.parse));
    """)
    assert found == [data]


# --- how to go on --------------------------------------------------------------------------------------------------


def test_another_transport_is_tried_only_where_something_may_be_in_the_way(run: Run) -> None:
    found = run("""
        const tried = [];
        for (const fate of ["lost", "unopened", "blocked", "unreachable", "refused"]) {
          for (const isProven of [false, true]) {
            for (const attempt of [0, 1, 2]) {
              if (isInTheWay(fate, isProven, attempt)) tried.push([fate, isProven, attempt]);
            }
          }
        }
        say(tried);
    """)
    assert found == [
        ["unopened", False, 0],
        ["unopened", False, 1],
        ["unopened", False, 2],
        ["unopened", True, 2],
        *(["blocked", is_proven, attempt] for is_proven in (False, True) for attempt in (0, 1, 2)),
    ]


STREAM = "text/event-stream"
JSON = "application/json"
HTML = "text/html; charset=utf-8"
PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("status", "sent", "wanted", "fate"),
    [
        (200, "text/event-stream; charset=utf-8", STREAM, None),
        (200, "Application/JSON", JSON, None),
        (204, "", JSON, None),
        (304, "", JSON, None),
        (204, "", STREAM, "blocked"),
        (200, HTML, STREAM, "blocked"),
        (200, JSON, STREAM, "blocked"),
        (400, PROBLEM, JSON, "blocked"),
        (403, HTML, STREAM, "blocked"),
        (404, PROBLEM, STREAM, "blocked"),
        (407, HTML, STREAM, "blocked"),
        (500, PROBLEM, STREAM, "unreachable"),
        (502, HTML, STREAM, "unreachable"),
        (504, HTML, JSON, "unreachable"),
        (401, HTML, JSON, "refused"),
        (403, PROBLEM, STREAM, "refused"),
        (429, HTML, STREAM, "refused"),
        (503, HTML, JSON, "refused"),
    ],
)
def test_an_answer_is_the_wanted_one_or_a_block_or_the_servers_refusal(
    run: Run, status: int, sent: str, wanted: str, fate: str | None
) -> None:
    answer = f"{{ status: {status}, headers: new Headers({{ 'Content-Type': {json.dumps(sent)} }}) }}"
    assert run(f"say(endOf({answer}, {json.dumps(wanted)})?.fate ?? null)") == fate


def test_waits_double_up_to_the_longest_and_are_lengthened_at_random(run: Run) -> None:
    exact = "{ reconnectDelay: 1000, maxReconnectDelay: 30000, jitter: 0 }"
    assert run(f"say([1, 2, 3, 4, 5, 6, 2000].map((attempt) => backoff(attempt, {exact})))") == [
        *(1000, 2000, 4000, 8000, 16_000, 30_000, 30_000)
    ]
    random = exact.replace("jitter: 0", "jitter: 0.5")
    delays = run(f"say(Array.from({{ length: 1000 }}, () => backoff(1, {random})))")
    assert 1000 <= min(delays) < 1050
    assert 1450 < max(delays) <= 1500


# --- the whole client ----------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(market: Market) -> Iterator[BadProxy]:
    with StubStream(autopilot=market) as stream, bad_proxy(stream.port) as proxy:
        yield proxy


def follow(proxy: BadProxy, begin: str = "") -> str:
    """A script that takes in updates until it has 100 moves, and then says by which transport, and all moves."""
    return f"""
        {begin}
        const client = new SwarnaClient("{proxy.http_url}/ws/prices/", {{ reconnectDelay: 10 }});
        const moves = [];
        const transports = [];
        client.addEventListener("transport", ({{ detail }}) => transports.push(detail.transport));
        client.addEventListener("prices", ({{ detail }}) => {{
          moves.push(...detail.changes.map(({{ newPrice }}) => newPrice));
          if (moves.length < 100) return;
          client.close();
          say({{ moves, transports, state: client.connection.state }});
        }});
        client.connect();
    """


@pytest.mark.parametrize(
    ("begin", "blocked", "transport"),
    [
        ("", (), "websocket"),
        ("delete globalThis.WebSocket;", (), "sse"),
        ("", ("websocket",), "sse"),
        ("", ("websocket", "sse"), "poll"),
    ],
    ids=["websocket", "an old Node", "websocket blocked", "events blocked"],
)
def test_it_follows_the_prices_in_node(
    run: Run, market: Market, proxy: BadProxy, begin: str, blocked: tuple[str, ...], transport: str
) -> None:
    proxy.faults = dict.fromkeys(blocked, "forbid")
    with market.publishing():
        said = run(follow(proxy, begin))
    assert said["transports"] == [transport]
    assert said["state"] == "closed"
    first = market.moves.index(said["moves"][0])
    assert said["moves"] == market.moves[first : first + len(said["moves"])]


def test_a_server_that_is_long_away_is_waited_for(run: Run, proxy: BadProxy) -> None:
    # A program in Node has nobody who reloads it, and without a retry ahead it would end.
    said = run(f"""
        const isBack = () => client.connection.attempt > 20;
        const answer = (url, init) => isBack() ? fetch(url, init) : Promise.reject(new TypeError("fetch failed"));
        const client = new SwarnaClient("{proxy.http_url}/ws/prices/", {{
          transports: ["poll"], reconnectDelay: 1, maxReconnectDelay: 1, fetch: answer,
        }});
        client.addEventListener("prices", () => {{
          say(client.connection.state);
          client.close();
        }});
        client.connect();
    """)
    assert said == "open"


@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
def test_a_process_ends_once_its_client_is_closed(run: Run, proxy: BadProxy, transport: str) -> None:
    said = run(f"""
        const client = new SwarnaClient("{proxy.http_url}/ws/prices/", {{ transports: ["{transport}"] }});
        const begun = performance.now();
        client.addEventListener("prices", () => client.close());
        client.connect();
        process.on("exit", () => say([client.connection.why, performance.now() - begun]));
    """)
    assert said[0] == "page"
    assert said[1] < 5000
