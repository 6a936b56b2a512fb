# /// script
# requires-python = ">=3.11"
# dependencies = ["pandas_market_calendars==5.5.0"]
# ///
"""Write the table of COMEX's full and early closes that ships with the product, prices/domain/holidays.csv.

For developers, about once a year. The calendar's package, with pandas, is no requirement of the product or of its
tests: `.venv/bin/uv run --no-project tests/support/market_holidays.py` runs this in an environment of its own that uv
makes for it. Then run tests/unit/test_holidays.py, which compares the table with rules of its own.
"""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas_market_calendars

CALENDAR = "CMEGlobex_EnergyAndMetals"
FIRST, LAST = dt.date(2024, 1, 1), dt.date(2035, 12, 31)
TABLE = Path(__file__).parents[2] / "prices" / "domain" / "holidays.csv"
NEW_YORK = ZoneInfo("America/New_York")
USUAL_CLOSE = dt.time(17)


def closes() -> dict[dt.date, dt.time]:
    """The time at which each session ends, on New York's clock, by the date on which it does."""
    schedule = pandas_market_calendars.get_calendar(CALENDAR).schedule(str(FIRST), str(LAST))
    return {day.date(): close.astimezone(NEW_YORK).time() for day, close in schedule["market_close"].items()}


def lines() -> list[str]:
    """The table: a date a line, without a time where no session takes place."""
    found, written = closes(), []
    for number in range((LAST - FIRST).days + 1):
        day = FIRST + dt.timedelta(days=number)
        if day.isoweekday() > 5 or found.get(day) == USUAL_CLOSE:
            continue
        written.append(f"{day},{found[day]:%H:%M}" if day in found else f"{day},")
    return written


if __name__ == "__main__":
    TABLE.write_text("\n".join(["date,closes", *lines(), ""]))
