"""The rate of a client's messages."""

from streaming.limits import RateWindow


def test_as_many_messages_as_the_limit_pass_and_the_next_does_not() -> None:
    window = RateWindow(limit=3, seconds=60)
    assert [window.allows(at) for at in (0, 1, 2, 3)] == [True, True, True, False]


def test_a_new_window_begins_with_the_first_message_after_the_old_one() -> None:
    window = RateWindow(limit=1, seconds=60)
    assert [window.allows(at) for at in (100, 159.9, 160, 219, 221)] == [True, False, True, False, True]


def test_a_limit_of_one_takes_the_first_message() -> None:
    assert RateWindow(limit=1, seconds=1).allows(0)
