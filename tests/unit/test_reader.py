"""The reader of a client's frames: by the RFC's sections, and against `websockets`' own client and server."""

import codecs
import itertools
import logging
import tracemalloc
import zlib
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from streaming.engine.reader import CloseFrame, Event, Ping, Reader, Violation
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
    close_frame,
    fragments,
    frame,
)

MOST = 1000
TAIL = b"\x00\x00\xff\xff"
HELLO = b"hello to all who read this"


def read(data: bytes, cuts: Iterable[int] = (), *, most: int = MOST, inflates: bool = True) -> list[Event]:
    """The events of these bytes, which come in pieces cut there; nothing may come after a violation or a close."""
    reader = Reader(most, inflates=inflates)
    events: list[Event] = []
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    for begin, end in itertools.pairwise(places):
        events += reader.take(data[begin:end])
        if events and isinstance(events[-1], Violation | CloseFrame):
            break
    return events


def deflated(data: bytes, before: bytes = b"") -> bytes:
    """The payload of a compressed message (RFC 7692, 7.2.1), which may refer to data before."""
    compressor = zlib.compressobj(wbits=-15, zdict=before)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def code_of(events: Sequence[Event]) -> int | None:
    """The code of the violation that ends these events."""
    assert not any(isinstance(event, Violation | CloseFrame) for event in events[:-1])
    return events[-1].code if events and isinstance(events[-1], Violation) else None


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "events"),
    [
        pytest.param(frame(TEXT, "κόσμε".encode()), ["κόσμε"], id="5.6: text"),
        pytest.param(frame(TEXT), [""], id="5.6: an empty text"),
        pytest.param(frame(BINARY, b"\xff\x00"), [b"\xff\x00"], id="5.6: bytes"),
        pytest.param(frame(BINARY), [b""], id="5.6: no bytes"),
        pytest.param(frame(PING, b"?"), [Ping(b"?")], id="5.5.2: a ping"),
        pytest.param(frame(PONG, b"!") + frame(TEXT, b"x"), ["x"], id="5.5.3: a pong is no event"),
        pytest.param(close_frame(), [CloseFrame(None, "")], id="5.5.1: a close without a code"),
        pytest.param(close_frame(4001, "ciao €".encode()), [CloseFrame(4001, "ciao €")], id="5.5.1: a close"),
        pytest.param(close_frame(1000) + frame(TEXT, b"x"), [CloseFrame(1000, "")], id="1.4: nothing after a close"),
        pytest.param(fragments(TEXT, [b"\xe2", b"", b"\x82", b"\xac"]), ["€"], id="5.4: a code point in fragments"),
        pytest.param(fragments(TEXT, ["€".encode(), "κ".encode(), b"x"]), ["€κx"], id="5.4: code points as fragments"),
        pytest.param(fragments(BINARY, [b"", b"a", b"b", b""]), [b"ab"], id="5.4: fragments, some of them empty"),
        pytest.param(
            frame(TEXT, b"a", fin=False) + frame(PING, b"?") + frame(PONG) + frame(CONTINUATION, b"b"),
            [Ping(b"?"), "ab"],
            id="5.4: control frames between fragments",
        ),
        pytest.param(
            frame(TEXT, b"a", fin=False) + close_frame(1001), [CloseFrame(1001, "")], id="5.5.1: a close in a message"
        ),
        pytest.param(frame(TEXT, deflated(b"hello"), rsv=RSV1), ["hello"], id="RFC 7692, 7.2.2: compressed"),
        pytest.param(
            fragments(BINARY, [deflated(b"hello")[:3], b"", deflated(b"hello")[3:]], rsv=RSV1),
            [b"hello"],
            id="RFC 7692, 7.2.2: compressed, in fragments",
        ),
        pytest.param(
            frame(TEXT, b"plain") + frame(TEXT, deflated(b"not"), rsv=RSV1) + frame(TEXT, b"plain"),
            ["plain", "not", "plain"],
            id="RFC 7692, 6: each message as the client likes",
        ),
        pytest.param(frame(TEXT, bytes.fromhex("0300") * 100 + b"\x00", rsv=RSV1), [""], id="many last blocks"),
        pytest.param(frame(TEXT, b"\x01", rsv=RSV1), [""], id="RFC 7692, 7.2.1: a last block, empty, without its tail"),
        pytest.param(
            frame(TEXT, zlib.compress(HELLO, wbits=-15) + deflated(HELLO, HELLO), rsv=RSV1),
            [2 * HELLO.decode()],
            id="RFC 7692, 7.2.3.4: a last block, and one that refers to what is before it",
        ),
        *[
            pytest.param(frame(BINARY, b"x" * length), [b"x" * length], id=f"5.2: {length} bytes")
            for length in (125, 126, 127, MOST)
        ],
    ],
)
def test_what_is_legal_is_read_however_it_is_cut(sent: bytes, events: list[Event]) -> None:
    assert read(sent) == events
    assert read(sent, range(len(sent))) == events


def test_a_message_of_more_than_64_kib_is_read() -> None:
    assert read(frame(BINARY, b"x" * 70_000), most=70_000) == [b"x" * 70_000]


# --- what is not -----------------------------------------------------------------------------------------------------

BROKEN = [
    *[
        pytest.param(frame(opcode, b"x", masked=False), 1002, id=f"5.1: opcode {opcode} unmasked")
        for opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG, 3)
    ],
    *[
        pytest.param(frame(opcode, b"", rsv=rsv), 1002, id=f"5.2: reserved bits {rsv} on opcode {opcode}")
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
        for rsv in (RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3, 7)
    ],
    *[pytest.param(frame(opcode, b"", rsv=RSV1), 1002, id=f"7692, 6: RSV1 on {opcode}") for opcode in (8, 9, 10)],
    *[
        pytest.param(frame(opcode, b"x", fin=fin), 1002, id=f"5.2: reserved opcode {opcode}, fin {fin}")
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        for fin in (True, False)
    ],
    *[pytest.param(frame(opcode, b"", fin=False), 1002, id=f"5.5: {opcode} fragmented") for opcode in (8, 9, 10)],
    *[
        pytest.param(frame(opcode, b"x" * length), 1002, id=f"5.5: {opcode} of {length} bytes")
        for opcode in (8, 9, 10)
        for length in (126, MOST + 1, 65536)
    ],
    *[
        pytest.param(frame(TEXT, b"x" * length, length_bytes=size), 1002, id=f"5.2: {length} in {size} bytes")
        for length, size in ((6, 2), (125, 2), (6, 8), (126, 8), (MOST, 8))
    ],
    pytest.param(frame(TEXT, length=1 << 63), 1002, id="5.2: a length with the top bit set"),
    pytest.param(frame(CONTINUATION, b"x"), 1002, id="5.4: a continuation of nothing"),
    pytest.param(frame(CONTINUATION, b"x", fin=False), 1002, id="5.4: a fragment of nothing"),
    pytest.param(frame(PONG) + frame(CONTINUATION, b"b"), 1002, id="5.4: a continuation of a control frame"),
    *[
        pytest.param(frame(TEXT, b"a", fin=False) + frame(opcode, b"", rsv=rsv, fin=fin), 1002, id=f"{opcode} {rsv}")
        for opcode, rsv in ((TEXT, 0), (BINARY, 0), (TEXT, RSV1), (CONTINUATION, RSV1), (CONTINUATION, RSV2))
        for fin in (True, False)
    ],
    pytest.param(frame(TEXT, b"\x02", fin=False, rsv=RSV1) + frame(CONTINUATION, rsv=RSV1), 1002, id="7692, 6.1"),
    *[
        pytest.param(close_frame(code), 1002, id=f"7.4: {code}")
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)
    ],
    pytest.param(frame(CLOSE, b"\x03"), 1002, id="5.5.1: a close of one byte"),
    pytest.param(close_frame(1000, b"\xe2\x82"), 1007, id="5.5.1: a reason that is not UTF-8"),
    pytest.param(frame(TEXT, b"\xed\xa0\x80"), 1007, id="8.1: a surrogate"),
    pytest.param(fragments(TEXT, [b"\xe2\x82", b""]), 1007, id="8.1: an unfinished code point"),
    pytest.param(frame(TEXT, b"\xf4", fin=False) + frame(CONTINUATION, b"\x90", fin=False), 1007, id="8.1: at once"),
    pytest.param(frame(TEXT, deflated(b"\xff"), rsv=RSV1), 1007, id="8.1: after inflation"),
    pytest.param(frame(TEXT, b"\xff" * 20, rsv=RSV1), 1007, id="7692, 7.2.2: no deflate stream"),
    pytest.param(frame(TEXT, deflated(b"hello hello")[:-3], rsv=RSV1), 1007, id="7692, 7.2.2: one broken off"),
    pytest.param(frame(TEXT, bytes.fromhex("f348cdc9c90700"), rsv=RSV1), 1007, id="7692, 7.2.1: no block after it"),
    pytest.param(frame(TEXT, b"\x03", rsv=RSV1), 1007, id="7692, 7.2.1: a block that the tail itself ends"),
    pytest.param(frame(TEXT, b"\x00\x04\x00\xfb\xff", rsv=RSV1), 1007, id="7692, 7.2.1: one that the tail fills"),
    pytest.param(frame(TEXT, deflated(str([*range(500)]).encode())[:9], rsv=RSV1), 1007, id="7692, 7.2.1: broken"),
    pytest.param(frame(BINARY, b"", length=MOST + 1), 1009, id="10.4: too long, by its header"),
    pytest.param(frame(BINARY, b"", length=2**63 - 1), 1009, id="10.4: much too long"),
    pytest.param(frame(TEXT, b"x" * MOST, fin=False) + frame(CONTINUATION, length=1), 1009, id="10.4: by all headers"),
    pytest.param(frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * MOST, 1009, id="10.4: empty fragments"),
    pytest.param(frame(TEXT, deflated(b"x" * (MOST + 1)), rsv=RSV1), 1009, id="10.4: inflated"),
    pytest.param(frame(TEXT, length=2 * MOST + 1, rsv=RSV1), 1009, id="10.4: too long to inflate to so little"),
    pytest.param(frame(TEXT, b"\x00\x00\x00\xff\xff" * (MOST // 5), fin=False, rsv=RSV1)
        + frame(CONTINUATION, b"\x00\x00\x00\xff\xff" * (MOST // 5), fin=False) + frame(CONTINUATION, length=1),
        1009, id="10.4: empty blocks"),
    pytest.param(frame(TEXT, b"\x03\x00" * 300 + b"\x00", rsv=RSV1), 1009, id="10.4: three hundred last blocks"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "code"), BROKEN)
def test_a_breach_is_a_violation_after_the_events_before_it_however_it_is_cut(broken: bytes, code: int) -> None:
    sent = frame(TEXT, b"before") + broken + frame(TEXT, b"after")
    for cuts in ((), range(len(sent))):
        events = read(sent, cuts)
        assert (events[0], len(events), code_of(events)) == ("before", 2, code)


def test_without_an_agreement_the_bit_of_compression_is_a_breach() -> None:
    assert code_of(read(frame(TEXT, deflated(b"x"), rsv=RSV1), inflates=False)) == 1002


def test_a_reason_fits_in_a_close_frame_and_the_one_for_size_is_of_the_contract() -> None:
    for broken in BROKEN:
        sent = broken.values[0]
        assert isinstance(sent, bytes)
        violation = read(sent)[-1]
        assert isinstance(violation, Violation)
        assert 0 < len(violation.reason.encode()) <= 123
        assert (violation.code == 1009) == (violation.reason == "Message too big")


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_a_reader_between_messages_holds_nothing() -> None:
    reader = Reader(MOST, inflates=True)
    sent = frame(TEXT, b"x" * 300) + fragments(TEXT, [deflated(b"y" * 300), b""], rsv=RSV1)
    for begin in range(len(sent)):
        reader.take(sent[begin : begin + 1])
    assert not hasattr(reader, "__dict__")
    fresh = Reader(MOST, inflates=True)
    assert [getattr(reader, name) for name in Reader.__slots__] == [getattr(fresh, name) for name in Reader.__slots__]


@pytest.mark.parametrize("part", [b"x", bytes.fromhex("0000 00ff ff")])
def test_a_message_of_small_fragments_takes_little_more_memory_than_its_bytes(part: bytes) -> None:
    most = 100_000
    rsv = RSV1 if len(part) > 1 else 0
    reader = Reader(most, inflates=True)
    reader.take(frame(BINARY, part, fin=False, rsv=rsv))
    more = frame(CONTINUATION, part, fin=False) * 1000
    tracemalloc.start()
    for _ in range(most // len(part) // 1000 - 1):
        assert reader.take(more) == []
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 2 * most


def test_a_bomb_is_inflated_no_further_than_to_the_limit() -> None:
    bomb = frame(BINARY, deflated(bytes(50_000_000)), rsv=RSV1)
    assert len(bomb) < 60_000
    tracemalloc.start()
    assert code_of(read(bomb, most=50_000)) == 1009
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


# --- against websockets ----------------------------------------------------------------------------------------------

logging.getLogger("websockets.server").setLevel(logging.CRITICAL)


def oracle(data: bytes, *, most: int | None = None) -> tuple[list[Event], Exception | None]:
    """The events that `websockets` finds in these bytes, and the error that ends them.

    It leaves it to its caller to put fragments together and to decode text, which the standard library does here.
    """
    protocol = ServerProtocol(state=OPEN, max_size=most)
    protocol.extensions = [PerMessageDeflate(True, True, 15, 15)]
    protocol.receive_data(data)
    events: list[Event] = []
    decoder: codecs.IncrementalDecoder | None = None
    content: list[str] | list[bytes] = []
    try:
        for got in protocol.events_received():
            payload = bytes(got.data)  # type: ignore[union-attr]  # frames, after the handshake
            match got.opcode:  # type: ignore[union-attr]
                case Opcode.PING:
                    events.append(Ping(payload))
                case Opcode.CLOSE:
                    closed = Close.parse(payload)
                    events.append(CloseFrame(closed.code if payload else None, closed.reason))
                case Opcode.PONG:
                    pass
                case opcode:
                    if opcode is not Opcode.CONT:
                        decoder = codecs.getincrementaldecoder("utf-8")() if opcode is Opcode.TEXT else None
                        content = []
                    content.append(decoder.decode(payload, got.fin) if decoder else payload)  # type: ignore
                    if got.fin:  # type: ignore[union-attr]
                        events.append("".join(content) if decoder else b"".join(content))  # type: ignore
    except UnicodeDecodeError as error:
        return events, error
    return events, protocol.parser_exc if not isinstance(protocol.parser_exc, EOFError) else None


FRAMES = st.builds(
    frame,
    st.sampled_from([CONTINUATION, CONTINUATION, TEXT, TEXT, BINARY, PING, PONG]) | st.integers(0, 15),
    st.binary(max_size=20) | st.text(max_size=8).map(str.encode) | st.binary(min_size=120, max_size=130),
    fin=st.booleans(),
    rsv=st.sampled_from([0] * 20 + [RSV2, RSV3]),
    masked=st.sampled_from([True] * 20 + [False]),
)
CLOSES = st.builds(close_frame, st.none() | st.integers(990, 1020) | st.integers(0, 65535), st.text().map(str.encode))
COMPRESSED = st.builds(
    lambda opcode, text, fin: frame(opcode, deflated(text.encode()), fin=fin, rsv=RSV1),
    st.sampled_from([TEXT, BINARY, PING, CONTINUATION]),
    st.text(max_size=50),
    st.booleans(),
)
WHOLE = st.builds(frame, st.sampled_from([TEXT, BINARY, PING, PONG]), st.text(max_size=30).map(str.encode))
IN_FRAGMENTS = st.builds(
    lambda opcode, text, size, rsv: fragments(
        opcode,
        [part[at : at + size] for part in [deflated(text) if rsv else text] for at in range(0, len(part) + 1, size)],
        rsv=rsv,
    ),
    st.sampled_from([TEXT, BINARY]),
    st.text(max_size=60).map(str.encode) | st.binary(max_size=60),
    st.integers(1, 20),
    st.sampled_from([0, RSV1]),
)
TRAFFIC = st.lists(WHOLE | IN_FRAGMENTS | FRAMES | COMPRESSED | CLOSES, max_size=12).map(b"".join)
CUTS = st.lists(st.integers(0, 1 << 16), max_size=10)


@given(TRAFFIC, CUTS)
def test_any_sequence_of_frames_has_the_events_that_another_implementation_finds(data: bytes, cuts: list[int]) -> None:
    events, error = oracle(data)
    ours = read(data, cuts, most=1 << 20)
    assert ours == read(data, most=1 << 20)
    if str(error) == "incomplete fragmented message":
        # RFC 6455, 5.5: a control frame may be in the middle of a message; 5.5.1 makes no exception of a close.
        assert isinstance(ours[-1], CloseFrame)
        assert ours[:-1] == events
    elif error is None:
        # Its extension drops whatever follows the end of a stream within a message; RFC 7692, 7.2.3.4 goes on.
        assert ours == events
    else:
        assert ours[:-1] == events
        # Of a close frame whose code and reason are both wrong, it names the reason, and we the code.
        of_a_close = isinstance(ours[-1], Violation) and "close frame" in ours[-1].reason
        assert code_of(ours) in ((1002, 1007) if of_a_close else (1007,) if is_of_content(error) else (1002,))


def is_of_content(error: Exception) -> bool:
    """RFC 6455, 7.4.1: 1007 is for data that is not consistent with a message's type; so is what is no deflate stream.

    `websockets` answers 1002 to that, which RFC 7692 leaves open.
    """
    return isinstance(error, UnicodeDecodeError) or (isinstance(error, ProtocolError) and "decompress" in str(error))


@given(
    st.lists(
        st.tuples(
            st.text(max_size=80) | st.binary(max_size=80), st.integers(0, 20), st.booleans(), st.binary(max_size=9)
        ),
        max_size=8,
    ),
    CUTS,
)
def test_what_an_independent_client_sends_is_what_is_read(
    sent: list[tuple[str | bytes, int, bool, bytes]], cuts: list[int]
) -> None:
    client = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN)
    events: list[Event] = []
    for content, size, is_compressed, data in sent:
        client.extensions = [PerMessageDeflate(True, True, 15, 15)] if is_compressed else []
        payload = content.encode() if isinstance(content, str) else content
        send = client.send_text if isinstance(content, str) else client.send_binary
        if size:
            send(payload[:size], fin=False)
            client.send_ping(data)
            client.send_pong(data)
            client.send_continuation(payload[size:], fin=True)
            events.append(Ping(data))
        else:
            send(payload)
        events.append(content)
    client.send_close(4000, "bye")
    stream = b"".join(client.data_to_send())
    assert read(stream, cuts) == [*events, CloseFrame(4000, "bye")]


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=8), st.integers(1, 150), st.booleans(), CUTS)
def test_a_limit_lies_where_another_implementation_has_it(
    parts: list[bytes], most: int, is_compressed: bool, cuts: list[int]
) -> None:
    """`websockets` counts a compressed frame's bytes too, and refuses some that were stored; it counts no frames."""
    if is_compressed:
        compressor = zlib.compressobj(wbits=-15)
        blocks = [compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH) for part in parts]
        blocks[-1] = blocks[-1].removesuffix(TAIL)
        data = fragments(BINARY, blocks, rsv=RSV1)
    else:
        data = fragments(BINARY, parts)
    ours = read(data, cuts, most=most)
    size = sum(map(len, parts))
    if not is_compressed:
        events, error = oracle(data, most=most)
        if len(parts) <= most:
            assert ours[: len(events)] == events
            assert (code_of(ours) == 1009) == (error is not None) == (size > most)
    elif size > most:
        assert code_of(ours) == 1009
    elif sum(map(len, blocks)) <= 2 * most and len(parts) <= most:
        assert ours == [b"".join(parts)]


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode).map(deflated), st.integers(0, 60), CUTS)
def test_what_is_no_deflate_stream_is_a_violation_wherever_another_implementation_says_so(
    payload: bytes, cut: int, cuts: list[int]
) -> None:
    data = frame(BINARY, payload[cut:], rsv=RSV1)
    ours = read(data, cuts, most=1 << 16)
    events, error = oracle(data)
    if error is not None:
        assert code_of(ours) == 1007
    elif code_of(ours) is None:
        # It takes what comes before the end of a first stream for all (RFC 7692, 7.2.3.4 goes on).
        assert isinstance(ours[0], bytes)
        assert ours[0].startswith(events[0])  # type: ignore[arg-type]
    else:
        # It takes what is broken off (7.2.2: the tail ends the last block), or has no block after BFINAL (7.2.1).
        stream = zlib.decompressobj(wbits=-15)
        stream.decompress(payload[cut:] + TAIL)
        assert stream.eof or not at_a_boundary(payload[cut:] + TAIL)


def at_a_boundary(stream: bytes) -> bool:
    """Return True if a deflate stream can be ended here by a last block."""
    inflater = zlib.decompressobj(wbits=-15)
    try:
        inflater.decompress(stream + b"\x01\x00\x00\xff\xff")
    except zlib.error:
        return False
    return inflater.eof


@given(st.binary(max_size=300), CUTS, st.booleans())
def test_random_bytes_are_read_or_refused_and_the_same_however_they_are_cut(
    data: bytes, cuts: list[int], inflates: bool
) -> None:
    assert read(data, cuts, inflates=inflates) == read(data, inflates=inflates)
