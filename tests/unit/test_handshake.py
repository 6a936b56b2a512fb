"""Request heads and WebSocket handshakes: by the RFCs' sections, and against `websockets`' own server."""

import contextlib
import json
import logging
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from streaming.engine.handshake import (
    MOST_HEAD_BYTES,
    MOST_HEADERS,
    Head,
    RefusedError,
    check,
    may_be_handshake,
    parse_handshake,
    parse_head,
    split_target,
    switching_protocols,
)
from tests.support.raw_websocket import KEY, accept_of, plain_request, request

DEFLATE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def head_of(data: bytes) -> Head:
    head = parse_head(data)
    assert head is not None
    return head


def refused(data: bytes) -> int:
    """The status with which a head or a handshake is refused."""
    with pytest.raises(RefusedError) as caught:
        parse_handshake(head_of(data))
    assert caught.value.answer.startswith(b"HTTP/1.1 %d " % caught.value.status)
    return caught.value.status


# --- a request's head (RFC 9112) -------------------------------------------------------------------------------------


def test_a_head_is_taken_apart_and_what_follows_it_is_left() -> None:
    data = b"POST /a?b HTTP/1.0\r\nHost: a\r\nX-Empty:\r\nx-a:\t 1 , 2 \t\r\nX-A: \xff:\r\n\r\nbody"
    assert parse_head(data) == Head(
        b"POST",
        b"/a?b",
        b"HTTP/1.0",
        [(b"host", b"a"), (b"x-empty", b""), (b"x-a", b"1 , 2"), (b"x-a", b"\xff:")],
        len(data) - len(b"body"),
    )
    assert head_of(b"GET / HTTP/1.1\r\n\r\n").headers == []


def test_a_head_that_is_incomplete_is_none_at_every_byte() -> None:
    data = request(path="/a?b", Cookie="a=b")
    assert [size for size in range(len(data) + 1) if parse_head(data[:size]) is not None] == [len(data)]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"", 400),
        (b"GET", 400),
        (b"GET /", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /  HTTP/1.1", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET\t/ HTTP/1.1", 400),
        (b"GET / HTTP/1.1 HTTP/1.1", 400),
        (b"GET /\xc3\xa9 HTTP/1.1", 400),
        (b"GET /\x00 HTTP/1.1", 400),
        (b"G(T / HTTP/1.1", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1.1.1", 400),
        (b"GET / HTTP/11", 400),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/9.9", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
def test_3_a_request_line_against_the_grammar_is_refused(line: bytes, status: int) -> None:
    assert refused(line + b"\r\nhost: a\r\n\r\n") == status


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"no colon", id="5: no colon"),
        pytest.param(b": x", id="5: no name"),
        pytest.param(b"x : y", id="5.1: a blank before the colon"),
        pytest.param(b"x y: z", id="5: a blank in the name"),
        pytest.param(b"x(y): z", id="5: a name that is no token"),
        pytest.param(b"\xc3\xa9: x", id="5: a name of no letters"),
        pytest.param(b" x: y", id="5.2: a folded line"),
        pytest.param(b"\tx", id="5.2: one folded by a tab"),
        *[
            pytest.param(b"x: a%bb" % bytes([code]), id=f"RFC 9110, 5.5: the control character {code}")
            for code in (0, 8, 10, 11, 12, 13, 27, 31, 127)
        ],
    ],
)
def test_5_a_header_against_the_grammar_is_refused(line: bytes) -> None:
    for where in (b"GET / HTTP/1.1\r\n%b\r\nhost: a\r\n\r\n", b"GET / HTTP/1.1\r\nhost: a\r\n%b\r\n\r\n"):
        assert refused(where % line) == 400


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"GET /" + b"x" * MOST_HEAD_BYTES, 414, id="3: a request line without end"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"x" * MOST_HEAD_BYTES, 431, id="RFC 6585, 5: a header without end"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * MOST_HEAD_BYTES, 431, id="RFC 6585, 5: headers without end"),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * (MOST_HEADERS + 1) + b"\r\n",
            431,
            id="RFC 6585, 5: one header too many",
        ),
    ],
)
def test_a_head_that_is_too_long_is_refused_though_it_has_no_end(data: bytes, status: int) -> None:
    assert refused(data) == status


def test_the_longest_head_is_taken() -> None:
    data = b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * (MOST_HEADERS - 1) + b"x: "
    data += b"x" * (MOST_HEAD_BYTES - len(data) - 4) + b"\r\n\r\n"
    assert parse_head(data[:-1]) is None
    assert head_of(data).length == MOST_HEAD_BYTES
    with pytest.raises(RefusedError):
        parse_head(data.replace(b"x: ", b"xy: ", 1))


@pytest.mark.parametrize("first", [b"POST / HTTP/1.1", b"get /", b"\r\nGET", b"\x16\x03", b"G\x00"])
def test_what_can_no_longer_be_a_handshake_is_known_by_its_first_bytes(first: bytes) -> None:
    assert not may_be_handshake(first)


def test_what_can_still_be_a_handshake_is_known_too() -> None:
    assert all(may_be_handshake(request()[:size]) for size in range(10))


@pytest.mark.parametrize(
    ("upgrade", "asks"),
    [
        ("websocket", True),
        ("WebSocket", True),
        ("h2c, websocket", True),
        (["h2c", "websocket"], True),
        ("h2c", False),
        ("websockets", False),
        ("", False),
    ],
)
def test_an_upgrade_is_to_websocket_where_one_of_its_elements_says_so(upgrade: str | list[str], asks: bool) -> None:
    assert head_of(request(upgrade=upgrade)).asks_for_websocket is asks


def test_without_upgrade_it_is_a_handshake_that_a_proxy_has_damaged_if_it_has_a_key() -> None:
    assert head_of(request(without="upgrade")).asks_for_websocket
    assert not head_of(plain_request()).asks_for_websocket


# --- any request, WebSocket or not -----------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["", "a", "a.example:3001", "127.0.0.1", "[::1]:80", "a_b", "a:", "%41"])
def test_9112_3_2_a_host_is_taken(host: str) -> None:
    check(b"HTTP/1.1", [host.encode()], [b"Chunked"])
    check(b"HTTP/1.0", [], [])


@pytest.mark.parametrize(
    ("version", "hosts", "encodings"),
    [
        pytest.param("1.1", [], [], id="9112, 3.2: no Host"),
        pytest.param("1.1", ["a", "a"], [], id="9112, 3.2: two Hosts"),
        pytest.param("1.0", ["a", "b"], [], id="9112, 3.2: two Hosts, by HTTP/1.0"),
        *[
            pytest.param("1.1", [host], [], id=f"9112, 3.2: {host!r} for a Host")
            for host in ("a b", "a/b", "a@b", "a:b", "[::1", "a?", "\xff", "a:1:2")
        ],
        pytest.param("1.1", ["a"], ["chunked", "chunked"], id="9112, 11.2: Transfer-Encoding twice"),
        pytest.param("1.1", ["a"], ["gzip, chunked"], id="9112, 11.2: two codings"),
    ],
)
def test_a_request_that_two_servers_may_read_differently_is_refused(
    version: str, hosts: list[str], encodings: list[str]
) -> None:
    with pytest.raises(RefusedError) as caught:
        check(
            f"HTTP/{version}".encode(),
            [host.encode("latin-1") for host in hosts],
            [encoding.encode() for encoding in encodings],
        )
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (b"/", (None, b"/", b"")),
        (b"/a/%ff?b=c?d", (None, b"/a/%ff", b"b=c?d")),
        (b"//a/b", (None, b"//a/b", b"")),
        (b"http://a.example:80/b?c", (b"a.example:80", b"/b", b"c")),
        (b"HTTP://a", (b"a", b"/", b"")),
        (b"https://[::1]?b", (b"[::1]", b"/", b"b")),
        (b"ws://a/", (b"a", b"/", b"")),
    ],
)
def test_9112_3_2_a_target_is_a_path_or_a_whole_address(
    target: bytes, parts: tuple[bytes | None, bytes, bytes]
) -> None:
    assert split_target(target) == parts


@pytest.mark.parametrize(
    "target", [b"*", b"a", b"a:443", b"?a", b"/#a", b"/?a#b", b"http:/a", b"ftp://a/", b"http://a@b/", b"http://[", b""]
)
def test_9112_3_2_any_other_target_is_refused(target: bytes) -> None:
    with pytest.raises(RefusedError):
        split_target(target)


# --- 4.2.1 the client's handshake ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "handshake",
    [
        request(Upgrade="WEBSOCKET", Connection="UPGRADE"),
        request(Connection=["keep-alive", "x, Upgrade"]),
        request(Upgrade="h2c, websocket"),
        request(path="http://127.0.0.1/"),
        request(Origin="null"),
        request(Origin="file://"),
        request(Origin="https://prices.example:8443"),
        request(Origin="chrome-extension://abcdefghijklmnop"),
        request(Content_Length="0"),
        request().replace(b": ", b":"),
        request().replace(b": ", b": \t "),
    ],
)
def test_a_handshake_as_described_is_accepted_in_all_its_spellings(handshake: bytes) -> None:
    parsed = parse_handshake(head_of(handshake))
    assert (parsed.key, parsed.window_bits) == (KEY.encode(), 0)
    assert (parsed.scope["raw_path"], parsed.scope["subprotocols"]) == (b"/", [])


@pytest.mark.parametrize(
    ("handshake", "status"),
    [
        pytest.param(request(method="POST"), 405, id="1: another method than GET"),
        pytest.param(request(method="HEAD"), 405, id="1: HEAD"),
        pytest.param(request(method="get"), 405, id="1: a method in lower case"),
        pytest.param(request(version="HTTP/1.0"), 400, id="1: an HTTP version below 1.1"),
        pytest.param(request(path="/#fragment"), 400, id="3: a fragment identifier in the resource name"),
        pytest.param(request(path="*"), 400, id="3: no resource name"),
        pytest.param(request(without="Host"), 400, id="2: no Host"),
        pytest.param(request(host=["one.example", "two.example"]), 400, id="2: two Hosts"),
        pytest.param(request(host="a b"), 400, id="2: a Host that is none"),
        pytest.param(request(without="Connection"), 400, id="4: no Connection"),
        pytest.param(request(connection="keep-alive"), 400, id="4: Connection without Upgrade"),
        pytest.param(request(connection="Upgraded"), 400, id="4: Connection with a longer word"),
        pytest.param(request(without="Sec-WebSocket-Key"), 400, id="5: no key"),
        pytest.param(request(sec_websocket_key=""), 400, id="5: an empty key"),
        pytest.param(request(sec_websocket_key="A" * 22 + "AA"), 400, id="5: a key of eighteen bytes"),
        pytest.param(request(sec_websocket_key="A" * 20 + "===="), 400, id="5: a key of fifteen bytes"),
        pytest.param(request(sec_websocket_key="-" * 22 + "=="), 400, id="5: a key that is not base64"),
        pytest.param(request(sec_websocket_key=[KEY, KEY]), 400, id="11.3.1: two keys"),
        pytest.param(request(without="Sec-WebSocket-Version"), 400, id="6: no version"),
        pytest.param(request(sec_websocket_version=["13", "13"]), 400, id="11.3.5: two versions"),
        pytest.param(request(origin=["https://a", "https://a"]), 400, id="7: two Origins"),
        pytest.param(request(origin="a"), 400, id="7: an Origin that is none"),
        pytest.param(request(origin="http://["), 400, id="7: an Origin of half an address"),
        pytest.param(request(origin="http://a:port"), 400, id="7: an Origin with a port of letters"),
        pytest.param(request(origin="https://a https://b"), 400, id="7: a list of Origins"),
        pytest.param(request(content_length="1"), 400, id="9110, 8.6: a body"),
        pytest.param(request(content_length="-0"), 400, id="9110, 8.6: a length that is none"),
        pytest.param(request(transfer_encoding="chunked"), 400, id="9112, 6.1: a body in chunks"),
        *[
            pytest.param(request(sec_websocket_protocol=offered), 400, id=f"4.1, 10: {offered!r} for subprotocols")
            for offered in ("", ",", "a,", "a, a", "a b", "a;b", "caf\xe9", ["a", "a"])
        ],
    ],
)
def test_any_other_handshake_is_refused(handshake: bytes, status: int) -> None:
    assert refused(handshake) == status


@pytest.mark.parametrize("version", ["0", "8", "12", "14", "255", "", "x", "013", "+13", "13.0", "13 13"])
def test_another_version_is_told_which_one_is_understood(version: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parse_handshake(head_of(request(sec_websocket_version=version)))
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in caught.value.answer


VERSION, UPGRADE, CONNECTION = (
    "proxy_http_version 1.1;",
    "proxy_set_header Upgrade $http_upgrade;",
    "proxy_set_header Connection upgrade;",
)


@pytest.mark.parametrize(
    ("handshake", "lines"),
    [
        (request(version="HTTP/1.0"), [VERSION]),
        (request(without="upgrade"), [UPGRADE]),
        (request(connection="close"), [CONNECTION]),
        (request(without="upgrade", connection=[]), [UPGRADE, CONNECTION]),
        (request(version="HTTP/1.0", without="upgrade", connection="close"), [VERSION, UPGRADE, CONNECTION]),
    ],
    ids=["HTTP/1.0", "no Upgrade", "no Connection", "neither", "nothing, as by default"],
)
def test_a_proxy_that_makes_no_upgrade_is_told_what_its_configuration_lacks(handshake: bytes, lines: list[str]) -> None:
    with pytest.raises(RefusedError) as caught:
        parse_handshake(head_of(handshake))
    assert caught.value.status == 400
    assert caught.value.detail.endswith(f"(nginx: {' '.join(lines)})")


@pytest.mark.parametrize(
    "malformed",
    [
        *("x-a; ", "; x-a", "x-a; =b", "x-a; b=", "x-a; b c", "x a", "x-a=b", "x-a; b=c=d", 'x-a; b="c', 'x-a; b=""'),
        *('x-a; b="c d"', "x-a; b=(c)", "x-a;; b", "permessage-deflate;", "permessage-deflate; \xff", 'x-a; b="c\\"'),
    ],
)
def test_9_1_extensions_against_the_grammar_are_refused(malformed: str) -> None:
    assert refused(request(sec_websocket_extensions=malformed)) == 400
    assert refused(request(sec_websocket_extensions=["x-b", malformed])) == 400


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("x-a; b=c, x-d", ("", 0)),
        ([", ,x-a,", 'x-a; b="c"'], ("", 0)),
        ("permessage-deflate; unheard_of", ("", 0)),
        ("permessage-deflate; client_max_window_bits", (DEFLATE, 15)),
        (["x-a", "permessage-deflate ; server_max_window_bits = 10"], (f"{DEFLATE}; server_max_window_bits=10", 10)),
    ],
)
def test_9_1_offers_are_those_of_all_lines(offered: str | list[str], answered: tuple[str, int]) -> None:
    parsed = parse_handshake(head_of(request(sec_websocket_extensions=offered)))
    assert (parsed.extension, parsed.window_bits) == answered


@pytest.mark.parametrize(
    "header",
    [
        *(name + ": a," + unit * 16_000
          for name in ("sec-websocket-extensions", "sec-websocket-protocol", "connection", "x")
          for unit in (" ", ",", ", ,", " ; ", "a;", "a =", '="', "a\t", "b, ")),
        *("origin: http://" + unit * 16_000 for unit in (":", "a:", ".", "[")),
        *("host: " + unit * 16_000 for unit in (":", "a:", "[:", "%")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "("])
def test_no_header_takes_long_to_judge(header: str, end: str) -> None:
    name, value = header.split(": ", 1)
    sent = request(**{name.replace("-", "_"): value[: MOST_HEAD_BYTES - 500] + end})

    def seconds() -> float:
        began = time.thread_time()
        with contextlib.suppress(RefusedError):
            parse_handshake(head_of(sent))
        return time.thread_time() - began

    # Where others use the core too, or lines are counted, one try may take longer.
    assert any(seconds() < 0.05 for _ in range(5))


# --- 4.2.2 the server's answer ---------------------------------------------------------------------------------------


def test_the_scope_is_as_asgi_describes_it() -> None:
    data = request(
        path="/a%20b/%C3%A9?c=%20d", Cookie=["a=b", "c=d"], X_Under="1", sec_websocket_protocol=["b, a%20", "c"]
    )
    scope = parse_handshake(head_of(data.replace(b"x-under", b"x_under"))).scope
    headers = scope.pop("headers")
    assert scope == {
        "type": "websocket",
        "path": "/a b/é",
        "raw_path": b"/a%20b/%C3%A9",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "query_string": b"c=%20d",
        "subprotocols": ["b", "a%20", "c"],
    }
    assert (b"host", b"127.0.0.1") in headers
    assert [value for name, value in headers if name == b"cookie"] == [b"a=b", b"c=d"]
    assert not any(b"_" in name for name, _ in headers)  # to WSGI it would be the same as with a hyphen


def test_9112_3_2_2_the_host_of_a_whole_address_is_the_one_that_counts() -> None:
    headers = parse_handshake(head_of(request(path="http://b.example:1/", host="a.example"))).scope["headers"]
    assert [value for name, value in headers if name == b"host"] == [b"b.example:1"]


def test_connections_share_what_headers_they_have_in_common() -> None:
    one, other = (parse_handshake(head_of(request(Cookie=f"a={n}", X_Long=300 * "x"))).scope["headers"] for n in (1, 2))
    assert [name for header in one if not any(header is shared for shared in other) for name in header[:1]] == [
        b"cookie",
        b"x-long",
    ]


@pytest.mark.parametrize("subprotocol", [None, "b"])
@pytest.mark.parametrize("bits", [None, 9, 15])
def test_an_independent_client_takes_the_answer(subprotocol: str | None, bits: int | None) -> None:
    client = ClientProtocol(
        parse_uri("ws://a.example/b?c"),
        subprotocols=[Subprotocol("a"), Subprotocol("b")],
        extensions=[ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=True)],
    )
    client.send_request(client.connect())
    parsed = parse_handshake(head_of(b"".join(client.data_to_send())))
    scope = parsed.scope
    assert (scope["raw_path"], scope["query_string"], scope["subprotocols"]) == (b"/b", b"c", ["a", "b"])
    client.receive_data(switching_protocols(parsed, subprotocol))
    assert (client.state, client.handshake_exc, client.subprotocol) == (OPEN, None, subprotocol)
    assert [extension.name for extension in client.extensions] == ["permessage-deflate"]


def test_the_answer_says_nothing_that_was_not_asked_for() -> None:
    assert switching_protocols(parse_handshake(head_of(request())), None) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept_of(KEY).encode()
    )


@pytest.mark.parametrize(
    ("status", "title"),
    [(403, "Forbidden"), (413, "Content Too Large"), (414, "URI Too Long"), (503, "Service Unavailable")],
)
def test_a_refusal_is_a_problem_document(status: int, title: str) -> None:
    head, body = RefusedError(status, 'Send "less"', b"Retry-After: 1").answer.split(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == f"HTTP/1.1 {status} {title}"
    assert lines == [
        "Retry-After: 1",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    assert json.loads(body) == {"type": "about:blank", "title": title, "status": status, "detail": 'Send "less"'}


# --- against websockets ----------------------------------------------------------------------------------------------

logging.getLogger("websockets.server").setLevel(logging.CRITICAL)

BROWSER = request(
    path="/ws/prices/?a=b",
    connection="keep-alive, Upgrade",
    Origin="https://a.example",
    Cookie="a=b",
    sec_websocket_protocol="swarnaai-v1, b",
    sec_websocket_extensions="permessage-deflate; client_max_window_bits",
)


def is_accepted_elsewhere(data: bytes) -> bool:
    server = ServerProtocol()
    server.receive_data(data)
    events = server.events_received()
    return bool(events) and isinstance(events[0], Request) and server.accept(events[0]).status_code == 101


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A handshake with bytes removed, replaced and put in, or with lines of it."""
    data = bytearray(draw(st.sampled_from([BROWSER, request()])))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        until = at + draw(st.integers(0, 3))
        data[at:until] = draw(st.binary(max_size=2) | st.sampled_from([b"\r\n", b" ", b",", b": ", b"=", b";", b'"']))
    if draw(st.booleans()):
        lines = bytes(data).split(b"\r\n")
        data = bytearray(b"\r\n".join(draw(st.permutations(lines[:-2])) if draw(st.booleans()) else lines[::2] + lines))
    return bytes(data)


@given(mutated() | st.binary(max_size=300))
def test_a_damaged_handshake_is_accepted_only_where_another_implementation_accepts_it(data: bytes) -> None:
    try:
        head = parse_head(data)
        if head is None or not head.asks_for_websocket:
            return
        assert parse_handshake(head).scope["path"].startswith("/")
    except RefusedError as error:
        assert 400 <= error.status < 600
        return
    # It judges what else Connection lists, and takes no other upgrade beside this one. Of both lists a server may
    # ignore the rest (RFC 9110, 7.6.1 and 7.8).
    rest = re.sub(rb"(?i)\r\n(?:connection|upgrade):[^\r\n]*", b"", data[: head.length - 2])
    assert is_accepted_elsewhere(rest + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), data


@given(st.integers(0, len(BROWSER)), st.integers(0, len(BROWSER)))
def test_a_head_is_the_same_wherever_it_was_cut(one: int, other: int) -> None:
    first, second = sorted((one, other))
    reads = [BROWSER[:first], BROWSER[:second], BROWSER + b"\x81\x80"]
    heads = [parse_head(data) for data in reads]
    assert heads[2] == head_of(BROWSER)
    assert all(head is None for head, data in zip(heads, reads, strict=True) if len(data) < len(BROWSER))
