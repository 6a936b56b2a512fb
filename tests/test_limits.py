"""The rate of a client's messages, and how many come from one place."""

from streaming.limits import Places, RateWindow


def test_as_many_messages_as_the_limit_pass_and_the_next_does_not() -> None:
    window = RateWindow(limit=3, seconds=60)
    assert [window.allows(at) for at in (0, 1, 2, 3)] == [True, True, True, False]


def test_a_new_window_begins_with_the_first_message_after_the_old_one() -> None:
    window = RateWindow(limit=1, seconds=60)
    assert [window.allows(at) for at in (100, 159.9, 160, 219, 221)] == [True, False, True, False, True]


def test_a_limit_of_one_takes_the_first_message() -> None:
    assert RateWindow(limit=1, seconds=1).allows(0)


def test_a_place_takes_so_many_and_one_more_when_one_has_left() -> None:
    places = Places(2)
    assert [places.take("here") for _ in range(3)] == [True, True, False]
    assert places.take("there")
    places.leave("here")
    assert [places.take("here") for _ in range(2)] == [True, False]


def test_a_place_that_all_have_left_is_forgotten() -> None:
    places = Places(1)
    assert places.take("here")
    assert not places.take("here")
    places.leave("here")
    assert places.taken == {}


def test_no_limit_takes_any_number() -> None:
    places = Places(0)
    assert all(places.take("here") for _ in range(1000))
