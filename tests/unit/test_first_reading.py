"""The feed's first reading of the database."""

import asyncio

import pytest

from tests.support.hub import Client, World, world
from tests.support.quotes import quote

__all__ = ["world"]


async def test_what_is_not_read_yet_is_said_to_be_stale_and_what_is_not_there_down(world: World) -> None:
    world.broken = True
    client = Client(world.hub)
    world.hub.join(client.connection)
    assert (await client.next("status"))["feed"] == "stale"
    world.broken = False
    assert (await client.next("status"))["feed"] == "down"
    await world.bring(world.write(quote(price="100")))
    assert (await client.next("status"))["feed"] == "live"


async def test_the_first_reading_is_waited_for_and_may_find_no_price(world: World) -> None:
    async with asyncio.timeout(5):
        await world.hub.first_reading(within=60)
    client = Client(world.hub)
    world.hub.join(client.connection)
    assert (await client.next("status"))["feed"] == "down"


async def test_a_database_that_is_away_is_waited_for_no_longer_than_that_and_it_is_said(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.broken = True
    async with asyncio.timeout(5):
        await world.hub.first_reading(within=0.2)
    assert "clients are accepted all the same" in caplog.text
