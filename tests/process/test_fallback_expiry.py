"""A fallback that expires, as clients of the stream and of REST see it."""

import datetime as dt
from typing import Any

import requests
from websockets.sync.client import connect

from prices.models import FallbackPrice, LatestPrice
from prices.publishing import ingest
from tests.support.server import Server
from tests.support.stream_client import receive
from tests.support.world import enter_fallbacks


def expire(server: Server, metal: str) -> None:
    """Let a shown fallback of a metal expire, as the worker's task does."""
    now = dt.datetime.now(dt.UTC)
    server.do(lambda: FallbackPrice.objects.filter(metal=metal).update(expires_at=now))
    server.do(lambda: ingest.withdraw_fallbacks(now=now))


def shown(server: Server) -> dict[str, Any]:
    prices: dict[str, Any] = requests.get(f"{server.http_url}/api/v1/prices/", timeout=10).json()["data"]
    return prices


def test_clients_get_the_next_best_price_marked_as_stale_or_none(server: Server) -> None:
    server.do(enter_fallbacks)
    last_week = dt.datetime.now(dt.UTC) - dt.timedelta(days=7)
    server.publish(silver="104", quoted_at=last_week)
    server.do(lambda: LatestPrice.objects.filter(lane="live").update(confirmed_at=last_week))
    server.do(lambda: ingest.fall_back_where_due(now=dt.datetime.now(dt.UTC)))
    with connect(server.ws_url) as client:
        while (update := receive(client, "priceUpdate"))["data"]["silver"]["source"] != "fallback":
            pass
        expire(server, "silver")
        while update["data"]["silver"]["source"] == "fallback":
            update = receive(client, "priceUpdate")
        silver = update["data"]["silver"]
        assert (silver["price"], silver["source"], silver["stale"]) == (104, "gold_api_com", True)
        assert update["data"]["gold"]["source"] == "fallback"

        expire(server, "gold")
        while "gold" in update["data"]:
            update = receive(client, "priceUpdate")
        assert sorted(update["data"]) == ["palladium", "platinum", "silver"]
        status = receive(client, "status")
    assert "gold" not in status["metals"]
    assert "gold" not in shown(server)
