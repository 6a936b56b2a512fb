"""A price may not drift far within 24 hours of open market, in whatever steps; and it may come back."""

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain.calendar import Calendar
from prices.domain.drift import USUAL_PERCENT, WINDOW, Levels
from prices.domain.quotes import Metal, percent
from prices.domain.sanity import SanityRule, Violation, find_violation
from prices.domain.units import rounded
from tests.support.quotes import NOW, quote

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
MOST, JUMP = Decimal(15), Decimal(5)
MARKET = Calendar()


class Tape:
    """The published prices of gold, each with its time, and the levels as they are stored."""

    def __init__(self, price: str = "10000.0000") -> None:
        self.now = NOW
        self.published: list[tuple[dt.datetime, Decimal]] = []
        self.text = ""
        self.publish(Decimal(price))

    @property
    def last(self) -> Decimal:
        return self.published[-1][1]

    def levels(self) -> Levels:
        found = Levels.read(self.text).within(MARKET.open_since(self.now, WINDOW), self.now)
        return found.showing(self.last, self.now) if self.published else found

    def violation(self, price: Decimal) -> Violation | None:
        return find_violation(
            quote(price=str(price)),
            quote(price=str(self.last)),
            band=None,
            max_jump_percent=JUMP,
            drift=self.levels().bound(MOST),
        )

    def publish(self, price: Decimal) -> None:
        """Publish a price, whether any rule lets it go out or somebody let it out."""
        last = self.last if self.published else None
        levels = self.levels().after(price, self.now, last=last, most_percent=MOST, jump_percent=JUMP)
        self.text = levels.text()
        self.published.append((self.now, price))

    def offer(self, price: Decimal, minutes: int = 1) -> SanityRule | None:
        """Publish a price some minutes later if it breaks no rule; returns the rule that it breaks."""
        self.now += minutes * MINUTE
        if found := self.violation(price):
            return found.rule
        self.publish(price)
        return None

    def current_in_the_window(self) -> Iterable[Decimal]:
        """Each price that was current at some moment of the last 24 hours of open market, one by one."""
        ends = [at for at, _ in self.published[1:]] + [self.now]
        for (_, price), until in zip(self.published, ends, strict=True):
            if MARKET.open_time(until, self.now) <= WINDOW:
                yield price


def step(price: Decimal, by_percent: float) -> Decimal:
    return rounded(price * (1 + Decimal(str(by_percent)) / 100))


def test_half_a_percent_a_minute_ends_at_the_bound() -> None:
    tape, broken = Tape(), None
    while broken is None:
        broken = tape.offer(step(tape.last, 0.5))
    assert broken is SanityRule.DRIFT
    assert Decimal(11400) < tape.last <= Decimal(11500)
    detail = "11,556.2198 is +15.6 % from 10,000.0000, the price within 24 hours of open market"
    assert tape.violation(step(tape.last, 0.5)) == Violation(SanityRule.DRIFT, detail)


_STEPS = st.tuples(st.floats(-4.9, 4.9) | st.sampled_from([0.5, -0.5, 4.9, -4.9]), st.integers(0, 300))


@given(st.lists(_STEPS, min_size=1, max_size=60), st.sampled_from([1, -1, 0]))
def test_a_drift_in_any_steps_is_caught_before_it_passes_the_bound(
    steps: Sequence[tuple[float, int]], one_way: int
) -> None:
    tape = Tape()
    for by, minutes in steps:
        tape.offer(step(tape.last, one_way * abs(by) if one_way else by), minutes)
        for before in tape.current_in_the_window():
            assert abs(percent(tape.last - before, before)) <= MOST


@given(st.lists(st.tuples(st.floats(-0.3, 0.3), st.integers(1, 120)), max_size=60))
def test_an_honest_market_is_never_quarantined(steps: Sequence[tuple[float, int]]) -> None:
    """It may be as wild as gold was in the spring of 1980, and moves about a level: here 6 % either way."""
    tape = Tape()
    for by, minutes in steps:
        price = step(tape.last, by)
        if abs(percent(price - 10000, Decimal(10000))) <= 6:
            assert tape.offer(price, minutes) is None


@given(st.lists(_STEPS, min_size=1, max_size=40), st.floats(-4.9, 4.9))
def test_a_jump_back_to_where_the_metal_was_before_is_known_as_such(
    steps: Sequence[tuple[float, int]], off: float
) -> None:
    tape = Tape()
    for by, minutes in steps:
        tape.offer(step(tape.last, by), minutes)
    returned = step(Decimal(10000), off)
    was_there = any(before == 10000 for before in tape.current_in_the_window())
    assert tape.levels().has_been_near(returned, JUMP) or not was_there


def test_where_it_returned_the_drift_is_forgotten() -> None:
    tape = Tape()
    while tape.offer(step(tape.last, 0.5)) is None:
        pass
    drifted = tape.last
    tape.publish(Decimal(10000))  # as two sources agreed
    assert tape.offer(step(drifted, -16)) is None  # 96.3 % of the level: far from the drift, near where it was
    assert not tape.levels().has_been_near(drifted, JUMP)
    assert tape.levels().has_been_near(Decimal(10100), JUMP)


def test_what_was_let_out_is_where_the_bound_counts_from() -> None:
    tape = Tape()
    while tape.offer(step(tape.last, 0.5)) is None:
        pass
    tape.publish(step(tape.last, 0.5))  # as staff approved
    let_out = tape.last
    while tape.offer(step(tape.last, 0.5)) is None:
        pass
    assert Decimal(14) < percent(tape.last - let_out, let_out) <= MOST


def test_hours_of_a_closed_market_end_no_window() -> None:
    tape = Tape()
    tape.now = dt.datetime(2026, 9, 25, 20, 0, tzinfo=dt.UTC)  # an hour before Friday's close
    tape.publish(Decimal(10000))
    tape.offer(Decimal(10490), 55)
    assert tape.offer(Decimal(10980), 49 * 60 + 10) is None  # after Sunday's opening
    assert tape.offer(Decimal(11501)) is SanityRule.DRIFT
    assert tape.offer(Decimal(11501), 26 * 60) is None  # Tuesday


def test_levels_of_a_clock_that_was_ahead_bind_nobody() -> None:
    ahead = Levels().showing(Decimal(20000), NOW + 24 * HOUR)
    assert ahead.within(NOW - 24 * HOUR, NOW) == Levels()


def test_a_row_of_a_whole_window_is_small() -> None:
    levels = Levels()
    for hours in range(26):
        levels = levels.showing(Decimal("13221.3912"), NOW + hours * HOUR)
    assert len(levels.text()) < 1000
    assert Levels.read(levels.text()) == levels


@pytest.mark.parametrize(("metal", "most"), [("gold", 15), ("silver", 25), ("platinum", 25), ("palladium", 25)])
def test_golds_usual_bound_is_the_narrowest(metal: str, most: int) -> None:
    assert USUAL_PERCENT[Metal(metal)] == most
