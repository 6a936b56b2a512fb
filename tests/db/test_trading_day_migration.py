"""Figures that were kept under a premium are at spot after an update, which writes no tick anew."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test.utils import CaptureQueriesContext

from prices.domain.quotes import DayFigures
from prices.history import partitions
from prices.models import LatestPrice, Premium
from prices.publishing import ingest
from streaming import publish
from tests.support.postgresql import in_place_of_sqlite
from tests.support.quotes import NOW, quote

BEFORE = ("prices", "0004_silentday")
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def old(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any
) -> Iterator[None]:
    """A database of before, with a live price of gold under a premium of 15 %, silver without, and a fallback."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path}/old.sqlite3"
    else:
        address = request.getfixturevalue("postgresql").create("under_premium")
    with in_place_of_sqlite(address), django_db_blocker.unblock():
        call_command("migrate", *BEFORE, verbosity=0)
        apps = MigrationLoader(connection).project_state(BEFORE).apps
        shared: dict[str, Any] = {"currency": "INR", "quoted_at": NOW, "at": NOW, "seq": 1, "published_at": NOW}
        gold = {"price": "11.5", "spot": "10", "open": "11.5", "high": "12.7547", "low": "10.35"}
        silver = {"price": "1", "open": "1.1", "high": "1.2", "low": "0.9", "previous_close": "0.8"}
        rows = [
            ("gold", "live", "gold_api_com", gold),
            ("silver", "live", "gold_api_com", silver),
            ("gold", "fallback", "fallback", dict.fromkeys(("price", "open", "high", "low"), "9")),
        ]
        for metal, lane, source, figures in rows:
            apps.get_model("prices", "ListedMetal").objects.get_or_create(name=metal)
            values = {"metal_id": metal, "source": source, **shared, **figures}
            apps.get_model("prices", "LatestPrice").objects.create(lane=lane, confirmed_at=NOW, **values)
            partitions.ensure([NOW])
            apps.get_model("prices", "Price").objects.create(**values)
        yield


def figures(*amounts: str | None) -> DayFigures:
    values = [None if amount is None else Decimal(amount) for amount in amounts]
    return DayFigures(**dict(zip(("open", "high", "low", "previous_close"), values, strict=True)))  # type: ignore[arg-type]  # the first three are there


def stored() -> list[tuple[Any, ...]]:
    """The prices, by the columns of then."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM prices_price ORDER BY id")
        return list(cursor.fetchall())


def test_figures_under_a_premium_are_at_spot_after_the_update(old: None) -> None:
    before = stored()
    with CaptureQueriesContext(connection) as queries:
        call_command("migrate", "prices", "0008_trading_day", verbosity=0)
    assert stored() == before
    assert not [query["sql"] for query in queries if '"prices_price"' in query["sql"]]
    call_command("migrate", verbosity=0)
    assert LatestPrice.objects.get(lane="fallback").trading_day is None

    Premium.objects.create(metal_id="gold", multiplier="1.15", effective_from=NOW)
    at = NOW + MINUTE
    publication = ingest.record([quote("gold", "10.01", at=at), quote("silver", "1.01", at=at)], now=at)
    assert publication is not None
    assert [each.day for each in publication.quotes] == [
        figures("11.5", "12.7547", "10.35", None),
        figures("1.1", "1.2", "0.9", "0.8"),
    ]
    Premium.objects.all().delete()
    at += MINUTE
    publication = ingest.record([quote("gold", "10.02", at=at)], now=at)
    assert publication is not None
    assert publication.quotes[0].day == figures("10", "11.0910", "9", None)
