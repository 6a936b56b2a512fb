"""A client's address, also behind proxies, and the key by which limits count it. No Django.

Only a trusted proxy is believed, and only about the address that it was called from.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# `[2001:db8::1]:443`, `192.0.2.1:443`, or an address alone.
_HOP = re.compile(r"\[([^]]+)\](?::[0-9]{1,5})?|([^][:]+)(?::[0-9]{1,5})?|([^][]+)")
_SECURE = ("https", "wss")
# Bits of the network that one IPv6 subscriber is given, and takes any address of.
_SUBSCRIBER = 64


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """The client's address, from the TCP peer's and from the values of `X-Forwarded-For`, in the order of the headers.

    Each proxy appends the address that it was called from. So addresses are read from the right for as long as their
    writer is trusted: an untrusted writer may have made up everything to the left of its own. Text that is no address
    ends the reading too. None where the peer itself has no address, as with a Unix socket.
    """
    client = _address(peer or "")
    hops = [hop for value in forwarded for hop in value.split(",")]
    while hops and client is not None and is_in(client, trusted):
        hop = _address(hops.pop())
        if hop is None:
            break
        client = hop
    return client


def of_scope(scope: Mapping[str, Any], trusted: Sequence[Network]) -> Address | None:
    """The client's address, from an ASGI scope."""
    peer = scope.get("client") or [None]
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return client_address(peer[0], forwarded, trusted)


def of_meta(meta: Mapping[str, Any], trusted: Sequence[Network]) -> Address | None:
    """The client's address, from a Django request's `META`."""
    return client_address(meta.get("REMOTE_ADDR"), [meta.get("HTTP_X_FORWARDED_FOR", "")], trusted)


def scheme_of_scope(scope: Mapping[str, Any], trusted: Sequence[Network]) -> str:
    """`https` or `http`, by which the client made its request, from an ASGI scope; `wss` and `ws` count as these.

    A trusted proxy's `X-Forwarded-Proto` comes first.
    """
    peer = _address((scope.get("client") or [""])[0] or "")
    forwarded: str = dict(scope["headers"]).get(b"x-forwarded-proto", b"").decode("latin-1").strip().lower()
    by_proxy = forwarded in ("http", "ws", *_SECURE) and peer is not None and is_in(peer, trusted)
    return "https" if (forwarded if by_proxy else scope.get("scheme")) in _SECURE else "http"


def client_key(address: Address) -> str:
    """The key by which limits count a client: its IPv4 address, or the /64 network of its IPv6 address."""
    if address.version == 4:
        return str(address)
    return str(ipaddress.IPv6Network((int(address), _SUBSCRIBER), strict=False))


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Return True if the address is in one of the networks."""
    return any(address in network for network in networks)


def is_address(text: str) -> bool:
    """Return True if the text is an address, with or without a port."""
    return _address(text) is not None


def authority(host: str, port: int) -> str:
    """A host and a port as a URL has them: `[::1]:3001`, `192.0.2.1:3001`."""
    written = str(_address(host) or host)
    return f"[{written}]:{port}" if ":" in written else f"{written}:{port}"


def is_any(bound: str) -> bool:
    """Return True if a server that is bound to `bound` listens at all addresses, as at `0.0.0.0`, `::` and `0::0`."""
    address = _address(bound)
    return address is not None and address.is_unspecified


def on_this_machine(bound: str) -> str:
    """The address at which this machine reaches a server of its own that is bound to `bound`."""
    # A server bound to all addresses of IPv6 is bound to all of IPv4 too: swarna/web.py.
    return "127.0.0.1" if is_any(bound) else bound


def _address(text: str) -> Address | None:
    """Parse an address, with or without a port; an IPv4 address in IPv6 notation becomes IPv4. None for other text."""
    match = _HOP.fullmatch(text.strip())
    if match is None:
        return None
    try:
        address = ipaddress.ip_address(match[1] or match[2] or match[3])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # By its number: a zone (`%eth0`) is this host's own name for an interface.
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address
