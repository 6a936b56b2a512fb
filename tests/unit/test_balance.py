"""The rule by which processes behind one socket share in connections."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.engine.balance import TIMEOUT, Place, Turns

FULL = 1000.0


def place(load: float, seen_at: float = 0.0, most: float = FULL) -> Place:
    return Place(load, most, seen_at)


@pytest.mark.parametrize(
    ("own", "others", "is_ours"),
    [
        pytest.param(place(0), [], True, id="alone"),
        pytest.param(place(50), [place(50), place(90)], True, id="the emptiest"),
        pytest.param(place(50), [place(42)], True, id="a little ahead"),
        pytest.param(place(51), [place(42)], False, id="too far ahead"),
        pytest.param(place(51), [place(60), place(42)], False, id="too far ahead of one"),
        pytest.param(place(840), [place(800)], True, id="by a twentieth ahead of many"),
        pytest.param(place(841), [place(800)], False, id="by more than a twentieth"),
        pytest.param(place(999), [place(FULL)], True, id="the only one with room"),
        pytest.param(place(FULL), [place(999)], False, id="full, and another is not"),
        pytest.param(place(FULL), [place(FULL)], True, id="all are full"),
        pytest.param(place(FULL), [place(3, most=3)], True, id="all are full, at different loads"),
        pytest.param(place(50), [place(0, most=0)], True, id="the other takes none"),
        pytest.param(place(0, most=0), [place(50)], False, id="this one takes none"),
        pytest.param(place(50), [Place(0.0, 0.0, 0.0)], True, id="a place that nobody has"),
    ],
)
def test_a_connection_is_for_one_of_the_emptiest_that_have_room(own: Place, others: list[Place], is_ours: bool) -> None:
    assert Turns().is_ours(own, others, 0.0) is is_ours
    assert Turns().is_ours(own, [own, *others], 0.0) is is_ours, "beside its own place"


def test_a_process_that_shows_no_sign_of_life_keeps_a_connection_waiting_once_and_not_for_long() -> None:
    turns = Turns()
    stuck = place(0, seen_at=9.0)
    assert not turns.is_ours(place(50), [stuck], 10.0)
    assert not turns.is_ours(place(50), [stuck], 10.0 + 0.9 * TIMEOUT)
    assert turns.is_ours(place(50), [stuck], 10.0 + TIMEOUT)
    assert turns.is_ours(place(51), [stuck], 11.0), "the next one waits no more"
    assert not turns.is_ours(place(52), [stuck._replace(seen_at=12.0)], 12.0), "until it lives again"


def test_a_process_that_gets_stuck_after_a_sign_of_life_is_waited_for_twice_as_long() -> None:
    turns = Turns()
    stuck = place(0, seen_at=10.0)
    assert not turns.is_ours(place(50), [stuck], 10.0)
    assert not turns.is_ours(place(50), [stuck], 10.0 + TIMEOUT)
    assert turns.is_ours(place(50), [stuck], 10.0 + 2 * TIMEOUT)


def test_a_process_that_lives_is_waited_for_however_long_connections_keep_coming() -> None:
    turns = Turns()
    now = 10.0
    while now < 10.0 + 20 * TIMEOUT:
        assert not turns.is_ours(place(50), [place(0, seen_at=now), place(1, seen_at=9.0)], now)
        now += TIMEOUT / 3


def test_a_connection_that_another_has_taken_says_nothing_about_the_next() -> None:
    turns = Turns()
    idle = place(0, seen_at=9.0)
    assert not turns.is_ours(place(50), [idle], 10.0)
    turns.nobody_waits()
    assert not turns.is_ours(place(50), [idle], 20.0), "it has had no time to look at this one"
    assert turns.is_ours(place(50), [idle], 20.0 + TIMEOUT)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 100)), min_size=100, max_size=200))
def test_processes_that_follow_it_stay_even_whichever_of_them_looks_first(looks: list[tuple[int, int]]) -> None:
    loads = [0, 0, 0, 0]
    turns = [Turns() for _ in loads]
    for process, waiting in looks:
        for _ in range(waiting):
            places = [place(load, most=math.inf) for load in loads]
            if not turns[process].is_ours(places[process], places, 0.0):
                break
            loads[process] += 1
        assert max(loads) <= min(loads) + max(8, 0.05 * min(loads)) + 1
