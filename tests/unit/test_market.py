"""When spot metals trade, on New York's clock, and how old that makes a quote."""

import datetime as dt
import time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain.calendar import Calendar
from prices.domain.quotes import FALLBACK, SIMULATED

NEW_YORK = ZoneInfo("America/New_York")
SUMMER = dt.date(2026, 9, 21)  # a Monday, at UTC-4
WINTER = dt.date(2026, 12, 7)  # a Monday, at UTC-5
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
ZERO = dt.timedelta(0)

USUAL = Calendar()
# Thanksgiving with its early close, and a Christmas of three days in a row before a weekend.
HOLIDAYS = Calendar().corrected("2026-11-26T14:30, 2026-12-23, 2026-12-24, 2026-12-25")
# A century without a session.
ALL_HOLIDAYS = Calendar(dict.fromkeys(map(dt.date.fromordinal, range(730_120, 767_000))))


def new_york(text: str) -> dt.datetime:
    """A moment by New York's clock."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def trades(calendar: Calendar, at: dt.datetime) -> bool:
    """The rules once more, by the clock on the wall, with a session named by the date on which it ends."""
    local = at.astimezone(NEW_YORK)
    day, of_day = local.isoweekday(), local.time()
    if day == 6 or (day == 7 and of_day.hour < 18) or (day == 5 and of_day.hour >= 17) or of_day.hour == 17:
        return False
    date = local.date() + dt.timedelta(days=of_day.hour >= 18)
    if date not in calendar.holidays:
        return True
    closes = calendar.holidays[date]
    return closes is not None and local.replace(tzinfo=None) < dt.datetime.combine(date, closes)


# Whole minutes around the changes of New York's clocks, 2026-03-08 and 2026-11-01, and around the holidays.
moments = st.builds(
    lambda start, minutes: start + minutes * MINUTE,
    st.sampled_from(
        [
            dt.datetime(2026, 3, 1, tzinfo=dt.UTC),
            dt.datetime(2026, 10, 25, tzinfo=dt.UTC),
            dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
            dt.datetime(2026, 12, 18, tzinfo=dt.UTC),
        ]
    ),
    st.integers(0, 14 * 24 * 60),
)
any_time = st.timedeltas(ZERO, dt.timedelta(days=100 * 365)).map(
    lambda since: dt.datetime(2000, 1, 1, tzinfo=dt.UTC) + since
)
calendars = st.one_of(
    st.sampled_from([USUAL, HOLIDAYS]),
    st.dictionaries(
        st.dates(dt.date(2026, 11, 19), dt.date(2027, 1, 2)),
        st.none() | st.times(max_value=dt.time(16, 59)).map(lambda each: each.replace(second=0, microsecond=0)),
        max_size=12,
    ).map(Calendar),
)


# --- open and closed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("week", [SUMMER, WINTER], ids=["summer", "winter"])
@pytest.mark.parametrize(
    ("day", "time", "is_open"),
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
def test_the_market_keeps_new_yorks_hours(week: dt.date, day: str, time: str, is_open: bool) -> None:
    date = week + dt.timedelta(days=DAYS.index(day))
    assert USUAL.is_open(dt.datetime.combine(date, dt.time.fromisoformat(time), NEW_YORK)) is is_open


@pytest.mark.parametrize(
    ("utc", "is_open"),
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
def test_the_hours_move_with_daylight_saving(utc: str, is_open: bool) -> None:
    assert USUAL.is_open(dt.datetime.fromisoformat(utc).replace(tzinfo=dt.UTC)) is is_open


def test_times_may_be_in_any_time_zone() -> None:
    friday_evening_in_india = dt.datetime(2026, 9, 26, 2, 29, tzinfo=ZoneInfo("Asia/Kolkata"))
    assert USUAL.is_open(friday_evening_in_india)
    assert not USUAL.is_open(friday_evening_in_india + MINUTE)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-11-25T16:59", True),
        ("2026-11-25T18:00", False),  # the session of the 26th would begin
        ("2026-11-26T12:00", False),
        ("2026-11-26T17:59", False),
        ("2026-11-26T18:00", True),  # that of the 27th does
    ],
)
def test_on_a_holiday_the_session_that_ends_on_its_date_does_not_take_place(at: str, is_open: bool) -> None:
    assert Calendar().corrected("2026-11-26").is_open(new_york(at)) is is_open


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-11-25T18:00", True),
        ("2026-11-26T14:29", True),
        ("2026-11-26T14:30", False),
        ("2026-11-26T17:59", False),
        ("2026-11-26T18:00", True),
    ],
)
def test_or_ends_early_where_a_time_is_given(at: str, is_open: bool) -> None:
    assert Calendar().corrected("2026-11-26T14:30").is_open(new_york(at)) is is_open


@given(calendars, moments)
def test_it_is_open_by_the_rules_as_they_are_written(calendar: Calendar, at: dt.datetime) -> None:
    assert calendar.is_open(at) is trades(calendar, at)


# --- the next change -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calendar", "at", "change"),
    [
        (USUAL, "2026-09-24T12:00", "2026-09-24T17:00"),
        (USUAL, "2026-09-24T17:00", "2026-09-24T18:00"),  # the daily break
        (USUAL, "2026-09-24T18:00", "2026-09-25T17:00"),
        (USUAL, "2026-09-25T17:00", "2026-09-27T18:00"),  # the weekend
        (USUAL, "2026-10-30T20:00", "2026-11-01T18:00"),  # in which clocks go back
        (USUAL, "2026-03-06T20:00", "2026-03-08T18:00"),  # and forward
        (USUAL, "2026-11-01T01:30", "2026-11-01T18:00"),  # an hour that there is twice
        (Calendar().corrected("2026-11-26"), "2026-11-25T12:00", "2026-11-25T17:00"),
        (Calendar().corrected("2026-11-26"), "2026-11-25T17:00", "2026-11-26T18:00"),
        (HOLIDAYS, "2026-11-26T12:00", "2026-11-26T14:30"),
        (HOLIDAYS, "2026-11-26T14:30", "2026-11-26T18:00"),
        (HOLIDAYS, "2026-12-22T17:00", "2026-12-27T18:00"),  # holidays in a row, and a weekend
    ],
)
def test_the_next_change_is_when_it_closes_or_opens(calendar: Calendar, at: str, change: str) -> None:
    found = calendar.next_change(new_york(at))
    assert (found, found.tzinfo) == (new_york(change), dt.UTC)


@given(calendars, moments)
def test_the_next_change_is_the_first_one(calendar: Calendar, at: dt.datetime) -> None:
    minute, was = at, trades(calendar, at)
    while trades(calendar, minute) is was:
        minute += MINUTE
    assert calendar.next_change(at) == minute


# --- trading time --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calendar", "since", "until", "hours"),
    [
        (USUAL, "2026-09-24T12:00", "2026-09-24T13:30", 1.5),
        (USUAL, "2026-09-24T16:30", "2026-09-24T18:30", 1),
        (USUAL, "2026-09-25T17:00", "2026-09-27T18:00", 0),
        (USUAL, "2026-09-25T16:00", "2026-09-27T20:00", 3),
        (USUAL, "2026-09-21T00:00", "2026-09-28T00:00", 5 * 23),
        (USUAL, "2026-10-28T00:00", "2026-11-04T00:00", 5 * 23),
        (USUAL, "2026-03-04T00:00", "2026-03-11T00:00", 5 * 23),
        (Calendar().corrected("2026-11-26"), "2026-11-23T00:00", "2026-11-30T00:00", 4 * 23),
        (HOLIDAYS, "2026-11-23T00:00", "2026-11-30T00:00", 5 * 23 - 2.5),
        (HOLIDAYS, "2026-12-22T16:00", "2026-12-27T19:00", 2),
        (USUAL, "2026-09-24T13:30", "2026-09-24T12:00", -1.5),
    ],
)
def test_trading_time_is_the_time_in_which_it_was_open(
    calendar: Calendar, since: str, until: str, hours: float
) -> None:
    assert calendar.open_time(new_york(since), new_york(until)) == hours * HOUR


@given(calendars, moments, st.integers(0, 8 * 24 * 60))
def test_trading_time_is_what_a_walk_minute_by_minute_counts(
    calendar: Calendar, since: dt.datetime, minutes: int
) -> None:
    counted = sum(trades(calendar, since + minute * MINUTE) for minute in range(minutes))
    assert calendar.open_time(since, since + minutes * MINUTE) == counted * MINUTE


@given(calendars, st.lists(any_time, min_size=3, max_size=3))
def test_trading_time_adds_up_and_never_runs_faster_than_the_clock(
    calendar: Calendar, moments: list[dt.datetime]
) -> None:
    first, second, third = sorted(moments)
    whole = calendar.open_time(first, third)
    assert calendar.open_time(first, second) + calendar.open_time(second, third) == whole
    assert ZERO <= whole <= third - first


@given(calendars, moments, st.integers(1, 3000))
def test_so_much_open_time_before_a_moment_begins_in_an_open_market(
    calendar: Calendar, at: dt.datetime, minutes: int
) -> None:
    begin = calendar.open_since(at, minutes * MINUTE)
    assert begin <= at
    assert calendar.open_time(begin, at) == minutes * MINUTE
    assert calendar.is_open(begin)


@pytest.mark.parametrize("calendar", [USUAL, ALL_HOLIDAYS], ids=["of usual days", "of holidays alone"])
def test_a_century_is_counted_as_quickly_as_a_minute(calendar: Calendar) -> None:
    # A thousand times over, counted day by day or holiday by holiday, it would take half a minute.
    began = time.monotonic()
    for _ in range(1000):
        calendar.open_time(dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
    assert time.monotonic() - began < 5


# --- the age of a quote --------------------------------------------------------------------------------------------


def test_a_live_quote_does_not_age_while_the_market_is_closed() -> None:
    quoted_at = new_york("2026-09-25T16:58")
    assert USUAL.age("gold_api_com", quoted_at, new_york("2026-09-26T12:00")) == 2 * MINUTE
    assert USUAL.age("gold_api_com", quoted_at, new_york("2026-09-27T18:03")) == 5 * MINUTE


@pytest.mark.parametrize("source", [SIMULATED, FALLBACK])
def test_what_is_no_market_price_ages_by_the_clock(source: str) -> None:
    assert USUAL.age(source, new_york("2026-09-25T16:58"), new_york("2026-09-25T18:58")) == 2 * HOUR


@pytest.mark.parametrize(
    ("now", "is_of_now"),
    [
        ("2026-09-25T16:58", True),
        ("2026-09-25T16:59", True),
        ("2026-09-25T17:00", False),  # the market closes
        ("2026-09-26T12:00", False),
        ("2026-09-27T18:00", False),  # it opens, and no source has quoted yet
    ],
)
def test_a_price_of_the_close_is_no_price_of_now_though_it_does_not_age(now: str, is_of_now: bool) -> None:
    quoted_at = new_york("2026-09-25T16:58")
    assert USUAL.is_of_now(quoted_at, new_york(now), 5 * MINUTE) is is_of_now
    assert USUAL.age("gold_api_com", quoted_at, new_york(now)) <= 5 * MINUTE


def test_a_price_of_now_is_no_older_than_the_limit() -> None:
    quoted_at = new_york("2026-09-25T12:00")
    assert USUAL.is_of_now(quoted_at, quoted_at + 5 * MINUTE, 5 * MINUTE)
    assert not USUAL.is_of_now(quoted_at, quoted_at + 6 * MINUTE, 5 * MINUTE)


# --- holidays as they are written ----------------------------------------------------------------------------------


def test_holidays_are_dates_with_a_time_where_it_closes_early() -> None:
    written = Calendar().corrected(" 2026-12-25,2026-11-26T14:30 , ")
    assert written.holidays == {dt.date(2026, 12, 25): None, dt.date(2026, 11, 26): dt.time(14, 30)}
    assert Calendar().corrected("") == USUAL


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Christmas", "write dates"),
        ("25-12-2026", "write dates"),
        ("20261225", "write dates"),
        ("2026-02-30", "write dates"),
        ("2026-12-25 2026-12-26", "write dates"),
        ("2026-12-25T25:00", "write dates"),
        ("2026-12-25T14:30Z", "write dates"),
        ("2026-12-25T17:00", "no early close"),
        ("2026-12-25T18:00", "no early close"),
        ("2026-12-25,2026-12-25T14:30", "2026-12-25 is given twice"),
    ],
)
def test_holidays_that_cannot_be_read_say_what_to_write(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Calendar().corrected(text)
