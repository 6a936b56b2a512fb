"""A soak: clients of all transports that come and go, for as long as one likes: `make soak`."""

import asyncio
import itertools
import json
import os
import random
import time
import urllib.request
from functools import partial
from typing import Final

from bench import machine
from bench.bench import Bench
from bench.checker import Checker, Truth
from bench.servers import Server, Swarna
from bench.viewers import METALS, Crowd, Open, Viewer, events, poll, websocket

_TRANSPORTS: Final[dict[str, Open]] = {
    "WebSocket": websocket,
    "compressed WebSocket": partial(websocket, deflate=True),
    "Server-Sent Events": events,
    "waiting poll": poll,
}
# Half of the clients want all metals, as most do; others share the rest of the choices.
_WANTED: Final = (METALS, ("gold",), METALS, ("silver", "platinum"))
_SAMPLE_EVERY: Final = 10.0  # seconds
_CATCH_UP: Final = 60.0  # seconds in which the last publication reaches everyone, those too that stall or are away


class _Inside(Swarna):
    """Our server, with an address that tells what only the process knows."""

    def environment(self) -> dict[str, str]:
        # Every move of more than a hundredth per cent is significant, which is most of them.
        return super().environment() | {
            "DJANGO_SETTINGS_MODULE": "bench.inside.settings",
            "CHANGE_THRESHOLD_PERCENT": "0.01",
        }


def soak(bench: Bench, minutes: float) -> bool:
    """Clients that come, go, stall and resume. Prints the server's memory, files and tasks every ten seconds.

    Returns True if the clients received nothing wrong.
    """
    checker = Checker()
    with _Inside(bench.around) as server:
        os.sched_setaffinity(0, {machine.OTHER_CORE})
        asyncio.run(_soak(bench, server, checker, max(60, round(minutes * 60))))
    checker.compare(Truth.read(bench.around.folder / "swarna.sqlite3"))
    print(f"{checker.updates} updates were checked: {dict(checker.violations) or 'all of them were right'}")
    for violation in checker.described:
        print(f"  {violation}")
    return not checker.violations


async def _soak(bench: Bench, server: Server, checker: Checker, seconds: int) -> None:
    publishing = server.publishing(1000, seconds)
    crowd = Crowd(server.port, checker)
    kinds = itertools.cycle(itertools.product(_WANTED, _TRANSPORTS.items()))
    viewers = [
        Viewer(crowd, name, transport, frozenset(metals), random.Random(number))  # noqa: S311  (no secret)
        for number, (metals, (name, transport)) in zip(range(bench.of(2000, 200)), kinds, strict=False)
    ]
    async with asyncio.TaskGroup() as group:
        lives = [group.create_task(viewer.live()) for viewer in viewers]
        await asyncio.sleep(_SAMPLE_EVERY)  # until all have come
        first = (await _inside(server, "?collect"))["blocks"]
        sampled = await _sample(server, crowd, seconds - _SAMPLE_EVERY - _CATCH_UP / 2)
        last = (await _inside(server, "?collect"))["blocks"]
        crowd.staying.set()
        newest = max(await asyncio.to_thread(publishing.stamps))
        deadline = time.monotonic() + _CATCH_UP
        while time.monotonic() < deadline and any(_seq(viewer) < newest for viewer in viewers):
            await asyncio.sleep(0.1)
        for viewer in viewers:
            if _seq(viewer) < newest:
                checker.lost(f"{_seq(viewer)} of {newest}, by {viewer.name}")
        for life in lives:
            life.cancel()
    print(f"clients, in {seconds} s: {dict(crowd.counts)}")
    for name in sampled[0]:
        values = [sample[name] for sample in sampled]
        print(f"{name}: first {values[0]:,}, at half time {values[len(values) // 2]:,}, last {values[-1]:,}")
    print(f"blocks without garbage: first {first:,}, last {last:,}")


def _seq(viewer: Viewer) -> int:
    return viewer.position.seq if viewer.position else 0


async def _sample(server: Server, crowd: Crowd, seconds: float) -> list[dict[str, float]]:
    """The server's figures, every ten seconds. The first are those of the full crowd."""
    sampled = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        await asyncio.sleep(min(_SAMPLE_EVERY, seconds - passed))
        sampled.append(
            {
                "MB": round(server.resident_bytes() / 2**20, 1),
                "open files": sum(machine.open_files(server.process.pid).values()),
                **await _inside(server),
            }
        )
        figures = ", ".join(f"{value:,} {name}" for name, value in sampled[-1].items())
        wrong = sum(crowd.checker.violations.values())
        print(f"{time.monotonic() - began:5.0f} s: {figures}; {wrong} violations; {dict(crowd.counts)}", flush=True)
    return sampled


async def _inside(server: Server, query: str = "") -> dict[str, int]:
    """The process's own figures, by bench/inside."""
    url = f"http://127.0.0.1:{server.port}/inside/{query}"

    def fetch() -> dict[str, int]:
        with urllib.request.urlopen(url, timeout=30) as answer:
            found: dict[str, int] = json.load(answer)
        return found

    return await asyncio.to_thread(fetch)
