"""The visitors' pages: what they cost the server, and how soon a phone shows a price. Needs Chromium and Node."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench import http, machine, servers
from bench.bench import Bench
from bench.report import Line, figure, ratio, verdict
from bench.servers import Swarna

_AUDIT: Final = servers.ROOT / "bench" / "face"
_BROWSERS: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_PAGES: Final = {"board": "/", "gold's page": "/gold/"}
_SCORES: Final = {"performance": 95, "accessibility": 100, "best-practices": 100, "seo": 100}
KB: Final = 1024


class _WithABarePage(Swarna):
    """Our server with one page more, behind the same middleware, that does nothing."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"DJANGO_SETTINGS_MODULE": "bench.bare.pages"}


def pages(bench: Bench) -> Iterator[Line]:
    seconds = bench.of(10, 1)
    ours, bare = [], []
    for _ in bench.rounds:
        with _WithABarePage(bench.around, {}) as server:
            publishing = server.publishing(1000, round(2 * seconds) + 5)
            size = http.header(server.port, "/", "content-length", Accept_Encoding="gzip")
            ours.append(_cost(server, "/", seconds))
            bare.append(_cost(server, f"/bare/?bytes={size}", seconds))
            publishing.stamps()
        bench.say(f"board of {size} bytes {ours[-1]:.0f} µs, a page that does nothing {bare[-1]:.0f} µs")
    said, value = ratio(ours, bare)
    yield Line(
        f"CPU for each board, with a publication a second; a Django view behind the same middleware, of as many bytes "
        f"{figure(bare, 'µs')}",
        [figure(ours, "µs")],
        said,
        "≤ 1.2 ×",
        verdict(value <= 1.2),
    )


def _cost(server: Swarna, path: str, seconds: float) -> float:
    """The server's CPU time for each answer, in µs."""
    before = server.cpu_seconds()
    answers = http.rate(server.port, path, seconds=seconds, Accept_Encoding="gzip") * seconds
    return (server.cpu_seconds() - before) * 1e6 / answers


def face(bench: Bench) -> Iterator[Line]:
    runs = bench.of(5, 1)
    servers.npm_ci(_AUDIT)
    with bench.swarna() as server:
        # Pages have prices from the beginning, as they have but for a server's very first second.
        server.publishing(1000, 1).stamps()
        # They go on for longer than all pages are looked at.
        server.publishing(1000, 3600)
        for name, path in _PAGES.items():
            url = f"http://127.0.0.1:{server.port}{path}"
            yield from _lighthouse(bench, name, _audit("lighthouse", url, str(runs)))
            yield from _loads(bench, name, _audit("loads", url))


def _lighthouse(bench: Bench, name: str, found: dict[str, Any]) -> Iterator[Line]:
    bench.say(f"{name}: {found}")
    scores = ", ".join(f"{score.replace('-', ' ')} {figure(found[score], '')}" for score in _SCORES)
    reached = all(_median(found[score]) >= least for score, least in _SCORES.items())
    yield Line(f"Lighthouse of {name}, on its phone", [scores], "", "≥ 95, the rest 100", verdict(reached))
    shift = found["cls"]
    yield Line(f"layout shift (CLS) of {name}", [figure(shift, "")], "", "≤ 0.02", verdict(_median(shift) <= 0.02))


def _loads(bench: Bench, name: str, found: dict[str, Any]) -> Iterator[Line]:
    bench.say(f"{name}: {found}")
    for what, key, most in (("the first price", "first", 20), ("all is live, without a chart's script", "live", 90)):
        size = found[key] / KB
        yield Line(f"sent until {what}, {name}", [f"{size:.1f} KB"], "", f"≤ {most} KB", verdict(size <= most))
    for what, key in (("without JavaScript", "without"), ("at 400 ms, 400 kbit/s and a quarter of the CPU", "slow")):
        took = found[key]
        cell = "none" if took is None else f"{took / 1000:.2f} s"
        yield Line(f"first price of {name} {what}", [cell], "", "≤ 3 s", verdict(took is not None and took <= 3000))


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _audit(*arguments: str) -> dict[str, Any]:
    """Run bench/face/audit.mjs. Raises MissingError without a Chromium, CalledProcessError if it fails."""
    named = [os.environ.get("CHROMIUM"), *map(shutil.which, _BROWSERS)]
    chromium = next((path for path in named if path and Path(path).is_file()), None)
    if chromium is None:
        raise machine.MissingError("There is no Chromium to look at pages with: install it, or set CHROMIUM.")
    command = ["node", str(_AUDIT / "audit.mjs"), *arguments]
    environment = os.environ | {"CHROMIUM": chromium}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
