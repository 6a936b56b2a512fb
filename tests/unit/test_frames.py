"""Frames and their compression, against a parser and an inflater that are not ours."""

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame as Parsed
from websockets.frames import Opcode
from websockets.streams import StreamReader

from streaming.engine.compression import agreement, deflated
from streaming.engine.frames import BINARY, Frame, framed


def parsed(data: bytes, extensions: list[Any] | None = None) -> Parsed:
    """The frame that an independent client reads from exactly these bytes."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    parser = Parsed.parse(reader.read_exact, mask=False, max_size=None, extensions=extensions or [])
    try:
        while True:
            next(parser)
    except StopIteration as end:
        assert not reader.buffer
        frame: Parsed = end.value
        return frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_frame_of_any_length_is_read_back(size: int) -> None:
    frame = parsed(framed(b"x" * size))
    assert (frame.opcode, frame.data, frame.fin, frame.rsv1) == (Opcode.TEXT, b"x" * size, True, False)


def test_a_binary_frame_is_one() -> None:
    assert parsed(Frame(b"\x00\xff", BINARY).plain).opcode is Opcode.BINARY


@given(st.binary(max_size=5000), st.integers(9, 15))
def test_a_compressed_message_needs_no_other_and_no_larger_window(payload: bytes, window_bits: int) -> None:
    inflater = zlib.decompressobj(-window_bits)
    assert inflater.decompress(deflated(payload, window_bits) + b"\x00\x00\xff\xff") == payload
    frame = parsed(
        Frame(payload).deflated(window_bits),
        [PerMessageDeflate(True, True, window_bits, 15)],
    )
    assert frame.data == payload


def test_a_frame_is_compressed_once_for_each_window() -> None:
    frame = Frame(b"gold" * 500)
    assert frame.deflated(15) is frame.deflated(15)
    assert len(frame.deflated(9)) < len(frame.plain)


OFFER = "permessage-deflate"
ANSWER = f"{OFFER}; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        (OFFER, (ANSWER, 15)),
        (f"{OFFER}; client_max_window_bits", (ANSWER, 15)),
        (f"{OFFER}; client_max_window_bits=8", (ANSWER, 15)),
        (f"{OFFER};server_no_context_takeover ;\tclient_no_context_takeover", (ANSWER, 15)),
        (f"{OFFER}; server_max_window_bits=10", (f"{ANSWER}; server_max_window_bits=10", 10)),
        (f'{OFFER}; server_max_window_bits = "15"', (f"{ANSWER}; server_max_window_bits=15", 15)),
        ("Permessage-Deflate; Server_Max_Window_Bits=9", (f"{ANSWER}; server_max_window_bits=9", 9)),
        (f"x-other, {OFFER}; server_max_window_bits=8, {OFFER}", (ANSWER, 15)),
        (f"{OFFER}; server_max_window_bits=11, {OFFER}", (f"{ANSWER}; server_max_window_bits=11", 11)),
        ("", ("", 0)),
        (", ,", ("", 0)),
        ("x-webkit-deflate-frame", ("", 0)),
        *[
            (f"{OFFER}; {parameters}", ("", 0))
            for parameters in [
                "server_max_window_bits=8",  # zlib makes no such stream
                "server_max_window_bits=16",
                "server_max_window_bits=010",
                "server_max_window_bits=+9",
                "server_max_window_bits=٩",
                "server_max_window_bits",
                "server_max_window_bits=9; server_max_window_bits=9",
                "server_max_window_bits=9; server_max_window_bits=10",
                "client_max_window_bits; client_max_window_bits=9",
                "client_max_window_bits=7",
                "client_max_window_bits=",
                "server_no_context_takeover=1",
                "server_no_context_takeover; server_no_context_takeover",
                "surprise",
            ]
        ],
    ],
)
def test_the_first_offer_that_can_be_kept_is_answered(offers: str, answer: tuple[str, int]) -> None:
    assert agreement(offers) == answer
