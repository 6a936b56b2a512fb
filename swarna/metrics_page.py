"""GET /metrics: what Prometheus reads, for those who may; answered before Django, which would ask for a known host."""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, make_asgi_app

from swarna.environment import Network

Application = Callable[[Any, Any, Any], Awaitable[None]]


def with_metrics(http: Application, registry: CollectorRegistry, allowed_from: Sequence[Network]) -> Application:
    """`http`, with the registry's metrics at /metrics for clients whose address is in one of the networks."""
    page: Application = make_asgi_app(registry)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/metrics":
            await http(scope, receive, send)
        elif may_read(address := client_address(scope), allowed_from):
            await page(scope, receive, send)
        else:
            await _refuse(address, send)

    return application


def may_read(address: str | None, allowed_from: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks; one that is not known, or no IP address, is in none."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped  # as a socket that listens on both shows an IPv4 client
    return any(ip in network for network in allowed_from)


def client_address(scope: Mapping[str, Any]) -> str | None:
    """The address of the client that asks; None where it cannot be known.

    A proxy on this machine would else lend the whole world its own address, which may read.
    """
    if any(name in (b"x-forwarded-for", b"forwarded") for name, _ in scope["headers"]):
        return None
    return scope["client"][0] if scope.get("client") else None


async def _refuse(address: str | None, send: Any) -> None:
    text = f"METRICS_ALLOWED_FROM does not list {address or 'the address that this comes from, which is not known'}.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
