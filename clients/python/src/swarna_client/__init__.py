"""Live metal prices from a Swarna server (protocol `swarnaai-v1`), for as long as a program wants them.

    async with SwarnaClient("wss://prices.example/", metals=["gold"]) as client:
        async for update in client.updates():
            print(update.prices["gold"].price)

`client` has the connections, `stream_state` knows the stream and does no I/O, and `messages` are what the server sends.
"""

from swarna_client.client import SwarnaClient
from swarna_client.errors import RefusedError, RejectedError, SwarnaError
from swarna_client.messages import (
    Candle,
    Connected,
    Disconnected,
    Event,
    Heartbeat,
    Move,
    Position,
    PriceUpdate,
    Quote,
    Status,
)

__all__ = [
    "Candle",
    "Connected",
    "Disconnected",
    "Event",
    "Heartbeat",
    "Move",
    "Position",
    "PriceUpdate",
    "Quote",
    "RefusedError",
    "RejectedError",
    "Status",
    "SwarnaClient",
    "SwarnaError",
]
