"""GET /metrics: what Prometheus reads, for those who may; answered before Django, which would ask for a known host."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, make_asgi_app

from swarna import addresses
from swarna.addresses import Address, Network

Application = Callable[[Any, Any, Any], Awaitable[None]]


def with_metrics(
    http: Application, registry: CollectorRegistry, allowed_from: Sequence[Network], proxies: Sequence[Network] = ()
) -> Application:
    """`http`, with the registry's metrics at /metrics for clients whose address is in one of the networks.

    What a proxy of `proxies` says of a client's address is believed.
    """
    page: Application = make_asgi_app(registry)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/metrics":
            await http(scope, receive, send)
        elif may_read(address := _client_address(scope, proxies), allowed_from):
            await page(scope, receive, send)
        else:
            await _refuse(address, send)

    return application


def may_read(address: Address | None, allowed_from: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks; one that is not known is in none."""
    return address is not None and addresses.is_in(address, allowed_from)


def _client_address(scope: Mapping[str, Any], proxies: Sequence[Network]) -> Address | None:
    """The address of the client that asks; None where it cannot be known.

    A proxy on this machine that is not known as one would else lend the whole world its own address, which may read.
    """
    address, peer = addresses.of_scope(scope, proxies), addresses.of_scope(scope, ())
    forwarded = any(name in (b"x-forwarded-for", b"forwarded") for name, _ in scope["headers"])
    return None if forwarded and address == peer else address


async def _refuse(address: Address | None, send: Any) -> None:
    text = f"METRICS_ALLOWED_FROM does not list {address or 'the address that this comes from, which is not known'}.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
