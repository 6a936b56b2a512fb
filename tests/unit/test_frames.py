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

from streaming.engine.compression import acceptable, deflated
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


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        ([(OFFER, {})], (OFFER, {})),
        ([(OFFER, {"client_max_window_bits": [True]})], (OFFER, {})),
        ([(OFFER, {"client_max_window_bits": ["8"]})], (OFFER, {})),
        ([(OFFER, {"server_no_context_takeover": [True], "client_no_context_takeover": [True]})], (OFFER, {})),
        ([(OFFER, {"server_max_window_bits": ["10"]})], (OFFER, {"server_max_window_bits": ["10"]})),
        ([("x-other", {}), (OFFER, {"server_max_window_bits": ["8"]}), (OFFER, {})], (OFFER, {})),
        ([], None),
        ([("x-webkit-deflate-frame", {})], None),
        *[
            ([(OFFER, parameters)], None)
            for parameters in [
                {"server_max_window_bits": ["8"]},  # zlib makes no such stream
                {"server_max_window_bits": ["16"]},
                {"server_max_window_bits": ["010"]},
                {"server_max_window_bits": ["+9"]},
                {"server_max_window_bits": ["٩"]},
                {"server_max_window_bits": [""]},
                {"server_max_window_bits": [True]},
                {"server_max_window_bits": ["9", "9"]},
                {"client_max_window_bits": ["7"]},
                {"server_no_context_takeover": ["1"]},
                {"surprise": [True]},
            ]
        ],
    ],
)
def test_the_first_offer_that_can_be_kept_is_taken(offers: list[Any], answer: Any) -> None:
    assert acceptable(offers) == answer
