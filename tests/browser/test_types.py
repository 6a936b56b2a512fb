"""The types of the npm package: what its README writes passes strict TypeScript, and what is misspelt does not."""

import json
import re
import subprocess
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from prices.domain.positions import Position
from prices.domain.wire import CandleData, ChangeData, PriceData
from streaming import protocol
from streaming.protocol import METALS, ErrorCode, Feed
from tests.support.js_package import PACKAGE, TSC, TYPESCRIPT, install, pack
from tests.support.product import ROOT

_REACT = TYPESCRIPT / "node_modules/@types/react"
STRICT = json.loads((PACKAGE / "tsconfig.json").read_text())["compilerOptions"] | {
    "paths": {"react": [str(_REACT)], "react/jsx-runtime": [str(_REACT / "jsx-runtime.d.ts")]},
    "jsx": "react-jsx",
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "declaration": False,
    "emitDeclarationOnly": False,
    "noEmit": True,
    "rootDir": "/",
}


def readme() -> dict[str, str]:
    """The code of both READMEs, as files of a project that has installed the package."""
    (page,) = re.findall(r'<script type="module">\n(.*?)</script>', (ROOT / "README.md").read_text(), re.DOTALL)
    served = "http://127.0.0.1:3001/client/v1/swarna-client.js"
    assert served in page
    blocks = re.findall(r"```jsx?\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    names = ["first.mjs", "events.js", "transports.js", "hook.jsx", "sheet.jsx"]
    return {"page.js": page.replace(served, "swarna-client"), **dict(zip(names, blocks, strict=True))}


# What a reader may get wrong: the file, what stands there, what they wrote, and what TypeScript says of it.
MISTAKES = {
    "a field of a quote": ("page.js", "gold.stale", "gold.stail", "'stail' does not exist"),
    "a metal": ("page.js", "{ gold }", "{ golds: gold }", "'golds' does not exist"),
    "an event": ("page.js", '"prices"', '"price"', "'\"price\"' is not assignable"),
    "a price that may be missing": ("page.js", "output && gold", "output", "'gold' is possibly 'undefined'"),
    "a metal to subscribe to": ("page.js", '["gold"]', '["copper"]', "'\"copper\"' is not assignable"),
    "an option": ("events.js", "interval:", "intervall:", "'intervall' does not exist"),
    "an interval of candles": ("events.js", 'candles: ["1m"]', 'candles: ["2m"]', "'\"2m\"' is not assignable"),
    "what an event brings": ("events.js", "data, changes,", "data, moves: changes,", "'moves' does not exist"),
    "a field of a move": (
        "events.js",
        "oldPrice, newPrice, direction }",
        "from: oldPrice, newPrice, direction }",
        "'from'",
    ),
    "a transport": ("transports.js", '"sse"', '"eventsource"', "'\"eventsource\"' is not assignable"),
    "how messages come": ("transports.js", "{ transport }", "{ transports: transport }", "'transports' does not exist"),
    "what heartbeats bring": ("events.js", "{ timestamp }", "{ time: timestamp }", "'time' does not exist"),
    "a unit": ("events.js", '"10gram"', '"10grams"', "'\"10grams\"' is not assignable"),
    "a field of a candle": ("events.js", "?.close", "?.last", "'last' does not exist"),
    "a field of a status": ("events.js", "{ feed, market }", "{ feed, open: market }", "'open' does not exist"),
    "a reason": ("events.js", '"unauthorized"', '"unauthorised"', "no overlap"),
    "a converted amount": ("events.js", "?.close)", "?.close.length)", "'length' does not exist"),
    "the hook's result": (
        "hook.jsx",
        "prices, connected, error",
        "price: prices, connected, error",
        "'price' does not",
    ),
    "an element": ("sheet.jsx", "<swarna-sheet", "<swarna-sheets", "'swarna-sheets' does not exist"),
    "the hook's option": ("hook.jsx", "metals:", "metal:", "'metal' does not exist"),
}


# What strangers' projects have at hand but perhaps not set: an attribute of a component, a variable of an environment.
UNSET = """
import { SwarnaClient } from "swarna-client";
import { useWebSocketPrices } from "swarna-client/react";

export function Gold({ unit, token, isShort }: { unit?: string; token?: string; isShort?: boolean }) {
  const { prices } = useWebSocketPrices("ws://127.0.0.1:3001/", { token, metals: undefined, interval: undefined });
  new SwarnaClient("ws://127.0.0.1:3001/", { token, WebSocket: undefined });
  return <swarna-price metal={prices.gold && "gold"} unit={unit} compact={isShort} server={undefined} />;
}
"""

# A program's globals by @types/node 20 to 24, where no "dom" is: of the types of a browser, no others.
NODE = """
interface AbortSignal { readonly aborted: boolean }
interface Event { readonly type: string }
interface CustomEvent<T> extends Event { readonly detail: T }
interface URL { readonly href: string }
interface Response { readonly status: number; readonly headers: object }
declare function fetch(url: string | URL): Promise<object>;
declare const console: { log(...what: unknown[]): void; error(...what: unknown[]): void };
"""


# What a message has beside the type of its details.
OF_TYPE = {"Rejection": ' & { type: "error" }'}


def messages() -> dict[str, Any]:
    """Each message as the server sends it, with all fields that it may have, by the name of its type."""
    figures = dict.fromkeys(("price", "change", "changePercent", "high", "low", "open", "bid", "ask"), Decimal("1.5"))
    quote = PriceData(
        **figures,
        previousClose=None,
        timestamp="",
        source="fallback",
        stale=False,
        example=True,
        contributors=3,
        dispersionPercent=Decimal("0.05"),
    )
    move = ChangeData(
        metal="gold", oldPrice=Decimal(1), newPrice=Decimal(2), changePercent=Decimal(100), direction="up"
    )
    ends = dict.fromkeys(("open", "high", "low", "close"), Decimal(1))
    candle = CandleData(start="", end="", **ends, ticks=1, closed=False, seq=1, date="2026-09-26")
    rejected = protocol.ClientError(ErrorCode.INVALID_JSON, "")
    rejected.id = 7
    sent = {
        "PriceUpdate": protocol.price_update(
            {"gold": quote},
            [],
            [move],
            epoch="",
            seq=1,
            published_at="",
            snapshot=False,
            currency="INR",
            candles={"gold": {"1m": [candle]}},
            conflated=2,
        ),
        "Status": protocol.status(
            Feed.DOWN,
            dict(zip(METALS, Feed, strict=False)),
            market_open=True,
            next_change="",
            source=None,
            epoch="e",
            timestamp="",
        ),
        "Subscribed": protocol.subscribed(METALS, None, 7, protocol.CANDLES, "e", 15_000),
        "Heartbeat": protocol.heartbeat(Position("e", 1, None), Feed.LIVE, ""),
        "Pong": protocol.pong(7, ""),
        "Restart": protocol.restart(1),
        "Message": protocol.error(rejected),
        "Rejection": protocol.last_error(protocol.Close.RATE_LIMITED, "", 1000),
    }
    return {name: msgspec.json.decode(message) for name, message in sent.items()}


def checked(folder: Path, files: Mapping[str, str], **options: Any) -> dict[str, list[str]]:
    """TypeScript's errors in each file of a project that has installed the package, by the file's name."""
    (folder / "packed").mkdir()
    install(pack(folder / "packed"), folder)
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": STRICT | options, "include": ["*.*"]}))
    ran = subprocess.run(
        [TSC, "--project", folder, "--pretty", "false"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert not ran.stderr
    said: dict[str, list[str]] = {}
    for name, words in re.findall(r"^(\S+?)\(\d+,\d+\): (error .*)$", ran.stdout, re.MULTILINE):
        said.setdefault(name, []).append(words)
    assert bool(said) == bool(ran.returncode), ran.stdout
    return said


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """TypeScript's errors in README, in each mistake, and in messages as the server sends them, of one run."""
    files = {**readme(), "unset.tsx": UNSET}
    for number, (name, right, wrong, _) in enumerate(MISTAKES.values()):
        assert files[name].count(right) == 1, right
        files[f"mistake{number}{Path(name).suffix}"] = files[name].replace(right, wrong)
    for name, message in messages().items():
        files[f"{name}.ts"] = (
            f'import type {{ {name} }} from "swarna-client";\n'
            f"export const message: {name}{OF_TYPE.get(name, '')} = {json.dumps(message)};\n"
        )
    return checked(tmp_path_factory.mktemp("types"), files)


def test_the_declarations_pass(said: dict[str, list[str]]) -> None:
    """The modules themselves pass too: else they could not be packed."""
    assert {name: words for name, words in said.items() if name.startswith("node_modules")} == {}


@pytest.mark.parametrize("name", ["page.js", "first.mjs", "events.js", "transports.js", "hook.jsx", "sheet.jsx"])
def test_what_readme_writes_passes(said: dict[str, list[str]], name: str) -> None:
    assert said.get(name, []) == []


def test_what_is_not_set_may_be_given(said: dict[str, list[str]]) -> None:
    assert said.get("unset.tsx", []) == []


def test_a_program_in_node_needs_no_types_of_a_browser(tmp_path: Path) -> None:
    files = {"node.d.ts": NODE, "first.mts": readme()["first.mjs"]}
    assert checked(tmp_path, files, lib=["es2023"], module="nodenext", moduleResolution="nodenext") == {}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(said: dict[str, list[str]], mistake: str) -> None:
    file, _, _, expected = MISTAKES[mistake]
    found = said.get(f"mistake{list(MISTAKES).index(mistake)}{Path(file).suffix}", [])
    assert any(expected in words for words in found), found


@pytest.mark.parametrize(
    "name", ["PriceUpdate", "Status", "Subscribed", "Heartbeat", "Pong", "Restart", "Message", "Rejection"]
)
def test_the_types_know_every_field_that_the_server_sends(said: dict[str, list[str]], name: str) -> None:
    assert said.get(f"{name}.ts", []) == []


def test_the_compiler_is_pinned() -> None:
    wanted = json.loads((TYPESCRIPT / "package.json").read_text())["devDependencies"]
    locked = json.loads((TYPESCRIPT / "package-lock.json").read_text())["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(package["integrity"].startswith("sha512-") for name, package in locked.items() if name)
