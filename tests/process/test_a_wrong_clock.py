"""The clock of a real web process is put back: the prices of its clients, and its readiness."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.support.product import wait_until
from tests.support.quotes import NOW
from tests.support.server import Server
from tests.support.world import forget_prices


def test_a_price_does_not_stay_fresh_because_the_clock_was_put_back(
    run_server: Callable[..., Server], tmp_path: Path
) -> None:
    clock_file = tmp_path / "clock"
    clock_file.write_text(NOW.isoformat())
    server = run_server(
        DJANGO_SETTINGS_MODULE="tests.support.clock_from_file", CLOCK_FILE=str(clock_file), FRESHNESS_LIMIT="2s"
    )

    def ask(path: str) -> Any:
        return requests.get(f"{server.http_url}{path}", timeout=10)

    def is_stale() -> bool | None:
        gold = ask("/api/v1/prices/").json()["data"].get("gold", {})
        return gold.get("stale") if gold.get("source") == "gold_api_com" else None

    server.do(forget_prices)
    server.publish(gold="13000", quoted_at=NOW)
    wait_until(lambda: is_stale() is False, "the price")
    clock_file.write_text((NOW - dt.timedelta(hours=1)).isoformat())
    wait_until(is_stale, "the price to be stale")
    ready = ask("/readyz")
    assert ready.status_code == 503
    assert "stale: gold" in ready.json()["prices"]
