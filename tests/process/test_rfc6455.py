"""RFC 6455 on the engine: every MUST and MUST NOT for a server, by section, with an echo application."""

import json
import os

import pytest
from websockets.sync.client import connect

from tests.support.echo import EchoServer
from tests.support.echo_server import MAX_MESSAGE_BYTES, varied
from tests.support.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    EndedError,
    Frame,
    Peer,
    accept_of,
    close_frame,
    fragments,
    frame,
    plain_request,
    request,
)

pytestmark = pytest.mark.usefixtures("undisturbed")

AFTER = frame(TEXT, b"after")


@pytest.fixture
def peer(caller: Peer) -> Peer:
    """An open WebSocket that echoes."""
    caller.open()
    return caller


def heard(echo: EchoServer) -> list[str]:
    """The messages that the application was given so far."""
    with connect(echo.ws_url + "heard", compression=None) as client:
        messages: list[str] = json.loads(client.recv(timeout=5))
        return messages


# --- 4.2.1 reading the client's opening handshake --------------------------------------------------------------------


@pytest.mark.parametrize(
    "handshake",
    [
        request(Upgrade="WebSocket"),
        request(Upgrade="WEBSOCKET", Connection="UPGRADE"),
        request(Connection="upgrade"),
        request(Connection="keep-alive, Upgrade"),
        request(Connection=["keep-alive", "Upgrade"]),
        request(Upgrade="h2c, websocket"),
        request().replace(b"sec-websocket-", b"SEC-WebSocket-").replace(b"host:", b"HOST:"),
        request(path="http://127.0.0.1/"),
        request(path="/?a=b&c=%ff"),
        request(Origin="https://prices.example"),
        request(Origin="null"),
        request(Cookie="a=b; c=d", User_Agent="x", Accept_Language="en"),
        request().replace(b": ", b":"),
        request().replace(b": ", b": \t "),
    ],
)
def test_4_2_1_a_handshake_as_described_is_accepted_in_all_its_spellings(caller: Peer, handshake: bytes) -> None:
    assert caller.shake(handshake).status == 101
    assert caller.echo(frame(TEXT, b"open")) == Frame(TEXT, b"open")


@pytest.mark.parametrize(
    ("handshake", "statuses"),
    [
        pytest.param(request(method="POST"), {400, 405}, id="1: another method than GET"),
        pytest.param(request(method="HEAD"), {400, 405}, id="1: HEAD"),
        pytest.param(request(method="get"), {400, 405, 501}, id="1: a method in lower case"),
        pytest.param(request(version="HTTP/1.0"), {400, 426, 505}, id="1: an HTTP version below 1.1"),
        pytest.param(request(version="HTTP/0.9"), {400, 426, 505}, id="1: an HTTP version of no header"),
        pytest.param(request(path="/#fragment"), {400}, id="3: a fragment identifier in the resource name"),
        pytest.param(request(without="Host"), {400}, id="2: no Host"),
        pytest.param(request(host=["one.example", "two.example"]), {400}, id="2: two Hosts"),
        pytest.param(request(upgrade="websockets"), {200, 400, 426}, id="3: Upgrade to something else"),
        pytest.param(request(without="Upgrade"), {400, 426}, id="3: no Upgrade"),
        pytest.param(request(without="Connection"), {400, 426}, id="4: no Connection"),
        pytest.param(request(connection="keep-alive"), {400, 426}, id="4: Connection without Upgrade"),
        pytest.param(request(connection="Upgraded"), {400, 426}, id="4: Connection with a longer word"),
        pytest.param(request(without="Sec-WebSocket-Key"), {400}, id="5: no key"),
        pytest.param(request(sec_websocket_key=""), {400}, id="5: an empty key"),
        pytest.param(request(sec_websocket_key="AAAA"), {400}, id="5: a key of three bytes"),
        pytest.param(request(sec_websocket_key="A" * 22 + "AA"), {400}, id="5: a key of eighteen bytes"),
        pytest.param(request(sec_websocket_key="A" * 20 + "===="), {400}, id="5: a key of fifteen bytes"),
        pytest.param(request(sec_websocket_key="-" * 22 + "=="), {400}, id="5: a key that is not base64"),
        pytest.param(request(sec_websocket_key="A" * 10 + " " + "A" * 11 + "=="), {400}, id="5: a key with a blank"),
        pytest.param(request(sec_websocket_key=[KEY, KEY]), {400}, id="11.3.1: two keys"),
        pytest.param(request(without="Sec-WebSocket-Version"), {400, 426}, id="6: no version"),
        pytest.param(request(sec_websocket_version=["13", "13"]), {400, 426}, id="11.3.5: two versions"),
    ],
)
def test_4_2_1_any_other_handshake_is_answered_with_an_error(
    caller: Peer, handshake: bytes, statuses: set[int]
) -> None:
    assert caller.shake(handshake).status in statuses


@pytest.mark.parametrize("version", ["0", "7", "12", "14", "25", "255"])
def test_4_2_2_another_version_is_told_which_one_is_understood(caller: Peer, version: str) -> None:
    answer = caller.shake(request(sec_websocket_version=version))
    assert answer.status in (400, 426)
    assert "13" in (answer.one("Sec-WebSocket-Version") or "").replace(" ", "").split(",")


@pytest.mark.parametrize("version", ["", "x", "-13", "+13", "013", "1_3", "13.0", "13 13", "256", "1300000000000"])
def test_4_2_1_a_version_against_the_grammar_is_an_error(caller: Peer, version: str) -> None:
    assert caller.shake(request(sec_websocket_version=version)).status in (400, 426)


def test_4_2_1_a_request_without_upgrade_and_key_is_plain_http(caller: Peer) -> None:
    answer = caller.shake(plain_request(connection="close"))
    assert answer.status == 200
    assert answer.one("Sec-WebSocket-Accept") is None


# --- 4.2.2 the server's opening handshake ----------------------------------------------------------------------------


def test_4_2_2_the_answer_is_101_with_upgrade_connection_and_nothing_that_was_not_asked_for(caller: Peer) -> None:
    answer = caller.open()
    assert (answer.one("Upgrade") or "").lower() == "websocket"
    assert (answer.one("Connection") or "").lower() == "upgrade"
    assert answer.all("Sec-WebSocket-Protocol") == []
    assert answer.all("Sec-WebSocket-Extensions") == []


def test_4_2_2_the_accept_value_is_made_of_the_key_without_its_surrounding_blanks(caller: Peer) -> None:
    answer = caller.open(sec_websocket_key="  dGhlIHNhbXBsZSBub25jZQ== \t")
    assert answer.one("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_4_2_2_each_key_has_its_own_accept_value(echo: EchoServer) -> None:
    for key in (KEY, "/////////////////////w==", "AAAAAAAAAAAAAAAAAAAAAA=="):
        with Peer(echo.port) as peer:
            assert peer.open(sec_websocket_key=key).one("Sec-WebSocket-Accept") == accept_of(key)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("chat", "chat"),
        ("chat, superchat", "chat"),
        ("superchat,chat", "superchat"),
        (["superchat", "chat"], "superchat"),
        (["v2, v1", "chat"], "v2"),
        ("a%20b, c", "a%20b"),
        ("!#$&'*+-.^_`|~09azAZ", "!#$&'*+-.^_`|~09azAZ"),
    ],
)
def test_4_2_2_the_subprotocol_is_one_that_was_offered_in_one_line_or_several(
    caller: Peer, offered: str | list[str], chosen: str
) -> None:
    assert caller.open("/first", sec_websocket_protocol=offered).one("Sec-WebSocket-Protocol") == chosen
    assert caller.echo(frame(TEXT, b"open")).payload == b"open"


@pytest.mark.parametrize("offered", [{}, {"sec_websocket_protocol": "chat"}])
def test_4_2_2_a_subprotocol_that_was_not_offered_is_not_answered_whatever_the_application_says(
    caller: Peer, offered: dict[str, str]
) -> None:
    answer = caller.shake(request(path="/unoffered", **offered))
    assert answer.status == 500 or (answer.status == 101 and answer.one("Sec-WebSocket-Protocol") is None)


@pytest.mark.parametrize("offered", ["x-unheard-of", "x-a; b=c, x-d", ["x-a", "x-b"], ", ,x-a,", 'x-a; b="c"'])
def test_4_2_2_an_extension_that_is_unknown_is_not_answered(caller: Peer, offered: str | list[str]) -> None:
    assert caller.open(sec_websocket_extensions=offered).all("Sec-WebSocket-Extensions") == []
    assert caller.echo(frame(TEXT, b"open")).payload == b"open"


@pytest.mark.parametrize(
    "malformed",
    [
        "x-a; ",
        "; x-a",
        "x-a; =b",
        "x-a; b=",
        "x-a; b c",
        "x a",
        "x-a=b",
        "x-a; b=c=d",
        'x-a; b="c',
        'x-a; b=""',
        'x-a; b="c d"',
        "x-a; b=(c)",
        "x-a;; b",
        "permessage-deflate;",
        "permessage-deflate; server_max_window_bits=",
        'permessage-deflate; server_max_window_bits="10',
        "permessage-deflate; client max window bits",
    ],
)
def test_9_1_extensions_against_the_grammar_fail_the_handshake(caller: Peer, malformed: str) -> None:
    assert caller.shake(request(sec_websocket_extensions=malformed)).status == 400


def test_4_2_2_an_application_that_refuses_is_a_403(caller: Peer) -> None:
    assert caller.shake(request(path="/reject")).status == 403


def test_4_2_2_an_application_that_fails_before_it_accepts_is_a_500(caller: Peer) -> None:
    assert caller.shake(request(path="/raise")).status == 500


def test_7_4_1_an_application_that_fails_later_is_a_1011(caller: Peer) -> None:
    caller.open("/raise-later")
    assert caller.end().code == 1011


# --- 5.1, 5.2 frames -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        pytest.param(frame(TEXT, b"broken", masked=False), 1002, id="5.1: an unmasked text frame"),
        pytest.param(frame(TEXT, b"", masked=False), 1002, id="5.1: an unmasked frame without a payload"),
        pytest.param(frame(PING, b"broken", masked=False), 1002, id="5.1: an unmasked ping"),
        pytest.param(frame(CLOSE, b"", masked=False), 1002, id="5.1: an unmasked close"),
        pytest.param(frame(TEXT, b"broken", rsv=RSV1), 1002, id="5.2: RSV1 without an extension"),
        pytest.param(frame(TEXT, b"broken", rsv=RSV2), 1002, id="5.2: RSV2"),
        pytest.param(frame(TEXT, b"broken", rsv=RSV3), 1002, id="5.2: RSV3"),
        pytest.param(frame(TEXT, b"broken", rsv=7), 1002, id="5.2: all reserved bits"),
        pytest.param(frame(PING, b"broken", rsv=RSV1), 1002, id="5.2: RSV1 on a ping"),
        pytest.param(frame(CLOSE, b"", rsv=RSV3), 1002, id="5.2: RSV3 on a close"),
        *[pytest.param(frame(code, b"broken"), 1002, id=f"5.2: reserved opcode {code:#x}") for code in (3, 4, 5, 6, 7)],
        *[pytest.param(frame(code, b"broken"), 1002, id=f"5.2: reserved opcode {code:#x}") for code in range(11, 16)],
        pytest.param(frame(3, b""), 1002, id="5.2: a reserved opcode without a payload"),
        pytest.param(frame(11, b"", fin=False), 1002, id="5.2: a fragment of a reserved opcode"),
        pytest.param(frame(TEXT, b"broken", length_bytes=2), 1002, id="5.2: a length of 6 in 16 bits"),
        pytest.param(frame(TEXT, b"x" * 125, length_bytes=2), 1002, id="5.2: a length of 125 in 16 bits"),
        pytest.param(frame(TEXT, b"broken", length_bytes=8), 1002, id="5.2: a length of 6 in 64 bits"),
        pytest.param(frame(TEXT, b"x" * 126, length_bytes=8), 1002, id="5.2: a length of 126 in 64 bits"),
        pytest.param(frame(TEXT, b"broken", length=1 << 63), 1002, id="5.2: a 64-bit length with its top bit set"),
        pytest.param(frame(TEXT, b"broken", length=2**64 - 1), 1002, id="5.2: a 64-bit length of ones"),
        pytest.param(frame(PING, b"broken", fin=False), 1002, id="5.5: a fragmented ping"),
        pytest.param(frame(PONG, b"broken", fin=False), 1002, id="5.5: a fragmented pong"),
        pytest.param(frame(CLOSE, b"", fin=False), 1002, id="5.5: a fragmented close"),
        pytest.param(frame(PING, b"x" * 126), 1002, id="5.5: a ping of 126 bytes"),
        pytest.param(frame(PONG, b"x" * 126), 1002, id="5.5: a pong of 126 bytes"),
        pytest.param(frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002, id="5.5: a close of 126 bytes"),
        pytest.param(frame(PING, b"x" * 65536), 1002, id="5.5: a ping of 64 KiB"),
        pytest.param(frame(CONTINUATION, b"broken"), 1002, id="5.4: a continuation of nothing"),
        pytest.param(frame(CONTINUATION, b"broken", fin=False), 1002, id="5.4: a fragment of nothing"),
        pytest.param(frame(TEXT, b"bro", fin=False) + frame(TEXT, b"ken"), 1002, id="5.4: text inside a message"),
        pytest.param(frame(TEXT, b"bro", fin=False) + frame(BINARY, b"ken"), 1002, id="5.4: binary inside a message"),
        pytest.param(frame(BINARY, b"bro", fin=False) * 2, 1002, id="5.4: a second beginning of a message"),
    ],
)
def test_5_a_frame_against_the_rules_fails_the_connection_and_nothing_after_it_is_processed(
    peer: Peer, broken: bytes, code: int
) -> None:
    assert peer.echo(frame(TEXT, b"first")) == Frame(TEXT, b"first")
    closed = peer.end(broken, AFTER, frame(PING, b"after"))
    assert (closed.code, closed.before) == (code, [])


def test_5_what_follows_a_broken_frame_does_not_reach_the_application(echo: EchoServer, peer: Peer) -> None:
    peer.end(frame(TEXT, b"one"), frame(TEXT, b"half of a message, ", fin=False), frame(TEXT, b"broken frame"), AFTER)
    with Peer(echo.port) as other:
        other.open()
        other.end(frame(TEXT, b"an unmasked message", masked=False), frame(TEXT, b"and the one after it"))
    given = heard(echo)
    assert "one" in given
    assert not any("half of" in text or "broken" in text or "unmasked" in text or "after it" in text for text in given)


def test_5_a_broken_frame_is_told_from_its_header_and_the_peer_that_stays_is_dropped(peer: Peer) -> None:
    peer.send(frame(TEXT, b"", rsv=RSV2, length=100))
    told = peer.receive()
    assert (told.opcode, told.payload[:2]) == (CLOSE, b"\x03\xea")
    assert peer.ends_within(3)


@pytest.mark.parametrize("length", [0, 1, 124, 125, 126, 127, 128, 255, 256, MAX_MESSAGE_BYTES])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_5_2_a_message_of_any_length_is_echoed_in_one_frame(peer: Peer, opcode: int, length: int) -> None:
    payload = varied(length).encode()
    assert peer.echo(frame(opcode, payload)) == Frame(opcode, payload)


@pytest.mark.parametrize("length", [125, 126, 65535, 65536, 1_000_000])
@pytest.mark.parametrize(("path", "opcode"), [("send", TEXT), ("send-bytes", BINARY)])
def test_5_2_the_server_encodes_each_length_in_the_fewest_bytes_and_never_masks(
    caller: Peer, path: str, opcode: int, length: int
) -> None:
    caller.open(f"/{path}/{length}")
    assert caller.receive() == Frame(opcode, varied(length).encode())  # Peer.read looks at mask and length


def test_5_3_any_mask_is_taken_off(peer: Peer) -> None:
    for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x80\0\0\x01"):
        masked = bytes(byte ^ mask[number % 4] for number, byte in enumerate(b"masked"))
        assert peer.echo(b"\x81\x86" + mask + masked).payload == b"masked"


def test_5_2_frames_may_come_a_byte_at_a_time_or_many_in_one_segment(peer: Peer) -> None:
    sent = frame(TEXT, b"x" * 200)
    for number in range(len(sent)):
        peer.send(sent[number : number + 1])
    assert peer.receive().payload == b"x" * 200
    peer.send(*[frame(TEXT, str(number).encode()) for number in range(100)])
    assert [peer.receive().payload for _ in range(100)] == [str(number).encode() for number in range(100)]


# --- 5.4 fragmentation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        [b"one", b"two"],
        [b"", b"all"],
        [b"all", b""],
        [b"", b"", b""],
        [b"x"] * 1000,
        [b"x" * 8192, b"y" * 8192],
    ],
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_5_4_fragments_are_put_together_in_order(peer: Peer, opcode: int, parts: list[bytes]) -> None:
    peer.send(fragments(opcode, parts))
    got = peer.receive()
    payload = got.payload
    while not got.fin:
        payload += (got := peer.receive()).payload
    assert payload == b"".join(parts)


def test_5_4_control_frames_inside_a_message_are_answered_at_once_and_do_not_harm_it(peer: Peer) -> None:
    assert peer.echo(frame(TEXT, b"one, ", fin=False), frame(PING, b"?")) == Frame(PONG, b"?")
    peer.send(frame(PONG, b"unsolicited"), frame(CONTINUATION, b"two, ", fin=False), frame(PING))
    assert peer.receive() == Frame(PONG, b"")
    assert peer.echo(frame(CONTINUATION, b"three")) == Frame(TEXT, b"one, two, three")


def test_5_5_1_a_close_inside_a_message_closes(echo: EchoServer, peer: Peer) -> None:
    closed = peer.end(frame(TEXT, b"half a message", fin=False), close_frame(1000))
    assert (closed.code, closed.before) == (1000, [])
    assert "half a message" not in heard(echo)


# --- 5.5.2, 5.5.3 ping and pong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"?", b"\x00\xff\xfe", os.urandom(125)])
def test_5_5_3_a_ping_is_answered_by_a_pong_with_the_same_data(peer: Peer, payload: bytes) -> None:
    assert peer.echo(frame(PING, payload)) == Frame(PONG, payload)


def test_5_5_3_the_latest_of_many_pings_is_answered(peer: Peer) -> None:
    peer.send(*[frame(PING, bytes([number])) for number in range(100)], frame(TEXT, b"done"))
    pongs = []
    while (got := peer.receive()).opcode == PONG:
        pongs.append(got.payload)
    assert pongs[-1] == bytes([99])
    assert pongs == sorted(pongs)
    assert got.payload == b"done"


def test_5_5_3_a_pong_that_nobody_asked_for_is_not_answered(peer: Peer) -> None:
    assert peer.echo(frame(PONG), frame(PONG, b"unsolicited"), frame(TEXT, b"next")) == Frame(TEXT, b"next")


# --- 5.6, 8.1 data and UTF-8 -----------------------------------------------------------------------------------------

VALID = ["κόσμε", "€", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffe\uffff", "\U0010ffff"]
INVALID = [
    pytest.param(b"\x80", id="a continuation byte alone"),
    pytest.param(b"\xc0\xaf", id="an overlong slash"),
    pytest.param(b"\xc1\xbf", id="an overlong two-byte form"),
    pytest.param(b"\xe0\x80\x80", id="an overlong three-byte form"),
    pytest.param(b"\xf0\x80\x80\x80", id="an overlong four-byte form"),
    pytest.param(b"\xed\xa0\x80", id="a surrogate"),
    pytest.param(b"\xed\xa0\x80\xed\xb0\x80", id="a pair of surrogates"),
    pytest.param(b"\xf4\x90\x80\x80", id="beyond U+10FFFF"),
    pytest.param(b"\xf5\x80\x80\x80", id="a byte F5"),
    pytest.param(b"\xfe", id="a byte FE"),
    pytest.param(b"\xff", id="a byte FF"),
    pytest.param(b"\xe2\x82", id="an unfinished code point"),
    pytest.param(b"\xe2\x28\xa1", id="a code point broken off"),
]


@pytest.mark.parametrize("text", VALID)
def test_5_6_text_is_utf_8_whole_and_split_at_every_byte(peer: Peer, text: str) -> None:
    payload = f"<{text}>".encode()
    assert peer.echo(frame(TEXT, payload)) == Frame(TEXT, payload)
    assert peer.echo(fragments(TEXT, [bytes([byte]) for byte in payload])) == Frame(TEXT, payload)


@pytest.mark.parametrize("invalid", INVALID)
def test_8_1_text_that_is_not_utf_8_fails_the_connection(echo: EchoServer, peer: Peer, invalid: bytes) -> None:
    closed = peer.end(frame(TEXT, b"ill-formed " + invalid), AFTER)
    assert (closed.code, closed.before) == (1007, [])
    with Peer(echo.port) as other:
        other.open()
        closed = other.end(fragments(TEXT, [b"ill-formed ", *[bytes([byte]) for byte in invalid], b""]), AFTER)
    assert (closed.code, closed.before) == (1007, [])
    assert not any("ill-formed" in text for text in heard(echo))


def test_8_1_bytes_need_not_be_utf_8(peer: Peer) -> None:
    assert peer.echo(frame(BINARY, bytes(range(256)))) == Frame(BINARY, bytes(range(256)))


# --- 5.5.1, 7 closing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 4999])
def test_5_5_1_a_close_is_answered_with_its_code_and_the_server_ends_tcp_at_once(peer: Peer, code: int) -> None:
    peer.send(close_frame(code, "ciao €".encode()))
    assert int.from_bytes(peer.receive().payload[:2], "big") == code
    assert peer.ends_within(1)


def test_5_5_1_an_empty_close_is_answered(peer: Peer) -> None:
    closed = peer.end(close_frame(), reply=False)
    assert closed.code in (None, 1000)
    assert closed.orderly


def test_5_5_a_close_may_have_125_bytes(peer: Peer) -> None:
    assert peer.end(close_frame(1000, b"x" * 123), reply=False).code == 1000


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_7_4_a_code_that_must_not_be_in_a_close_frame_is_a_protocol_error(peer: Peer, code: int) -> None:
    assert peer.end(close_frame(code)).code == 1002


def test_5_5_1_a_close_of_one_byte_is_a_protocol_error(peer: Peer) -> None:
    assert peer.end(frame(CLOSE, b"\x03")).code == 1002


@pytest.mark.parametrize("invalid", INVALID)
def test_5_5_1_a_reason_that_is_not_utf_8_fails_the_connection(peer: Peer, invalid: bytes) -> None:
    assert peer.end(close_frame(1000, b"reason " + invalid)).code in (1002, 1007)


def test_7_what_comes_after_a_close_is_discarded(echo: EchoServer, peer: Peer) -> None:
    closed = peer.end(close_frame(1000), frame(TEXT, b"after a close"), frame(PING, b"?"), close_frame(1001))
    assert (closed.code, closed.before) == (1000, [])
    assert "after a close" not in heard(echo)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1009, 1011, 1012, 1013, 3000, 4999])
def test_7_1_5_the_application_closes_with_its_code_and_reason(caller: Peer, code: int) -> None:
    caller.open(f"/close/{code}/until%20then")
    closed = caller.end()
    assert (closed.code, closed.reason, closed.before) == (code, "until then", [])


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_7_4_a_code_that_must_not_be_sent_is_not_whatever_the_application_says(caller: Peer, code: int) -> None:
    caller.open(f"/close/{code}/no")
    sent = caller.end().code
    assert sent in (None, 1000, 1011)


def test_5_5_a_long_reason_is_cut_between_characters(caller: Peer) -> None:
    caller.open("/close/1000/" + "x" + "%E2%82%AC" * 60)
    assert caller.end().reason == "x" + "€" * 40  # 121 bytes; another euro would make 124


def test_5_5_1_no_data_is_sent_after_a_close_frame_nor_answers_to_pings(peer: Peer, echo: EchoServer) -> None:
    with Peer(echo.port) as told:
        told.open("/close-when-told/1000")
        # `end` fails where anything follows the close frame.
        assert told.end(frame(TEXT, b"now"), frame(TEXT, b"still there?"), frame(PING, b"?")).code == 1000


def test_7_1_1_the_server_ends_tcp_when_its_close_has_been_answered(caller: Peer) -> None:
    caller.open("/close/1000")
    assert caller.receive().opcode == CLOSE
    caller.send(close_frame(1000))
    assert caller.ends_within(0.5)


def test_7_1_1_the_server_ends_tcp_in_order_so_that_nothing_it_sent_is_lost(caller: Peer) -> None:
    caller.open("/close/3000")
    closed = caller.end()
    assert (closed.code, closed.orderly) == (3000, True)


def test_7_1_1_a_server_whose_close_is_not_answered_ends_tcp_by_itself(caller: Peer) -> None:
    caller.open("/close/1000")
    assert caller.ends_within(3)


def test_7_2_1_a_client_that_is_gone_without_a_word_is_no_matter(echo: EchoServer) -> None:
    for words in (b"", request()[:30], request(), request() + frame(TEXT, b"half", length=100)):
        with Peer(echo.port) as peer:
            peer.send(words)
    with Peer(echo.port) as peer:
        peer.open()
        peer.send(frame(TEXT, b"x" * 10_000) * 10)


def test_7_2_1_a_client_that_ends_its_sending_side_gets_the_end(echo: EchoServer) -> None:
    with Peer(echo.port) as peer:
        peer.open()
        peer.finish()
        with pytest.raises(EndedError):
            peer.receive()
