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


def test_a_client_that_takes_what_it_was_sent_is_not_silent() -> None:
    """A ping would still wait here, behind what it takes slowly."""
    client: Any = SimpleNamespace(sockets=SimpleNamespace(timeout=TIMEOUT), _heard_at=100.0)
    now = 101.0 + TIMEOUT
    again = WebSocket.check_silence(client, now, is_taking=True)
    assert again is not None
    assert now + TIMEOUT * 0.4 <= again <= now + TIMEOUT * 0.6
