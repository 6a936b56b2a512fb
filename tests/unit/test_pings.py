"""When a silent WebSocket client is sent a ping."""

from types import SimpleNamespace
from typing import Any

from streaming.engine.websocket import WebSocket

TIMEOUT = 30.0


def test_clients_that_came_together_have_pings_at_different_times_and_two_fifths_of_the_timeout_to_answer() -> None:
    client: Any = SimpleNamespace(sockets=SimpleNamespace(timeout=TIMEOUT), _heard_at=100.0)
    times = {WebSocket.check_silence(client, 101.0, is_taking=False) for _ in range(100)}
    assert len(times) > 90
    assert all(time is not None and 100 + TIMEOUT * 0.4 <= time <= 100 + TIMEOUT * 0.6 for time in times)
