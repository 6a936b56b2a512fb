"""Two clocks, and what can be believed of stored times: infra/clock.py."""

import datetime as dt
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import clock
from infra.clock import TOLERANCE, Reading
from tests.support.quotes import NOW

SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)
spans = st.timedeltas(dt.timedelta(0), dt.timedelta(days=30))
steps = st.timedeltas(-dt.timedelta(days=30), dt.timedelta(days=30))


@given(spans, steps)
def test_a_fact_is_at_least_as_old_as_the_time_that_passed_whatever_the_clock_says(
    passed: dt.timedelta, step: dt.timedelta
) -> None:
    then = Reading(NOW, 1000.0)
    latest = then.latest(Reading(NOW + passed + step, 1000 + passed.total_seconds()))
    assert latest - NOW >= passed - dt.timedelta(microseconds=1)
    assert latest - NOW >= passed + step


@pytest.mark.parametrize(
    ("ahead", "is_plausible"),
    [(-HOUR, True), (dt.timedelta(0), True), (TOLERANCE, True), (TOLERANCE + SECOND, False), (5.5 * HOUR, False)],
)
def test_a_moment_that_can_only_be_past_is_not_believed_ahead_of_now(ahead: dt.timedelta, is_plausible: bool) -> None:
    assert clock.is_plausible(NOW + ahead, NOW) is is_plausible
    assert clock.is_plausible(NOW + HOUR + ahead, NOW, ahead=HOUR) is is_plausible


@pytest.mark.parametrize(
    ("theirs", "difference"),
    [(NOW, 0), (NOW + SECOND, 0), (NOW + 2 * SECOND, 0), (NOW - 40 * SECOND, 40), (NOW + 42 * SECOND, -40)],
)
def test_a_clock_differs_from_another_by_the_least_that_two_readings_around_it_say(
    theirs: dt.datetime, difference: int
) -> None:
    assert clock.difference(theirs, before=NOW, after=NOW + 2 * SECOND) == difference * SECOND


def test_a_mark_tells_how_far_the_clock_of_this_machine_has_stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    mark, true_time = clock.mark(), time.time
    assert clock.stepped_since(mark) == dt.timedelta(0)
    for step in (-3600, 19_800):
        monkeypatch.setattr(time, "time", lambda step=step: true_time() + step)
        stepped = clock.stepped_since(mark)
        assert stepped is not None
        assert abs(stepped - step * SECOND) < SECOND


def test_a_clock_that_is_put_right_little_by_little_has_not_stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    mark, true_time = clock.mark(), time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + 2)
    assert clock.stepped_since(mark) == dt.timedelta(0)


@pytest.mark.parametrize("mark", ["", "another-machine 17.500"])
def test_a_mark_of_another_machine_gives_no_step(mark: str) -> None:
    assert clock.stepped_since(mark) is None


@pytest.mark.parametrize(
    ("step", "text"),
    [(-39.9, "40 s"), (119, "119 s"), (-3599.9, "1:00:00"), (19_800.2, "5:30:00")],
)
def test_a_step_is_written_to_the_second(step: float, text: str) -> None:
    assert clock.amount(step * SECOND) == text
