"""When a source that fails is left alone, and how many calls it has left."""

import datetime as dt

import pytest

from prices.domain.breaker import FAILURES, Breaker, State
from prices.domain.quota import Quota
from tests.support.quotes import NOW

MINUTE = dt.timedelta(minutes=1)


def failed(times: int, *, for_good: bool = False) -> Breaker:
    breaker = Breaker()
    for _ in range(times):
        breaker = breaker.failed(NOW, for_good=for_good)
    return breaker


def test_a_source_may_fail_twice_in_a_row() -> None:
    assert failed(FAILURES - 1).state(NOW) is State.CLOSED


def test_then_it_is_left_alone_for_a_minute_and_tried_once() -> None:
    breaker = failed(FAILURES)
    assert breaker.state(NOW) is State.OPEN
    assert breaker.state(NOW + MINUTE - dt.timedelta(microseconds=1)) is State.OPEN
    assert breaker.state(NOW + MINUTE) is State.HALF_OPEN


def test_each_time_that_it_fails_again_it_is_left_alone_for_twice_as_long_up_to_eight_minutes() -> None:
    rests = [failed(times).open_until for times in range(FAILURES, FAILURES + 30)]
    assert rests[:5] == [NOW + minutes * MINUTE for minutes in (1, 2, 4, 8, 8)]
    assert rests[-1] == NOW + 8 * MINUTE


def test_what_only_a_person_can_mend_is_not_tried_thrice() -> None:
    assert failed(1, for_good=True).state(NOW) is State.OPEN


@pytest.mark.parametrize(("text", "quota"), [("100/month", Quota(100, "month")), (" 1000 / day", Quota(1000, "day"))])
def test_a_quota_is_written_as_calls_in_a_period(text: str, quota: Quota) -> None:
    assert Quota.parse(text) == quota
    assert Quota.parse(str(quota)) == quota


@pytest.mark.parametrize(
    ("quota", "used", "since", "left"),
    [
        ("100/month", 30, dt.date(2026, 9, 1), 70),
        ("100/month", 100, dt.date(2026, 9, 1), 0),
        ("100/month", 130, dt.date(2026, 9, 1), 0),
        ("100/month", 130, dt.date(2026, 8, 1), 100),
        ("100/month", 0, None, 100),
        ("9/day", 9, dt.date(2026, 9, 24), 0),
        ("9/day", 9, dt.date(2026, 9, 23), 9),
    ],
)
def test_a_quota_begins_anew_with_its_period(quota: str, used: int, since: dt.date | None, left: int) -> None:
    at = dt.datetime(2026, 9, 24, 0, 30, tzinfo=dt.UTC)
    assert Quota.parse(quota).left(used, since, at) == left


def test_a_period_begins_at_midnight_utc() -> None:
    in_india = dt.datetime(2026, 10, 1, 5, 0, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
    assert Quota.parse("1/month").begins(in_india) == dt.date(2026, 9, 1)
    assert Quota.parse("1/day").begins(in_india) == dt.date(2026, 9, 30)
