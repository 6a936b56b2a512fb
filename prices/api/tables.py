"""A page of history as a table for spreadsheets: each row says by itself what it is the price of, and when that was."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any


def rows(about: Mapping[str, Any], data: Sequence[Mapping[str, Any]], zone: dt.tzinfo) -> list[dict[str, Any]]:
    """The rows of a page, each with what the page is about (its metal first, unit, currency, …), and its `date` and
    `time` in a zone.
    """
    return [{"metal": row.get("metal"), **about, **_by_the_clock_of(zone, row), **row} for row in data]


def file_name(kind: str, about: Mapping[str, Any], table: Sequence[Mapping[str, Any]]) -> str:
    """A name that says what is in a table, such as
    `swarna-candles-gold-10gram-916-INR-1d-live-2026-09-01-to-2026-09-24.csv`.
    """
    measures = [about[name] for name in ("metal", "unit", "purity", "currency", "interval", "lane") if name in about]
    days = sorted({table[0]["date"], table[-1]["date"]}) if table else ["empty"]
    return f"{'-'.join(['swarna', kind, *measures])}-{'-to-'.join(days)}.csv"


def _by_the_clock_of(zone: dt.tzinfo, row: Mapping[str, Any]) -> dict[str, str]:
    at = dt.datetime.fromisoformat(row["start"] if "start" in row else row["timestamp"]).astimezone(zone)
    return {"date": at.date().isoformat(), "time": at.time().isoformat(timespec="seconds")}
