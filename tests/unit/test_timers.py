"""The timer wheel, against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from streaming.engine.timers import TimerWheel

STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "discard", "due"]), st.integers(0, 4), st.floats(0, 20, allow_nan=False))
)


@given(STEPS)
def test_nothing_is_due_early_and_all_is_due_within_the_resolution(steps: list[tuple[str, int, float]]) -> None:
    timers: TimerWheel[int] = TimerWheel(resolution=0.5)
    plain: dict[int, float] = {}
    now = 0.0
    for step, item, seconds in steps:
        match step:
            case "set":
                plain[item] = now + seconds
                timers.set(item, plain[item])
            case "discard":
                plain.pop(item, None)
                timers.discard(item)
            case "due":
                now += seconds
                due = timers.due(now)
                assert len(due) == len(set(due))
                assert all(plain[item] <= now for item in due)
                assert {item for item, at in plain.items() if at <= now - 1.0} <= set(due)
                for item in due:
                    del plain[item]
        assert len(timers) == len(plain)


def test_a_deadline_that_is_over_when_it_is_set_is_due_next() -> None:
    timers: TimerWheel[str] = TimerWheel(resolution=1)
    timers.due(100)
    timers.set("late", 3)
    assert timers.due(101.5) == ["late"]


def test_an_item_has_one_deadline() -> None:
    timers: TimerWheel[str] = TimerWheel(resolution=1)
    timers.set("moved", 3)
    timers.set("moved", 10)
    assert timers.due(9) == []
    assert timers.due(12) == ["moved"]
