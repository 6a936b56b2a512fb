"""GET /metrics for Prometheus, from allowed networks; answered before Django, which would refuse an unlisted host."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, Metric, make_asgi_app

from infra import addresses
from infra.addresses import Address, Network
from infra.asgi import Application
from infra.hosts import foreign_name

Read = Callable[[], Awaitable[Iterable[Metric]]]

logger = logging.getLogger(__name__)

# Seconds. Prometheus gives up a scrape after ten, and would then have no metrics at all.
_TIMEOUT: Final = 3.0


def with_metrics(
    http: Application,
    registry: CollectorRegistry,
    allowed_from: Sequence[Network],
    proxies: Sequence[Network] = (),
    *,
    hosts: Sequence[str] = (),
    more: Read | None = None,
    timeout: float = _TIMEOUT,
) -> Application:
    """`http`, with the registry's metrics at /metrics for clients whose address is in one of the networks.

    The client's address is taken from a proxy where `proxies` lists it. A request's Host is an address, or a name in
    `hosts`: a page under another name could be open in a browser of one of the networks (infra/hosts.py). `more` reads
    metrics that are kept elsewhere; where it fails, or takes longer than `timeout` seconds, the page lacks them.
    """

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/metrics":
            await http(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, "This is only to be read.\n", (b"allow", b"GET, HEAD"))
        elif name := _foreign_name(scope, hosts):
            await _answer(send, 403, f"ALLOWED_HOSTS does not list {name}: add it, or ask by an address.\n")
        elif may_read(address := _client_address(scope, proxies), allowed_from):
            page: Application = make_asgi_app(_Combined(registry, await _read_more(more, timeout) if more else ()))
            await page(scope, receive, send)
        else:
            listed = address or "the address that this comes from, which is not known"
            await _answer(send, 403, f"METRICS_ALLOWED_FROM does not list {listed}.\n")

    return application


class _Combined:
    """A registry's metrics, and more that have been read."""

    def __init__(self, registry: CollectorRegistry, more: Iterable[Metric]) -> None:
        self._registry, self._more = registry, more

    def collect(self) -> Iterable[Metric]:
        yield from self._registry.collect()
        yield from self._more

    def restricted_registry(self, names: Iterable[str]) -> "_Combined":
        """Return all metrics: filtering by `?name[]=` would save nothing, as files are read whole."""
        return self


async def _read_more(read: Read, timeout: float) -> Iterable[Metric]:
    """The metrics that `read` returns; none where it fails: a database that is away must not cost all the others."""
    try:
        return await asyncio.wait_for(read(), timeout)
    except TimeoutError:
        logger.error("/metrics does without the price sources: the database did not answer in %s s", timeout)
    except Exception as error:  # whatever a database's driver raises
        logger.error("/metrics does without the price sources: %s", str(error).partition("\n")[0])
    return ()


def may_read(address: Address | None, allowed_from: Sequence[Network]) -> bool:
    """Return True if the address is known, and in one of the networks."""
    return address is not None and addresses.is_in(address, allowed_from)


def _foreign_name(scope: Mapping[str, Any], hosts: Sequence[str]) -> str | None:
    given = (value.decode("latin-1") for name, value in scope["headers"] if name == b"host")
    return next(filter(None, (foreign_name(host, hosts) for host in given)), None)


def _client_address(scope: Mapping[str, Any], proxies: Sequence[Network]) -> Address | None:
    """The address of the client; None where it cannot be known.

    Otherwise every client of a proxy on this machine that `proxies` does not list would have the proxy's address,
    which may read.
    """
    address, peer = addresses.of_scope(scope, proxies), addresses.of_scope(scope, ())
    forwarded = any(name in (b"x-forwarded-for", b"forwarded") for name, _ in scope["headers"])
    return None if forwarded and address == peer else address


async def _answer(send: Any, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    kind = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [kind, *headers]})
    await send({"type": "http.response.body", "body": text.encode()})
