"""`python -m bench.textbook.publish INTERVAL-MS COUNT`: recorded updates to the textbook's group, at a steady pace.

Prints of each its seq and the CLOCK_MONOTONIC nanosecond right before `group_send`.
"""

import asyncio
import itertools
import json
import sys
import time
from pathlib import Path

import django
from channels.layers import get_channel_layer

from bench.textbook import settings


async def publish(interval: float, count: int) -> None:
    """Send `count` updates, one every `interval` seconds."""
    layer = get_channel_layer()
    assert layer is not None
    recorded = itertools.cycle(json.loads(line) for line in Path(settings.PAYLOADS).read_text().splitlines())
    began = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number * interval - time.monotonic()))
        message = next(recorded) | {"seq": number + 1}
        stamp = time.monotonic_ns()
        await layer.group_send("prices", {"type": "price.update", "message": message})
        print(number + 1, stamp, flush=True)


if __name__ == "__main__":
    django.setup()
    asyncio.run(publish(int(sys.argv[1]) / 1000, int(sys.argv[2])))
