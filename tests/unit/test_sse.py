"""Messages as Server-Sent Events, read back by a parser that is not ours, and a client's position in them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import protocol, sse
from streaming.engine.frames import Frame
from streaming.protocol import Close, Feed
from tests.support.event_source import Event, EventParser

TIME = "2026-09-24T08:00:00.120Z"
SEQS = st.integers(0, protocol.LARGEST_SEQ)
# As they are drawn (prices/domain/positions.py): letters and digits; here, any that an id can hold.
EPOCHS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=20)


def update(epoch: str = "q7Vb2xWk", seq: int = 5, source: str = "INR") -> bytes:
    return protocol.price_update({}, [], [], epoch=epoch, seq=seq, published_at=TIME, snapshot=True, currency=source)


def read(data: bytes, *cuts: int) -> tuple[list[Event], EventParser]:
    """The events in these bytes, given to the parser in pieces."""
    parser, begin = EventParser(), 0
    events: list[Event] = []
    for end in (*sorted(cuts), len(data)):
        events += parser.feed(data[begin:end])
        begin = max(begin, end)
    return events, parser


@given(EPOCHS, SEQS, st.text(), st.lists(st.integers(0, 400), max_size=4))
def test_an_update_is_read_back_with_its_position(epoch: str, seq: int, text: str, cuts: list[int]) -> None:
    message = update(epoch, seq, text)
    (event,), parser = read(sse.event(message), *cuts)
    assert (event.type, event.data.encode()) == ("priceUpdate", message)
    assert event.last_event_id == f"{epoch}:{seq}"
    assert sse.position(event.last_event_id) == (epoch, seq)
    assert parser.retry is None


def test_an_event_is_written_as_the_contract_has_it() -> None:
    message = update()
    assert sse.event(message) == b"id: q7Vb2xWk:5\nevent: priceUpdate\ndata: %b\n\n" % message


def test_only_an_update_has_a_position_and_others_keep_the_last_one() -> None:
    status = protocol.status(
        Feed.LIVE, {}, market_open=True, next_change=TIME, source=None, epoch="q7Vb2xWk", timestamp=TIME
    )
    error = protocol.last_error(Close.UNAUTHORIZED, "Come back with another.", None)
    events, _ = read(b"".join(map(sse.event, (status, update(seq=7), status, error))))
    assert [(event.type, event.last_event_id) for event in events] == [
        ("status", ""),
        ("priceUpdate", "q7Vb2xWk:7"),
        ("status", "q7Vb2xWk:7"),
        ("error", "q7Vb2xWk:7"),
    ]
    assert json.loads(events[-1].data)["retry"] == "never"


def test_a_restart_says_when_to_come_back_and_the_next_stream_begins_with_the_usual_time() -> None:
    (event,), parser = read(sse.BEGINNING + sse.event(protocol.restart(1234)))
    assert (event.type, event.message, parser.retry) == ("restart", {"type": "restart", "afterMs": 1234}, 1234)
    assert read(sse.BEGINNING)[1].retry == 3000


def test_an_event_is_made_once_for_all_clients() -> None:
    frame = Frame(update())
    assert frame.event is frame.event
    assert read(frame.event)[0][0].data == frame.text


@pytest.mark.parametrize(
    ("event_id", "position"),
    [
        ("q7Vb2xWk:0", ("q7Vb2xWk", 0)),
        (f"e:{2**63 - 1}", ("e", 2**63 - 1)),
        ("a:b:3", ("a:b", 3)),
        *[
            (nonsense, None)
            for nonsense in (
                "", ":", "e:", ":5", "5", "e", "e:x", "e:-1", "e:+1", "e: 1", "e:1 ", "e:1.5", "e:٣", "e:²", "e:1_0",
                f"e:{2**63}", "e:" + "9" * 5000, "e:1,e:2x", "\0", "null", "undefined",
            )
        ],
    ],
)  # fmt: skip
def test_an_id_is_a_position_or_nonsense(event_id: str, position: tuple[str, int] | None) -> None:
    assert sse.position(event_id) == position


@given(st.text())
def test_no_text_breaks_the_reading_of_a_position(text: str) -> None:
    found = sse.position(text)
    assert found is None or (f"{found[0]}:" == text[: len(found[0]) + 1] and 0 <= found[1] <= protocol.LARGEST_SEQ)


def test_the_parser_of_these_tests_follows_the_standard() -> None:
    """The examples of the HTML standard, 9.2.6."""
    events, parser = read(b"\xef\xbb\xbfdata: YHOO\ndata: +2\ndata: 10\n\n: a comment\n\ndata\n\ndata\ndata\n\ndata:")
    assert [event.data for event in events] == ["YHOO\n+2\n10", "", "\n"]
    events, parser = read(b"data: first\r\nid: 1\r\n\r\ndata:second\rid\r\rdata:  third\n\nretry: 7x\nretry: 9\n\n")
    assert [(event.data, event.last_event_id) for event in events] == [("first", "1"), ("second", ""), (" third", "")]
    assert parser.retry == 9
