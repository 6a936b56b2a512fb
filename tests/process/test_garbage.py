"""Clients leave nothing behind in a web process for the collector, which runs every ten minutes."""

import asyncio
import json
import urllib.request
from collections.abc import Callable
from contextlib import aclosing

import pytest

from bench import viewers
from tests.support.product import wait_until
from tests.support.server import Server

METALS = frozenset({"gold"})
CLIENTS = 200


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Server]) -> Server:
    """A web process that tells what the collector finds."""
    server = run_server(
        DJANGO_SETTINGS_MODULE="bench.inside.settings", WS_MAX_CONNECTIONS="400", WS_TIMEOUT="2s", API_RATE_LIMIT="0"
    )
    server.publish(gold="13000")
    return server


def inside(server: Server) -> dict[str, int]:
    with urllib.request.urlopen(f"{server.http_url}/inside/?collect", timeout=10) as answer:
        found: dict[str, int] = json.load(answer)
    return found


@pytest.mark.parametrize("transport", [viewers.websocket, viewers.events, viewers.poll])
async def test_a_client_that_has_left_is_gone_at_once(server: Server, transport: viewers.Open) -> None:
    async def come_and_go() -> None:
        async with aclosing(transport(server.port, METALS, None)) as updates:  # type: ignore[type-var]
            await anext(updates)

    await come_and_go()  # what is made once is made now
    await asyncio.to_thread(inside, server)
    before = await asyncio.to_thread(inside, server)
    await asyncio.gather(*(come_and_go() for _ in range(CLIENTS)))
    garbage = []

    def all_have_left() -> bool:
        found = inside(server)
        garbage.append(found["garbage"])
        return found["tasks"] <= before["tasks"]

    await asyncio.to_thread(wait_until, all_have_left, "the clients to have left")
    # The request that asks leaves some itself; a client that waits for the collector is six objects or more.
    assert sum(garbage) - before["garbage"] * len(garbage) < CLIENTS
