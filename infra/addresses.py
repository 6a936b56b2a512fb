"""Where a client is: its address, also behind proxies, and what counts as one client. No Django.

Only what a trusted proxy says is believed, and of that only what the proxy itself saw.
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
# What one IPv6 subscriber is given, and may choose addresses from as it likes.
_SUBSCRIBER = 64


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """The client's address, from the TCP peer's and from the values of `X-Forwarded-For`, in the order of the headers.

    Each proxy appends the address it was called from. So they are read from the right, as long as the one who wrote
    the next is trusted: what is left of the first stranger, the stranger may have made up. Something that is no address
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
    """Whether the client asked by `https` or `http`, `wss` and `ws` among them, from an ASGI scope: where a trusted
    proxy says so, as it says.
    """
    peer = _address((scope.get("client") or [""])[0] or "")
    said: str = dict(scope["headers"]).get(b"x-forwarded-proto", b"").decode("latin-1").strip().lower()
    by_proxy = said in ("http", "ws", *_SECURE) and peer is not None and is_in(peer, trusted)
    return "https" if (said if by_proxy else scope.get("scheme")) in _SECURE else "http"


def one_client(address: Address) -> str:
    """What limits count as one client: an IPv4 address, or the /64 network around an IPv6 address."""
    if address.version == 4:
        return str(address)
    return str(ipaddress.IPv6Network((int(address), _SUBSCRIBER), strict=False))


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Whether the address is in one of the networks."""
    return any(address in network for network in networks)


def is_one(text: str) -> bool:
    """Whether a text is an address, with or without a port."""
    return _address(text) is not None


def authority(host: str, port: int) -> str:
    """A host and a port as they are written in a URL: `[::1]:3001`, `192.0.2.1:3001`."""
    written = str(_address(host) or host)
    return f"[{written}]:{port}" if ":" in written else f"{written}:{port}"


def on_this_machine(bound: str) -> str:
    """The address at which this machine reaches a server of its own that is bound to `bound`."""
    address = _address(bound)
    # One that is bound to all addresses of IPv6 is bound to all of IPv4 too: swarna/web.py.
    return "127.0.0.1" if address is not None and address.is_unspecified else bound


def _address(text: str) -> Address | None:
    """An address, with or without a port; an IPv4 address that is written as an IPv6 one is taken as what it is."""
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
