"""Months of history on PostgreSQL: made before they are needed, gone when they are old, in nobody's way."""

import datetime as dt
import re
import threading
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from prices.domain.quotes import Metal
from prices.domain.receipts import Method
from prices.history import partitions, retention
from prices.models import Price, Receipt, ReceiptMonth
from prices.publishing import ingest, receipts
from streaming import publish
from tests.support.quotes import NOW, quote
from tests.support.threads import at_once
from tests.support.world import forget_prices

JUNE, JULY, AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = (dt.date(2026, month, 1) for month in range(6, 12))
months = st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)).map(lambda date: date.replace(day=1))


def there() -> list[dt.date]:
    """The months that are part of the table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'prices_price'::regclass AND NOT inhdetachpending"
        )
        return sorted(month for (name,) in cursor.fetchall() if (month := partitions.month_in(name)))


def moment(month: dt.date, day: int = 15) -> dt.datetime:
    return dt.datetime(month.year, month.month, day, 12, tzinfo=dt.UTC)


def store(*at: dt.datetime) -> None:
    """Prices of these moments, as backfill stores them."""
    partitions.ensure(at)
    Price.objects.bulk_create(
        Price(
            metal_id="gold",
            currency="INR",
            source="csv",
            at=each,
            quoted_at=each,
            price=Decimal(1),
            open=Decimal(1),
            high=Decimal(1),
            low=Decimal(1),
        )
        for each in at
    )


def stored() -> list[dt.datetime]:
    """The moments of the stored ticks."""
    return list(Price.objects.filter(source="csv").order_by("at").values_list("at", flat=True))


# --- months ----------------------------------------------------------------------------------------------------------


@given(months)
def test_a_months_name_tells_which_it_is(month: dt.date) -> None:
    assert partitions.month_in(partitions.name_of(month)) == month


@pytest.mark.parametrize(
    "name", ["prices_price", "prices_price_2026_13", "prices_price_2026_00", "prices_price_2026_1", "prices_price_ids"]
)
def test_another_tables_name_is_no_month(name: str) -> None:
    assert partitions.month_in(name) is None


@given(months, st.datetimes(timezones=st.just(dt.UTC)).filter(lambda at: at.year < 9999))
def test_each_moment_is_in_one_month(month: dt.date, at: dt.datetime) -> None:
    assert (partitions.month_of(at) == month) == (month <= at.date() < partitions.next_month(month))


def test_a_month_is_that_of_utc() -> None:
    india = dt.timezone(dt.timedelta(hours=5, minutes=30))
    assert partitions.month_of(dt.datetime(2026, 10, 1, 5, 29, tzinfo=india)) == SEPTEMBER


def test_months_ahead_go_over_the_years_end() -> None:
    december = dt.date(2026, 12, 1)
    assert partitions.months_ahead(moment(december, 31)) == [december, dt.date(2027, 1, 1), dt.date(2027, 2, 1)]


@pytest.mark.parametrize(
    ("at", "over"),
    [(moment(JULY, 1).replace(hour=0), True), (moment(JUNE, 30), False), (moment(SEPTEMBER), True)],
)
def test_a_month_is_over_when_its_last_moment_is(at: dt.datetime, over: bool) -> None:
    assert partitions.is_over(JUNE, at) is over


# --- on PostgreSQL ---------------------------------------------------------------------------------------------------


def test_months_are_there_before_they_are_needed(on_postgresql: str) -> None:
    partitions.create_ahead(NOW)
    assert {SEPTEMBER, OCTOBER, NOVEMBER} <= set(there())
    partitions.create_ahead(NOW)  # which changes nothing
    store(moment(NOVEMBER))


def test_a_month_that_nobody_made_is_made_by_its_first_price(on_postgresql: str) -> None:
    store(moment(JUNE), moment(AUGUST))
    assert {JUNE, AUGUST} <= set(there())
    assert JULY not in there()


def test_workers_that_make_the_same_months_at_once_make_each_one(on_postgresql: str) -> None:
    at_once(lambda number: partitions.create_ahead(moment(JUNE)), 4)
    assert {JUNE, JULY, AUGUST} <= set(there())


def test_a_month_can_be_made_while_others_write_and_read(on_postgresql: str) -> None:
    store(moment(SEPTEMBER))
    with psycopg.connect(on_postgresql) as other:  # which is in a transaction that has read and written
        other.execute("SELECT count(*) FROM prices_price")
        other.execute("UPDATE prices_price SET price = 2")
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '5s'")
        store(moment(JUNE))
    assert JUNE in there()


def test_old_months_go_and_those_that_are_kept_stay(on_postgresql: str, settings: Settings) -> None:
    settings.TICKS_KEPT_FOR = NOW - moment(AUGUST)
    store(moment(JUNE), moment(JULY, 31), moment(AUGUST, 1), moment(SEPTEMBER))
    assert retention.keep_history(now=NOW) == 2
    assert stored() == [moment(AUGUST, 1), moment(SEPTEMBER)]
    assert not {JUNE, JULY} & set(there())
    assert retention.keep_history(now=NOW) == 0


def test_ticks_that_are_kept_for_good_stay(on_postgresql: str, settings: Settings) -> None:
    settings.TICKS_KEPT_FOR = None
    store(moment(dt.date(1970, 1, 1)))
    assert retention.keep_history(now=NOW) == 0
    assert stored() == [moment(dt.date(1970, 1, 1))]


def test_a_month_whose_going_was_interrupted_is_gone_the_next_time(
    on_postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_LOCK_TIMEOUT", "100ms")
    store(moment(JUNE), moment(JULY), moment(SEPTEMBER))
    with psycopg.connect(on_postgresql) as reader:
        reader.execute("SELECT count(*) FROM prices_price")
        with pytest.raises(OperationalError):  # the reader stays for longer than a statement waits
            partitions.drop_before(moment(AUGUST))
        with connection.cursor() as cursor:
            cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhdetachpending")
            assert cursor.fetchall() == [("prices_price_2026_06",)]
        store(moment(SEPTEMBER, 16))  # which nobody keeps from going on
    assert partitions.drop_before(moment(AUGUST)) == [JUNE, JULY]
    assert not {JUNE, JULY} & set(there())


def test_a_month_that_was_detached_and_left_behind_is_dropped(on_postgresql: str) -> None:
    store(moment(JUNE))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE prices_price DETACH PARTITION prices_price_2026_06")
    assert partitions.drop_before(moment(AUGUST)) == [JUNE]
    store(moment(JUNE))  # so it can be made anew
    assert JUNE in there()


def test_of_two_workers_one_does_it(on_postgresql: str) -> None:
    store(moment(JUNE))
    with psycopg.connect(on_postgresql, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [partitions._LOCK])
        assert partitions.drop_before(moment(AUGUST)) is None
    assert JUNE in there()
    assert sorted(at_once(lambda number: partitions.drop_before(moment(AUGUST)) or [], 3)) == [[], [], [JUNE]]


def test_no_month_is_dropped_in_a_transaction(on_postgresql: str) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="outside of any transaction"):
        partitions.drop_before(NOW)


def test_ingest_goes_on_while_months_come_and_go(
    on_postgresql: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tick waits, even for a month whose dropping waits itself, for a reader."""
    monkeypatch.setattr(partitions, "_LOCK_TIMEOUT", "60s")
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    settings.TICKS_KEPT_FOR = NOW - moment(JULY)
    store(moment(JUNE), moment(SEPTEMBER))
    with psycopg.connect(on_postgresql) as reader:
        reader.execute("SELECT count(*) FROM prices_price")
        dropping = threading.Thread(target=lambda: at_once(lambda number: retention.keep_history(now=NOW), 1))
        dropping.start()
        published = [
            ingest.record([quote("gold", f"{9000 + number}", at=NOW + dt.timedelta(seconds=number))], now=NOW)
            for number in range(20)
        ]
        waits = dropping.is_alive()
        reader.rollback()
        dropping.join(10)
    assert waits
    assert all(published)
    assert JUNE not in there()


# --- receipts --------------------------------------------------------------------------------------------------------


def publish_at(at: dt.datetime, price: str = "9000") -> int:
    publication = ingest.record([quote("gold", price, at=at)], now=at)
    assert publication is not None
    return publication.seq


def tables_of(rows: "QuerySet[Receipt, Any]") -> set[str]:
    """The months' tables that a query reads."""
    return set(re.findall(r"prices_receipt_\d{4}_\d\d", rows.explain()))


@pytest.fixture
def _unheard(on_postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database without any publication, and without web processes."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    forget_prices()


@pytest.mark.usefixtures("_unheard")
def test_receipts_are_looked_for_in_one_months_table() -> None:
    first, second = publish_at(moment(JULY)), publish_at(moment(AUGUST), "9001")
    third = publish_at(moment(AUGUST, 20), "9002")
    months = ReceiptMonth.objects.order_by("month").values_list("month", "first_seq")
    assert list(months) == [(JULY, first), (AUGUST, second)]
    for seq, table in ((first, "2026_07"), (second, "2026_08"), (third, "2026_08")):
        (bounded, everywhere) = receipts.where_it_may_be(seq)
        assert tables_of(bounded) == {f"prices_receipt_{table}"}
        assert tables_of(everywhere) >= {"prices_receipt_2026_07", "prices_receipt_2026_08"}
        assert [receipt.seq for receipt in receipts.of_publication(seq)] == [seq]
    (bounded, _) = receipts.published_before(Metal.GOLD, moment(AUGUST, 16))
    assert tables_of(bounded) == {"prices_receipt_2026_08"}


@pytest.mark.usefixtures("_unheard")
def test_a_receipt_is_found_whose_month_the_clock_did_not_keep() -> None:
    publish_at(moment(AUGUST))
    set_back = publish_at(moment(JULY), "9001")  # as the clock was ahead before
    later = publish_at(moment(SEPTEMBER), "9002")
    for seq in (set_back, later):
        assert [receipt.seq for receipt in receipts.of_publication(seq)] == [seq]


@pytest.mark.usefixtures("_unheard")
def test_a_process_finds_the_receipts_of_a_database_that_began_anew(settings: Settings) -> None:
    settings.TICKS_KEPT_FOR = NOW - moment(AUGUST)
    publish_at(moment(JUNE))
    kept = publish_at(moment(AUGUST), "9001")
    retention.keep_history(now=NOW)
    assert receipts.of_publication(kept)
    forget_prices()
    anew = publish_at(moment(AUGUST))
    assert anew < kept
    # Without its row, the tick would stand in for it, which knows no more than the price.
    assert [receipt.method for receipt in receipts.of_publication(anew)] == [Method.FIRST]


@pytest.mark.usefixtures("_unheard")
def test_receipts_go_with_the_ticks_of_their_month(settings: Settings) -> None:
    settings.TICKS_KEPT_FOR = NOW - moment(AUGUST)
    gone, kept = publish_at(moment(JUNE)), publish_at(moment(AUGUST), "9001")
    assert retention.keep_history(now=NOW) == 1
    assert receipts.of_publication(gone) == []
    assert [receipt.seq for receipt in receipts.of_publication(kept)] == [kept]
    assert list(ReceiptMonth.objects.values_list("month", flat=True)) == [AUGUST]
    assert retention.keep_history(now=NOW) == 0


@pytest.mark.usefixtures("_unheard")
def test_a_publication_that_failed_leaves_its_month_to_the_next() -> None:
    with transaction.atomic():
        publish_at(moment(JUNE))
        transaction.set_rollback(True)
    seq = publish_at(moment(JUNE))
    assert ReceiptMonth.objects.get().first_seq == seq
    assert len(receipts.of_publication(seq)) == 1


# --- elsewhere -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_sqlite")
def test_elsewhere_old_rows_are_deleted_in_batches(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    settings.TICKS_KEPT_FOR = dt.timedelta(days=30)
    of_that_day = NOW - dt.timedelta(days=30, hours=1)
    edge = NOW.replace(hour=18, minute=30) - dt.timedelta(days=31)  # midnight in India
    store(*(edge - dt.timedelta(seconds=number) for number in range(1, 6)), edge, of_that_day, NOW)
    assert retention.keep_history(now=NOW) == 5
    assert stored() == [edge, of_that_day, NOW]
