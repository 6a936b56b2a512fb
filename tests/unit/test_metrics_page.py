"""/metrics: its answers, and the addresses that get them."""

from ipaddress import ip_address
from typing import Any

import pytest
from channels.testing import HttpCommunicator
from django.conf import settings

from infra.addresses import client_address
from infra.metrics.page import may_read, with_metrics
from streaming.metrics import Metrics
from swarna.environment import networks


async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
    """Stands for Django."""
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"elsewhere"})


async def scrape(client: tuple[str, int] | None, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    """The answer, status and text, of an application that 10.0.0.0/8 may read."""
    application = with_metrics(
        elsewhere,
        Metrics().registry,
        networks("10.0.0.0/8"),
        hosts=["prices.example", "metrics.prices.example", "prices_web.default"],
    )
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    communicator = HttpCommunicator(application, "GET", path, headers=encoded)
    communicator.scope["client"] = client
    response = await communicator.get_response()
    return response["status"], response["body"].decode()


async def test_a_client_of_a_listed_network_reads_them() -> None:
    status, text = await scrape(("10.1.2.3", 50000))
    assert status == 200
    assert 'swarna_connections{process="0"} 0.0' in text


async def test_any_other_gets_the_name_of_the_setting() -> None:
    assert await scrape(("192.0.2.7", 50000)) == (403, "METRICS_ALLOWED_FROM does not list 192.0.2.7.\n")


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded"])
@pytest.mark.parametrize("proxy", ["10.1.2.3", "::ffff:10.1.2.3"])
async def test_a_proxy_does_not_lend_its_address_to_its_clients(proxy: str, header: str) -> None:
    status, text = await scrape((proxy, 50000), **{header: "192.0.2.7"})
    assert status == 403
    assert "METRICS_ALLOWED_FROM" in text


async def test_a_client_without_an_address_is_refused() -> None:
    status, _ = await scrape(None)
    assert status == 403


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.7:3001",
        "[fd00::7]:3001",
        "localhost",
        "web:3001",
        "swarna_web_1:3001",
        "metrics.prices.example:3001",
        "Prices.Example",
        "Prices_web.Default:3001",
    ],
)
async def test_they_are_read_by_an_address_a_name_of_the_network_or_one_of_ours(host: str) -> None:
    status, _ = await scrape(("10.1.2.3", 50000), host=host)
    assert status == 200


@pytest.mark.parametrize(
    "host", ["evil.example:3001", "10.0.0.7.evil.example", "prices.example.evil.example", "a b.example"]
)
async def test_a_page_whose_name_was_made_to_lead_here_does_not_read_them(host: str) -> None:
    """DNS rebinding: a browser of a network that may read them takes what is answered for the page's own."""
    assert await scrape(("10.1.2.3", 50000), host=host) == (
        403,
        f"ALLOWED_HOSTS does not list {host.removesuffix(':3001')}: add it, or ask by an address.\n",
    )


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metrics.txt", "/healthz"])
async def test_every_other_path_is_djangos(path: str) -> None:
    assert await scrape(("192.0.2.7", 50000), path) == (418, "elsewhere")


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("10.255.0.1", True),
        ("172.31.0.1", True),
        ("192.168.1.1", True),
        ("fd00::1", True),
        ("::ffff:192.168.1.1", True),
        ("::ffff:8.8.8.8", False),
        ("172.32.0.1", False),
        ("8.8.8.8", False),
        ("2001:db8::1", False),
        ("fe80::1%eth0", False),
        ("prices.example", False),
        ("", False),
        (None, False),
    ],
)
def test_by_default_this_machine_and_private_networks_may_read(address: str | None, may: bool) -> None:
    assert may_read(client_address(address, [], []), settings.METRICS_ALLOWED_FROM) is may


def test_an_empty_list_lets_no_address_read() -> None:
    assert not may_read(ip_address("127.0.0.1"), networks(""))


# --- with real web processes ---------------------------------------------------------------------------------------
