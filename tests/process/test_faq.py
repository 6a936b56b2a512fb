"""docs/faq.md answers the seed document's questions, and its commands work."""

import asyncio
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from websockets.sync.client import connect

from streaming import publish
from tests.support.product import ROOT
from tests.support.server import Server
from tests.support.stream_client import receive

PAGE = (ROOT / "docs/faq.md").read_text()
TO_SEND_PRICES, TO_RELOAD = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(
    "question",
    [
        "How do I handle client reconnections?",
        "How do I scale WebSocket connections?",
        "How do I secure WebSocket connections?",
        "How do I handle large numbers of concurrent connections?",
        "How do I test WebSocket functionality?",
    ],
)
def test_each_question_of_the_seed_document_has_an_answer(question: str) -> None:
    assert f"\n## {question}\n\n" in PAGE


def run(server: Server, *command: str, folder: Path = ROOT) -> None:
    environment = os.environ | server.environment | {"REDIS_URL": str(settings.REDIS_URL)}
    ran = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_service_with_swarnas_code_sends_a_price(server: Server) -> None:
    with connect(server.ws_url) as client:
        receive(client, "priceUpdate")
        run(server, "manage.py", "shell", "--no-imports", "-c", TO_SEND_PRICES)
        gold = receive(client, "priceUpdate")["data"]["gold"]
    assert (gold["price"], gold["source"], gold["stale"]) == (13221.39, "our_desk", False)


def test_a_service_without_it_makes_web_processes_read_the_database(server: Server, tmp_path: Path) -> None:
    heard = ThreadPoolExecutor(1).submit(asyncio.run, _heard(server, tmp_path)).result()
    assert heard == {"type": publish.RELOAD}


async def _heard(server: Server, folder: Path) -> dict[str, str]:
    """The messages to the web processes' group while the documented program runs, in a folder without Swarna."""
    layer = RedisPubSubChannelLayer(hosts=[settings.REDIS_URL], prefix=settings.REDIS_PREFIX)
    channel = await layer.new_channel()
    await layer.group_add(publish.GROUP, channel)
    await asyncio.to_thread(run, server, "-c", TO_RELOAD, folder=folder)
    async with asyncio.timeout(10):
        message: dict[str, str] = await layer.receive(channel)
    await layer.flush()
    return message
