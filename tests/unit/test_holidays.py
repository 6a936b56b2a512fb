"""The table of holidays that ships with the product, compared with the rules of the exchange's year."""

import csv
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.conf import settings
from pytest_django import Settings

from prices.domain import calendar
from prices.domain.calendar import Calendar
from swarna.checks import holidays_are_known

NEW_YORK = ZoneInfo("America/New_York")
YEARS = range(2024, 2036)
MON, THU = 0, 3
A_WEEK = dt.timedelta(days=7)
GOOD_FRIDAYS = [
    dt.date.fromisoformat(day)
    for day in (
        *("2024-03-29", "2025-04-18", "2026-04-03", "2027-03-26", "2028-04-14", "2029-03-30"),
        *("2030-04-19", "2031-04-11", "2032-03-26", "2033-04-15", "2034-04-07", "2035-03-23"),
    )
]
BY_HALF_PAST_TWO, BY_ONE, BY_QUARTER_TO_TWO = dt.time(14, 30), dt.time(13), dt.time(13, 45)
# As the exchange published its hours for 2026, which differ from its rules.
OF_2026 = {
    dt.date(2026, 6, 19): BY_ONE,
    dt.date(2026, 7, 3): BY_ONE,
    dt.date(2026, 9, 7): BY_HALF_PAST_TWO,
    dt.date(2026, 11, 27): dt.time(14, 45),
    dt.date(2026, 12, 24): BY_QUARTER_TO_TWO,
}

BUILT_IN = Calendar.built_in()


def nth(number: int, weekday: int, year: int, month: int) -> dt.date:
    """The first, second … such weekday of a month."""
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def on_a_weekday(day: dt.date) -> dt.date:
    """The day on which a holiday of a fixed date is kept: of a Saturday the Friday before, of a Sunday the Monday."""
    return day + dt.timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def by_the_rules() -> Iterator[tuple[dt.date, dt.time | None]]:
    for year in YEARS:
        new_year = dt.date(year, 1, 1)
        if new_year.weekday() != 5:  # that of a Saturday is not kept
            yield on_a_weekday(new_year), None
        yield nth(3, MON, year, 1), BY_HALF_PAST_TWO  # Martin Luther King
        yield nth(3, MON, year, 2), BY_HALF_PAST_TWO  # Presidents' Day
        yield nth(1, MON, year, 6) - A_WEEK, BY_HALF_PAST_TWO  # Memorial Day, the last Monday of May
        yield on_a_weekday(dt.date(year, 6, 19)), BY_HALF_PAST_TWO  # Juneteenth
        yield on_a_weekday(dt.date(year, 7, 4)), BY_HALF_PAST_TWO  # Independence Day
        yield nth(1, MON, year, 9), BY_ONE  # Labor Day
        thanksgiving = nth(4, THU, year, 11)
        yield thanksgiving, BY_HALF_PAST_TWO
        yield thanksgiving + dt.timedelta(days=1), BY_QUARTER_TO_TWO
        yield on_a_weekday(dt.date(year, 12, 25)), None
    yield from dict.fromkeys(GOOD_FRIDAYS).items()
    yield from OF_2026.items()


def new_york(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


# --- the table -----------------------------------------------------------------------------------------------------


def test_the_table_has_each_holiday_of_twelve_years_by_the_rules_of_the_exchange() -> None:
    assert BUILT_IN.holidays == dict(by_the_rules())


def test_it_is_in_order_and_names_no_date_twice() -> None:
    with Path(calendar.__file__).with_name("holidays.csv").open(newline="") as table:
        dates = [row["date"] for row in csv.DictReader(table)]
    assert dates == sorted(set(dates))


def test_the_product_goes_by_it() -> None:
    assert settings.MARKET_CALENDAR == BUILT_IN


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-11-27T14:44", True),  # the day after Thanksgiving
        ("2026-11-27T14:45", False),
        ("2026-12-24T17:59", False),  # Christmas Eve, and Christmas, whose session would begin then
        ("2026-12-24T18:00", False),
        ("2026-12-25T12:00", False),
        ("2026-12-27T18:00", True),
        ("2027-03-26T12:00", False),  # Good Friday
    ],
)
def test_the_market_is_closed_on_its_holidays(at: str, is_open: bool) -> None:
    assert BUILT_IN.is_open(new_york(at)) is is_open


def test_the_price_of_an_early_close_does_not_age_until_the_opening() -> None:
    quoted_at, sunday_evening = new_york("2026-11-27T14:44"), new_york("2026-11-29T18:03")
    assert BUILT_IN.age("gold_api_com", quoted_at, sunday_evening) == dt.timedelta(minutes=4)
    assert Calendar().age("gold_api_com", quoted_at, sunday_evening) > dt.timedelta(hours=2)


# --- corrections ---------------------------------------------------------------------------------------------------


def test_a_correction_adds_replaces_or_takes_out_a_date_and_leaves_all_others() -> None:
    corrected = BUILT_IN.corrected("2026-12-31T13:45, 2026-12-24, 2026-06-19=open").holidays
    changed = {date for date, _ in corrected.items() ^ BUILT_IN.holidays.items()}
    assert changed == {dt.date(2026, 6, 19), dt.date(2026, 12, 24), dt.date(2026, 12, 31)}
    assert corrected[dt.date(2026, 12, 31)] == BY_QUARTER_TO_TWO
    assert corrected[dt.date(2026, 12, 24)] is None


def test_a_day_that_is_corrected_to_trade_does_so_all_day() -> None:
    corrected = BUILT_IN.corrected("2026-11-27=open, 2026-11-28=open")  # a Saturday stays one
    assert corrected.is_open(new_york("2026-11-27T16:59"))
    assert not corrected.is_open(new_york("2026-11-28T12:00"))
    assert corrected.open_time(new_york("2026-11-26T18:00"), new_york("2026-11-29T18:00")) == dt.timedelta(hours=23)


# --- its end -------------------------------------------------------------------------------------------------------


def problems(now: dt.datetime, settings: Settings, text: str = "") -> list[str]:
    """The findings of `manage.py check` on the holidays at a time, with corrections."""
    settings.MARKET_CALENDAR = BUILT_IN.corrected(text)
    with time_machine.travel(now, tick=False):
        return [f"{problem.id}: {problem.msg}" for problem in holidays_are_known(None)]


def test_a_check_says_that_the_table_ends_within_a_year(settings: Settings) -> None:
    early, late = dt.datetime(2034, 12, 31, tzinfo=dt.UTC), dt.datetime(2035, 1, 1, tzinfo=dt.UTC)
    assert problems(early, settings) == []
    assert problems(late, settings) == [
        "swarna.W001: The market's holidays are known until 2035-12-31 alone: on later ones, prices would turn stale."
    ]
    assert problems(late, settings, "2036-01-01, 2036-12-25") == []
    assert problems(late, settings, "2037-01-01") != []  # 2036 is missing


def test_a_calendar_without_holidays_ends_never() -> None:
    assert Calendar().runs_out(dt.datetime.now(dt.UTC)) is None
