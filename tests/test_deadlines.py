"""Deadlines, against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from streaming.engine.timers import Deadlines

STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "discard", "due"]), st.integers(0, 4), st.floats(0, 20, allow_nan=False))
)


@given(STEPS)
def test_nothing_is_due_early_and_all_is_due_within_a_grain(steps: list[tuple[str, int, float]]) -> None:
    deadlines: Deadlines[int] = Deadlines(grain=0.5)
    plain: dict[int, float] = {}
    now = 0.0
    for step, item, seconds in steps:
        match step:
            case "set":
                plain[item] = now + seconds
                deadlines.set(item, plain[item])
            case "discard":
                plain.pop(item, None)
                deadlines.discard(item)
            case "due":
                now += seconds
                due = deadlines.due(now)
                assert len(due) == len(set(due))
                assert all(plain[item] <= now for item in due)
                assert {item for item, at in plain.items() if at <= now - 1.0} <= set(due)
                for item in due:
                    del plain[item]
        assert len(deadlines) == len(plain)


def test_a_deadline_that_is_over_when_it_is_set_is_due_next() -> None:
    deadlines: Deadlines[str] = Deadlines(grain=1)
    deadlines.due(100)
    deadlines.set("late", 3)
    assert deadlines.due(101.5) == ["late"]


def test_an_item_has_one_deadline() -> None:
    deadlines: Deadlines[str] = Deadlines(grain=1)
    deadlines.set("moved", 3)
    deadlines.set("moved", 10)
    assert deadlines.due(9) == []
    assert deadlines.due(12) == ["moved"]
