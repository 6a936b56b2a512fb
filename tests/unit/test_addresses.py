"""A client's address, whatever its headers say."""

import ipaddress

import pytest
from django.test import RequestFactory

from infra import addresses
from infra.addresses import client_address

PROXIES = [ipaddress.ip_network(each) for each in ("10.0.0.0/8", "2001:db8:ffff::/48")]


def named(peer: str | None, *forwarded: str) -> str | None:
    address = client_address(peer, forwarded, PROXIES)
    return None if address is None else str(address)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # Nobody but a trusted proxy is believed.
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        # What the client wrote itself is left of what the proxy wrote.
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 10.0.0.3, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        # Several headers are one list, in their order.
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7", "10.0.0.2"], "198.51.100.7"),
        # Where all are trusted, the client is the farthest.
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # Text that is no address ends the list: the client is the last address before it.
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7,"], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["198.51.100.256"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:80:80"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:123456"], "10.0.0.1"),
        ("10.0.0.1", ["[2001:db8::7"], "10.0.0.1"),
        ("10.0.0.1", ["[]"], "10.0.0.1"),
        ("10.0.0.1", ["\x00\xff"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7\n"], "198.51.100.7"),
        # Ports, brackets, zones.
        ("10.0.0.1", ["198.51.100.7:51234"], "198.51.100.7"),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("10.0.0.1", ["fe80::7%eth0"], "fe80::7"),
        ("2001:db8:ffff::1", ["198.51.100.7"], "198.51.100.7"),
        # An IPv4 address on an IPv6 socket is itself, as a peer and as a hop.
        ("::ffff:10.0.0.1", ["198.51.100.7, ::ffff:10.0.0.2"], "198.51.100.7"),
        ("::ffff:192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        # A Unix socket has no address, and is no proxy.
        (None, ["198.51.100.7"], None),
        ("", ["198.51.100.7"], None),
    ],
)
def test_the_client_is_the_nearest_one_that_is_not_a_trusted_proxy(
    peer: str | None, forwarded: list[str], client: str | None
) -> None:
    assert named(peer, *forwarded) == client


def test_without_trusted_proxies_no_header_counts() -> None:
    assert str(client_address("10.0.0.1", ["198.51.100.7"], [])) == "10.0.0.1"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ],
)
def test_an_ipv4_address_is_one_client_and_an_ipv6_subscriber_another(one: str, other: str, same: bool) -> None:
    counted = [addresses.client_key(ipaddress.ip_address(each)) for each in (one, other)]
    assert (counted[0] == counted[1]) is same


def test_a_scope_and_a_request_give_the_same_address() -> None:
    headers = [(b"host", b"x"), (b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-for", b"198.51.100.7")]
    of_scope = addresses.of_scope({"client": ["10.0.0.1", 51234], "headers": headers}, PROXIES)
    request = RequestFactory(REMOTE_ADDR="10.0.0.1").get("/", headers={"X-Forwarded-For": "203.0.113.9,198.51.100.7"})
    assert of_scope == addresses.of_meta(request.META, PROXIES) == ipaddress.ip_address("198.51.100.7")
    assert addresses.of_scope({"headers": []}, PROXIES) is None
    assert addresses.of_scope({"client": None, "headers": []}, PROXIES) is None


@pytest.mark.parametrize(
    ("peer", "said", "scheme"),
    [
        ("10.0.0.1", b"https", "https"),
        ("10.0.0.1", b"HTTPS ", "https"),
        ("10.0.0.1", b"wss", "https"),
        ("10.0.0.1", b"ws", "http"),
        ("10.0.0.1", b"", "http"),
        ("10.0.0.1", b"gopher\xff", "http"),
        ("192.0.2.1", b"https", "http"),
        (None, b"https", "http"),
    ],
)
def test_only_a_trusted_proxy_decides_that_a_request_came_by_https(peer: str | None, said: bytes, scheme: str) -> None:
    scope = {"client": [peer, 1] if peer else None, "scheme": "http", "headers": [(b"x-forwarded-proto", said)]}
    assert addresses.scheme_of_scope(scope, PROXIES) == scheme


@pytest.mark.parametrize(
    ("scheme", "peer", "said", "known"),
    [
        ("ws", "192.0.2.1", b"", "http"),
        ("wss", "192.0.2.1", b"", "https"),
        ("https", "192.0.2.1", b"http", "https"),
        ("wss", "10.0.0.1", b"http", "http"),
        ("ws", "10.0.0.1", b"https", "https"),
    ],
)
def test_a_stream_is_as_secure_as_a_page(scheme: str, peer: str, said: bytes, known: str) -> None:
    scope = {"client": [peer, 1], "scheme": scheme, "headers": [(b"x-forwarded-proto", said)]}
    assert addresses.scheme_of_scope(scope, PROXIES) == known
