"""When spot metals trade, on New York's clock."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from prices.market import is_open

NEW_YORK = ZoneInfo("America/New_York")
SUMMER = dt.date(2026, 9, 21)  # a Monday, at UTC-4
WINTER = dt.date(2026, 12, 7)  # a Monday, at UTC-5
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@pytest.mark.parametrize("week", [SUMMER, WINTER], ids=["summer", "winter"])
@pytest.mark.parametrize(
    ("day", "time", "trades"),
    [
        ("Mon", "00:00", True),
        ("Mon", "16:59:59.999999", True),
        ("Mon", "17:00", False),  # the daily break
        ("Thu", "17:59:59.999999", False),
        ("Thu", "18:00", True),
        ("Fri", "16:59:59.999999", True),
        ("Fri", "17:00", False),  # the weekend
        ("Fri", "18:00", False),
        ("Sat", "12:00", False),
        ("Sun", "17:59:59.999999", False),
        ("Sun", "18:00", True),
    ],
)
def test_the_market_keeps_new_yorks_hours(week: dt.date, day: str, time: str, trades: bool) -> None:
    date = week + dt.timedelta(days=DAYS.index(day))
    assert is_open(dt.datetime.combine(date, dt.time.fromisoformat(time), NEW_YORK)) is trades


@pytest.mark.parametrize(
    ("utc", "trades"),
    [
        # Clocks go back on Sunday, 2026-11-01: 18:00 is 22:00 UTC the week before, and 23:00 from then on.
        ("2026-10-25T22:00", True),
        ("2026-11-01T22:30", False),
        ("2026-11-01T23:00", True),
        # And forward on 2026-03-08.
        ("2026-03-01T22:30", False),
        ("2026-03-08T22:00", True),
        ("2026-03-06T21:59", True),
        ("2026-03-06T22:00", False),
        ("2026-03-13T21:00", False),
    ],
)
def test_the_hours_move_with_daylight_saving(utc: str, trades: bool) -> None:
    assert is_open(dt.datetime.fromisoformat(utc).replace(tzinfo=dt.UTC)) is trades


def test_it_is_asked_in_any_time_zone() -> None:
    friday_evening_in_india = dt.datetime(2026, 9, 26, 2, 29, tzinfo=ZoneInfo("Asia/Kolkata"))
    assert is_open(friday_evening_in_india)
    assert not is_open(friday_evening_in_india + dt.timedelta(minutes=1))
