"""RFC 7692 (permessage-deflate) on streaming/engine, by section, with an echo application."""

import json
import os
import zlib
from typing import NamedTuple

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

from tests.support.echo import EchoServer
from tests.support.echo_server import COMPRESSION_THRESHOLD, MAX_MESSAGE_BYTES, varied
from tests.support.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    Frame,
    Peer,
    Response,
    fragments,
    frame,
)

pytestmark = pytest.mark.usefixtures("undisturbed")

TAIL = b"\x00\x00\xff\xff"
# What a DEFLATE stream may end with; a stream that it does not end was broken off inside a block.
LAST_BLOCK = b"\x01\x00\x00\xff\xff"
PARAMETERS = {
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
}
BOMB = 16 * 1024 * 1024


class Agreed(NamedTuple):
    """The server's answer to an offer; None for a parameter that it did not name."""

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int | None
    client_max_window_bits: int | None


def agreed(answer: Response) -> Agreed | None:
    """The server's answer to the offer of permessage-deflate, which must be legal (7.1); None where it declined."""
    value = answer.one("Sec-WebSocket-Extensions")
    if value is None:
        return None
    name, *given = [part.strip() for part in value.split(";")]
    assert name == "permessage-deflate", value
    pairs = [part.partition("=") for part in given]
    names = [key for key, _, _ in pairs]
    assert len(names) == len(set(names)), f"7.1: a parameter MUST NOT come twice: {value}"
    assert set(names) <= PARAMETERS, f"7.1: no other parameter: {value}"
    values = {key: (equals, text) for key, equals, text in pairs}
    for key in ("server_no_context_takeover", "client_no_context_takeover"):
        assert values.get(key, ("", "")) == ("", ""), f"7.1.1: it has no value: {value}"
    bits: dict[str, int | None] = {"server_max_window_bits": None, "client_max_window_bits": None}
    for key in bits:
        if key in values:
            assert values[key][1] in [str(number) for number in range(8, 16)], f"7.1.2: an integer of 8 to 15: {value}"
            bits[key] = int(values[key][1])
    return Agreed(
        "server_no_context_takeover" in names,
        "client_no_context_takeover" in names,
        bits["server_max_window_bits"],
        bits["client_max_window_bits"],
    )


def deflated(data: bytes, bits: int = 15, *, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    """The payload of a compressed message (7.2.1), of a compressor of its own."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits, 8, strategy)
    payload = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert payload.endswith(TAIL)
    return payload.removesuffix(TAIL)


def inflated(payload: bytes, bits: int = 15) -> bytes:
    """The content of a compressed message (7.2.2), by an inflater with no context and no more window than `bits`.

    zlib looks further back than its window within what one call puts out: so it may put out one byte a call.
    """
    inflater = zlib.decompressobj(-bits)
    said, rest = b"", payload + TAIL
    while part := inflater.decompress(rest, 1):
        said, rest = said + part, inflater.unconsumed_tail
    assert inflater.decompress(inflater.unconsumed_tail + LAST_BLOCK) == b""
    assert inflater.eof, "7.2.1: a message MUST end with a whole block"
    return said


@pytest.fixture
def peer(caller: Peer) -> Peer:
    """An open WebSocket that echoes, with permessage-deflate."""
    assert agreed(caller.open(sec_websocket_extensions="permessage-deflate"))
    return caller


def message(got: Frame, bits: int = 15) -> tuple[int, bytes]:
    """Opcode and content of an unfragmented message, compressed or not."""
    assert got.fin
    assert got.rsv in (0, RSV1)
    return got.opcode, inflated(got.payload, bits) if got.rsv else got.payload


# --- 5, 7.1 negotiation ----------------------------------------------------------------------------------------------


def test_7_1_1_an_offer_is_accepted_without_any_context_kept_on_either_side(caller: Peer) -> None:
    answer = agreed(caller.open(sec_websocket_extensions="permessage-deflate"))
    assert answer == Agreed(True, True, None, None)


def test_5_no_extension_is_answered_where_none_was_offered(caller: Peer) -> None:
    assert agreed(caller.open()) is None


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate;server_no_context_takeover;client_max_window_bits",
        "permessage-deflate ; client_max_window_bits ; server_max_window_bits = 10",
        "permessage-deflate; client_max_window_bits; server_max_window_bits=15",
        "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits",
        ["x-a", "permessage-deflate"],
    ],
)
def test_7_1_1_what_may_be_offered_is_accepted_in_all_its_spellings(caller: Peer, offer: str | list[str]) -> None:
    answer = agreed(caller.open(sec_websocket_extensions=offer))
    assert answer is not None
    assert answer.server_no_context_takeover
    assert caller.echo(frame(TEXT, deflated(b"hello"), rsv=RSV1)) == Frame(TEXT, b"hello")


@pytest.mark.parametrize("bits", [9, 10, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("quote", ["", '"'])
def test_7_1_2_1_an_offered_server_window_is_answered_with_the_same_or_a_smaller_one(
    caller: Peer, bits: int, quote: str
) -> None:
    offer = f"permessage-deflate; server_max_window_bits={quote}{bits}{quote}"
    answer = agreed(caller.open("/send/100000", sec_websocket_extensions=offer))
    assert answer is not None
    assert answer.server_max_window_bits in range(8, bits + 1)
    got = caller.receive()
    assert got.rsv == RSV1
    assert message(got, answer.server_max_window_bits or 15) == (TEXT, varied(100_000).encode())


def test_7_1_2_1_a_window_of_256_bytes_is_kept_or_declined(caller: Peer) -> None:
    answer = agreed(
        caller.open("/send/100000", sec_websocket_extensions="permessage-deflate; server_max_window_bits=8")
    )
    got = caller.receive()
    if answer is None:
        assert got == Frame(TEXT, varied(100_000).encode())
    else:
        assert answer.server_max_window_bits == 8
        assert message(got, 8) == (TEXT, varied(100_000).encode())


@pytest.mark.parametrize("offered", ["", "=8", "=9", "=10", "=14", "=15"])
def test_7_1_2_2_a_client_window_is_answered_only_where_it_was_offered_and_no_larger(
    caller: Peer, offered: str
) -> None:
    offer = f"permessage-deflate; client_max_window_bits{offered}"
    answer = agreed(caller.open(sec_websocket_extensions=offer))
    assert answer is not None
    bits = answer.client_max_window_bits or 15
    assert bits <= int(offered.removeprefix("=") or 15) or answer.client_max_window_bits is None
    content = varied(MAX_MESSAGE_BYTES).encode()
    sent = deflated(content, max(9, min(bits, int(offered.removeprefix("=") or 15))))
    assert message(caller.echo(frame(TEXT, sent, rsv=RSV1))) == (TEXT, content)


@pytest.mark.parametrize(
    "parameters",
    [
        "unheard_of",
        "unheard_of=1",
        "server_max_window_bits=10; unheard_of",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=12",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "server_no_context_takeover=1",
        "server_no_context_takeover=true",
        'client_no_context_takeover="yes"',
        "server_max_window_bits",
        *[
            f"{side}_max_window_bits={value}"
            for side in ("server", "client")
            for value in ("0", "7", "16", "08", "010", "+10", "-10", "1_0", "ten", "0xA", "10.0", '"7"', "100000")
        ],
    ],
)
def test_7_1_an_offer_with_a_parameter_that_may_not_be_is_declined_and_the_connection_goes_on(
    caller: Peer, parameters: str
) -> None:
    assert agreed(caller.open(sec_websocket_extensions=f"permessage-deflate; {parameters}")) is None
    content = varied(2 * COMPRESSION_THRESHOLD).encode()
    assert caller.echo(frame(TEXT, content)) == Frame(TEXT, content)


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        (
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            Agreed(True, True, 10, None),
        ),
        (
            "permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=11",
            Agreed(True, True, 11, None),
        ),
        (
            ["permessage-deflate; unheard_of", "permessage-deflate; server_max_window_bits=12"],
            Agreed(True, True, 12, None),
        ),
        (
            "x-a; permessage-deflate, permessage-deflate; unheard_of, permessage-deflate",
            Agreed(True, True, None, None),
        ),
        ("permessage-deflate; unheard_of, permessage-deflate; server_max_window_bits=16", None),
    ],
)
def test_5_of_several_offers_the_first_that_can_be_kept_is_accepted(
    caller: Peer, offer: str | list[str], expected: Agreed | None
) -> None:
    assert agreed(caller.open(sec_websocket_extensions=offer)) == expected
    assert caller.echo(frame(TEXT, b"open")) == Frame(TEXT, b"open")


@pytest.mark.parametrize(
    "name", ["permessage-bzip2", "permessage-brotli", "permessage-snappy", "permessage-deflate-x", "deflate-frame"]
)
def test_5_no_other_compression_is_accepted(caller: Peer, name: str) -> None:
    assert agreed(caller.open(sec_websocket_extensions=name)) is None
    assert caller.echo(frame(TEXT, b"open")) == Frame(TEXT, b"open")


# --- 6 the bit "Per-Message Compressed" ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(frame(PING, b"", rsv=RSV1), id="6.1: RSV1 on a ping"),
        pytest.param(frame(PONG, deflated(b"x"), rsv=RSV1), id="6.1: RSV1 on a pong"),
        pytest.param(frame(CLOSE, b"", rsv=RSV1), id="6.1: RSV1 on a close"),
        pytest.param(frame(TEXT, deflated(b"x"), rsv=RSV1 | RSV2), id="RSV2 with it"),
        pytest.param(frame(TEXT, deflated(b"x"), rsv=RSV1 | RSV3), id="RSV3 with it"),
        pytest.param(frame(TEXT, b"x", rsv=RSV2), id="RSV2 instead"),
        pytest.param(frame(CONTINUATION, b"x", rsv=RSV1), id="RSV1 on a continuation of nothing"),
        pytest.param(
            frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", rsv=RSV1), id="6.1: RSV1 on a later fragment"
        ),
        pytest.param(
            frame(TEXT, deflated(b"x"), fin=False, rsv=RSV1) + frame(CONTINUATION, b"", rsv=RSV1),
            id="6.1: RSV1 on every fragment",
        ),
    ],
)
def test_6_1_the_bit_anywhere_but_on_a_messages_first_frame_fails_the_connection(peer: Peer, broken: bytes) -> None:
    closed = peer.end(broken, frame(TEXT, b"after"))
    assert (closed.code, closed.before) == (1002, [])


@pytest.mark.parametrize("offer", [{}, {"sec_websocket_extensions": "permessage-deflate; unheard_of"}])
def test_6_the_bit_without_an_agreement_fails_the_connection(caller: Peer, offer: dict[str, str]) -> None:
    caller.open(**offer)
    assert caller.end(frame(TEXT, deflated(b"x"), rsv=RSV1)).code == 1002


def test_6_2_messages_may_be_compressed_or_not_as_the_client_likes(peer: Peer) -> None:
    content = varied(3000).encode()
    for _ in range(3):
        assert message(peer.echo(frame(TEXT, content))) == (TEXT, content)
        assert message(peer.echo(frame(BINARY, deflated(content), rsv=RSV1))) == (BINARY, content)


# --- 7.2.2 what the server inflates ----------------------------------------------------------------------------------

HELLO = b"Hello"
BLOCKS = [
    pytest.param("f248cdc9c90700", HELLO, id="7.2.3.1: one block"),
    pytest.param("000500faff48656c6c6f00", HELLO, id="7.2.3.3: no compression"),
    pytest.param("f348cdc9c9070000", HELLO, id="7.2.3.4: BFINAL set"),
    pytest.param("f248050000 00ffff cac9c90700", HELLO, id="7.2.3.5: two blocks"),
    pytest.param("00", b"", id="7.2.3.6: an empty message"),
    pytest.param("030000", b"", id="an empty block with BFINAL set"),
    pytest.param("f348cdc9c90700 f348cdc9c9070000", HELLO * 2, id="7.2.1: two blocks with BFINAL set"),
    pytest.param("f348cdc9c90700 f248cdc9c90700", HELLO * 2, id="7.2.1: a block after one with BFINAL set"),
    pytest.param("000500faff48656c6c6f f248cdc9c90700", HELLO * 2, id="7.2.1: a stored block and a compressed one"),
    pytest.param("000000ffff" * 100 + "f248cdc9c90700", HELLO, id="7.2.1: a hundred empty blocks before"),
    pytest.param("0300" * 100 + "f248cdc9c90700", HELLO, id="7.2.1: a hundred blocks with BFINAL set before"),
]


@pytest.mark.parametrize(("payload", "content"), BLOCKS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_7_2_2_blocks_of_every_kind_are_inflated(peer: Peer, opcode: int, payload: str, content: bytes) -> None:
    for _ in range(2):
        assert message(peer.echo(frame(opcode, bytes.fromhex(payload), rsv=RSV1))) == (opcode, content)


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED])
@pytest.mark.parametrize("bits", [9, 15])
def test_7_2_2_messages_of_every_compressor_are_inflated(peer: Peer, level: int, strategy: int, bits: int) -> None:
    content = varied(10_000).encode()
    sent = deflated(content, bits, level=level, strategy=strategy)
    assert message(peer.echo(frame(TEXT, sent, rsv=RSV1))) == (TEXT, content)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_7_2_2_a_compressed_message_may_be_fragmented_anywhere(peer: Peer, size: int) -> None:
    content = varied(5000).encode()
    payload = deflated(content)
    parts = [payload[at : at + size] for at in range(0, len(payload), size)]
    assert message(peer.echo(fragments(TEXT, parts, rsv=RSV1))) == (TEXT, content)
    assert message(peer.echo(fragments(TEXT, [b"", *parts, b""], rsv=RSV1))) == (TEXT, content)


def test_7_2_2_control_frames_inside_a_compressed_message_are_not_compressed(peer: Peer) -> None:
    payload = deflated(b"one message")
    assert peer.echo(frame(TEXT, payload[:5], fin=False, rsv=RSV1), frame(PING, b"?")) == Frame(PONG, b"?")
    assert peer.echo(frame(CONTINUATION, payload[5:])) == Frame(TEXT, b"one message")


def test_7_1_1_2_no_context_is_kept_between_the_clients_messages(peer: Peer) -> None:
    content = b"as in the message before " * 4
    compressor = zlib.compressobj(wbits=-15)
    first = compressor.compress(content) + compressor.flush(zlib.Z_SYNC_FLUSH)
    second = compressor.compress(content) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert peer.echo(frame(TEXT, first.removesuffix(TAIL), rsv=RSV1)).payload == content
    # It refers to what is no longer there.
    assert peer.end(frame(TEXT, second.removesuffix(TAIL), rsv=RSV1)).code in (1002, 1007)


@pytest.mark.parametrize(
    "corrupt",
    [
        pytest.param(b"\xff" * 20, id="a reserved block type"),
        pytest.param(b"\x06", id="the reserved block type at the end"),
        pytest.param(bytes.fromhex("000500ffff48656c6c6f00"), id="a stored block whose lengths disagree"),
        pytest.param(bytes.fromhex("006400 9bff") + b"x" * 50, id="a stored block broken off"),
        pytest.param(deflated(os.urandom(3000).hex().encode())[:1500], id="a message broken off"),
        pytest.param(b"x" + deflated(varied(3000).encode()), id="a byte too many before"),
        pytest.param(zlib.compress(b"with a header of zlib's"), id="a zlib stream"),
        pytest.param(b"not compressed at all", id="no compression at all"),
    ],
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_7_2_2_what_cannot_be_inflated_fails_the_connection_and_is_not_given_to_the_application(
    peer: Peer, opcode: int, corrupt: bytes
) -> None:
    closed = peer.end(frame(opcode, corrupt, rsv=RSV1), frame(TEXT, b"after"))
    assert closed.code in (1002, 1007)
    assert closed.before == []


@pytest.mark.parametrize("invalid", [b"\xff", b"\xe2\x82", b"\xed\xa0\x80"])
def test_8_1_text_is_utf_8_after_it_is_inflated(echo: EchoServer, peer: Peer, invalid: bytes) -> None:
    payload = deflated(b"squeezed, ill-formed " + invalid)
    assert peer.end(frame(TEXT, payload, rsv=RSV1), frame(TEXT, b"after")).code == 1007
    with Peer(echo.port) as other:
        other.open(sec_websocket_extensions="permessage-deflate")
        assert other.end(fragments(TEXT, [bytes([byte]) for byte in payload], rsv=RSV1)).code == 1007
    with connect(echo.ws_url + "heard") as client:
        assert not any("ill-formed" in text for text in json.loads(client.recv(timeout=5)))


def test_8_1_code_points_may_be_split_by_fragments_and_blocks(peer: Peer) -> None:
    content = "€κόσμε\U0010ffff".encode()
    assert peer.echo(fragments(TEXT, [bytes([byte]) for byte in deflated(content)], rsv=RSV1)).payload == content
    compressor = zlib.compressobj(wbits=-15)
    blocks = b"".join(compressor.compress(bytes([byte])) + compressor.flush(zlib.Z_SYNC_FLUSH) for byte in content)
    assert peer.echo(frame(TEXT, blocks.removesuffix(TAIL), rsv=RSV1)).payload == content


# --- 7.2.1 what the server compresses --------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_7_2_1_every_message_of_the_servers_can_be_inflated_without_those_before_it(peer: Peer, opcode: int) -> None:
    content = varied(MAX_MESSAGE_BYTES).encode()
    for _ in range(3):
        got = peer.echo(frame(opcode, content))
        assert got.rsv == RSV1
        assert len(got.payload) < len(content)
        assert not got.payload.endswith(TAIL), "7.2.1: the tail MUST be removed"
        assert message(got) == (opcode, content)


def test_7_2_1_messages_below_the_threshold_are_not_compressed(peer: Peer) -> None:
    small = b"x" * (COMPRESSION_THRESHOLD - 1)
    assert peer.echo(frame(TEXT, small)) == Frame(TEXT, small)
    got = peer.echo(frame(TEXT, small + b"x"))
    assert got.rsv == RSV1
    assert message(got) == (TEXT, small + b"x")


@pytest.mark.parametrize("length", [COMPRESSION_THRESHOLD, 65535, 65536, 1_000_000])
@pytest.mark.parametrize(("path", "opcode"), [("send", TEXT), ("send-bytes", BINARY)])
def test_7_2_1_a_message_of_any_length_comes_whole(caller: Peer, path: str, opcode: int, length: int) -> None:
    caller.open(f"/{path}/{length}", sec_websocket_extensions="permessage-deflate")
    got = caller.receive()
    assert got.rsv == RSV1
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(got.payload + TAIL) == varied(length).encode()


@pytest.mark.parametrize("bits", [None, 9, 12])
def test_an_independent_client_and_the_server_understand_each_other(echo: EchoServer, bits: int | None) -> None:
    extension = ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits or True)
    with connect(echo.ws_url, compression=None, extensions=[extension]) as client:
        assert [used.name for used in client.protocol.extensions] == ["permessage-deflate"]
        for length in (0, 1, 200, 2000, MAX_MESSAGE_BYTES):
            client.send(varied(length))
            assert client.recv(timeout=5) == varied(length)
        client.send(varied(400) for _ in range(20))
        assert client.recv(timeout=5) == varied(400) * 20


# --- 8 the limit, after inflation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 50])
def test_a_message_that_inflates_to_the_limit_is_taken_and_a_larger_one_is_too_big(peer: Peer, frames: int) -> None:
    def in_frames(payload: bytes) -> bytes:
        size = len(payload) // frames + 1
        return fragments(TEXT, [payload[at * size : at * size + size] for at in range(frames)], rsv=RSV1)

    for content in (varied(MAX_MESSAGE_BYTES).encode(), b"x" * MAX_MESSAGE_BYTES):
        assert message(peer.echo(in_frames(deflated(content)))) == (TEXT, content)
    closed = peer.end(in_frames(deflated(varied(MAX_MESSAGE_BYTES + 1).encode())))
    assert (closed.code, closed.before) == (1009, [])


@pytest.mark.parametrize("frames", [1, 2, 100])
def test_a_bomb_is_too_big_and_takes_no_memory(echo: EchoServer, frames: int) -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(bytes(BOMB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    bomb = bomb.removesuffix(TAIL)[: MAX_MESSAGE_BYTES - 100]
    size = len(bomb) // frames + 1
    explosive = fragments(BINARY, [bomb[at * size : at * size + size] for at in range(frames)], rsv=RSV1)
    before = echo.peak_memory
    for _ in range(2):
        with Peer(echo.port) as peer:
            peer.open(sec_websocket_extensions="permessage-deflate")
            closed = peer.end(explosive, frame(TEXT, b"after"))
            assert (closed.code, closed.before) == (1009, [])
    assert echo.peak_memory - before < BOMB // 8


def test_a_message_of_last_blocks_without_end_is_too_big(peer: Peer) -> None:
    closed = peer.end(frame(TEXT, b"\x03\x00" * (MAX_MESSAGE_BYTES // 2 - 1) + b"\x00", rsv=RSV1))
    assert (closed.code, closed.before) == (1009, [])
