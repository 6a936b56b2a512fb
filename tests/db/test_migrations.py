"""A database from before candles comes up to date with all that is in it, on both databases."""

import ast
import datetime as dt
import itertools
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.apps.registry import Apps
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.loader import MigrationLoader
from knox.models import AuthToken

from accounts.models import SignIn
from prices.models import Candle, FallbackPrice, Head, LatestPrice, Price, SignificantChange
from prices.publishing import ingest
from prices.staff.undo import undo
from tests.support.postgresql import in_place_of_sqlite
from tests.support.product import ROOT
from tests.support.quotes import NOW, quote

BEFORE_CANDLES = ("prices", "0002_sources")
BEFORE_ROLES = ("accounts", "0002_login_addresses")
BEFORE_EXAMPLES = ("prices", "0005_epoch")
SEEDS_NOTE = "goldapi.io, July 2025: replace it by today's price"
MONTH_BEFORE = NOW - dt.timedelta(days=30)  # in another partition
LATER = dt.timedelta(seconds=2)
_numbers = itertools.count()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any, valkey: str) -> Iterator[None]:
    """Django on a database of each kind, without tables."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path}/old.sqlite3"
    else:
        address = request.getfixturevalue("postgresql").create(f"old_{next(_numbers)}")
    with in_place_of_sqlite(address), django_db_blocker.unblock():
        yield


@pytest.fixture
def old(empty: None) -> None:
    """A database as it was before candles: two live ticks of gold with a move between them, and a fallback."""
    call_command("migrate", *BEFORE_CANDLES, verbosity=0)
    fill(MigrationLoader(connection).project_state(BEFORE_CANDLES).apps)


def fill(apps: Apps) -> None:
    def model(name: str) -> Any:
        return apps.get_model("prices", name).objects

    gold = model("ListedMetal").create(name="gold", display_name="Gold")

    def tick(number: int, price: str, quoted_at: dt.datetime, source: str = "gold_api_com", shown: Any = None) -> Any:
        at = (shown or quoted_at) + LATER
        tick = model("Tick").create(pk=number, previous_seq=number - 1, published_at=at)
        figures = dict.fromkeys(("price", "open", "high", "low"), Decimal(price))
        row = model("Price").create(
            tick=tick, metal=gold, currency="INR", source=source, quoted_at=quoted_at, **figures
        )
        lane = "fallback" if source == "fallback" else "live"
        latest = {"price": row, "confirmed_at": at}
        model("LatestPrice").update_or_create(metal=gold, lane=lane, currency="INR", defaults=latest)
        return tick

    tick(41, "13000", MONTH_BEFORE)
    moved = tick(42, "13260", NOW)
    model("SignificantChange").create(
        tick=moved, metal=gold, old_price=Decimal(13000), new_price=Decimal(13260), change_percent=Decimal(2)
    )
    model("FallbackPrice").create(metal=gold, currency="INR", price=Decimal(12500), as_of=MONTH_BEFORE)
    tick(43, "12500", MONTH_BEFORE, "fallback", shown=NOW)


def kept() -> list[tuple[Any, ...]]:
    of_gold = Price.objects.filter(metal="gold").order_by("seq")
    return list(of_gold.values_list("seq", "price", "source", "at", "published_at"))


def test_prices_from_before_candles_stay_and_new_ones_follow_them(old: None) -> None:
    call_command("migrate", verbosity=0)
    call_command("seed", verbosity=0)

    assert kept() == [
        (41, Decimal(13000), "gold_api_com", MONTH_BEFORE, MONTH_BEFORE + LATER),
        (42, Decimal(13260), "gold_api_com", NOW, NOW + LATER),
        (43, Decimal(12500), "fallback", NOW + LATER, NOW + LATER),
    ]
    (change,) = SignificantChange.objects.all()
    assert (change.seq, change.lane, change.currency, change.published_at) == (42, "live", "INR", NOW + LATER)
    live, fallback = LatestPrice.objects.filter(metal="gold").order_by("-lane")
    assert (live.price, live.confirmed_at, fallback.price) == (Decimal(13260), NOW + LATER, Decimal(12500))

    call_command("candles", "rebuild", "--metal", "gold", "--from", "2026-09-24", verbosity=0)
    seq = Head.current().seq  # seed has shown the other metals' fallbacks
    publication = ingest.record(
        [quote("gold", "13250", at=NOW + dt.timedelta(minutes=1))], now=NOW + dt.timedelta(minutes=1)
    )
    assert publication is not None
    assert publication.seq == seq + 1
    day = Candle.objects.get(metal="gold", lane="live", interval="1d", start__lte=NOW, start__gt=NOW - dt.timedelta(1))
    assert (day.open, day.high, day.close, day.ticks) == (Decimal(13260), Decimal(13260), Decimal(13250), 2)


def test_each_step_leads_on_to_today(old: None) -> None:
    steps = sorted(name for app, name in MigrationLoader(connection).disk_migrations if app == "prices")
    for step in steps[steps.index(BEFORE_CANDLES[1]) :]:
        call_command("migrate", "prices", step, verbosity=0)
    call_command("migrate", verbosity=0)
    assert [seq for seq, *_ in kept()] == [41, 42, 43]


@pytest.mark.parametrize(
    "migration", sorted(ROOT.glob("*/migrations/0*.py")), ids=lambda path: f"{path.parts[-3]}-{path.stem}"
)
def test_a_migration_knows_nothing_of_todays_code(migration: Path) -> None:
    imported = [
        node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(migration.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    ours = {name for name in imported if name.partition(".")[0] in ("accounts", "prices", "streaming", "swarna")}
    assert ours <= {"prices.models"}  # Django's own writing, for a default that is a function


@pytest.mark.parametrize("old", ["sqlite"], indirect=True)  # the schema editor refuses, whatever the database
def test_what_is_kept_is_not_taken_back_to_where_it_has_no_room(old: None) -> None:
    call_command("migrate", verbosity=0)
    SignificantChange.objects.all().delete()  # with one, the old table would have refused
    before = kept()
    with pytest.raises(IrreversibleError):
        call_command("migrate", *BEFORE_CANDLES, verbosity=0)
    assert kept() == before
    call_command("migrate", verbosity=0)


@pytest.fixture
def of_old(empty: None) -> Apps:
    """The models of a database as it was before examples differed from staff's prices."""
    call_command("migrate", "auth", verbosity=0)
    call_command("migrate", *BEFORE_EXAMPLES, verbosity=0)
    return MigrationLoader(connection).project_state(BEFORE_EXAMPLES).apps


def test_of_an_old_installation_what_nobody_has_entered_is_an_example(of_old: Apps) -> None:
    seeds = {"gold": "9223.3162", "silver": "105.0461", "platinum": "3824.4612", "palladium": "3299.0955"}
    asha = User.objects.create(username="asha").pk
    made = {}
    for metal, price in seeds.items():
        listed = of_old.get_model("prices", "ListedMetal").objects.create(name=metal, display_name=metal.title())
        values = {"currency": "INR", "price": price, "as_of": "2025-07-01T00:00:00Z", "note": SEEDS_NOTE}
        made[metal] = of_old.get_model("prices", "FallbackPrice").objects.create(metal=listed, **values)
    audit = of_old.get_model("prices", "HistoricalFallbackPrice").objects
    for metal in ("gold", "platinum"):  # the form was saved, gold's as it was
        row = made[metal]
        values = {name: getattr(row, name) for name in ("id", "currency", "price", "as_of", "note", "metal_id")}
        audit.create(history_date=NOW, history_type="+", history_user_id=asha, **values)
    # Staff wrote a price over silver's, and a time over palladium's, and left the note; over platinum's a note alone.
    type(made["silver"]).objects.filter(pk=made["silver"].pk).update(price="163")
    type(made["palladium"]).objects.filter(pk=made["palladium"].pk).update(as_of="2026-09-24T08:00:00Z")
    type(made["platinum"]).objects.filter(pk=made["platinum"].pk).update(note="to be done")

    call_command("migrate", verbosity=0)
    call_command("seed", verbosity=0)

    assert {row.metal_id: (row.example, row.note) for row in FallbackPrice.objects.all()} == {
        "gold": (True, SEEDS_NOTE),
        "silver": (False, ""),
        "platinum": (True, "to be done"),
        "palladium": (False, ""),
    }
    assert set(LatestPrice.objects.filter(example=True).values_list("metal", flat=True)) == {"gold", "platinum"}


def test_an_installation_of_before_roles_and_sessions_gets_them(empty: None) -> None:
    for step in (["auth"], ["sessions"], ["knox"], BEFORE_ROLES):
        call_command("migrate", *step, verbosity=0)
    asha = User.objects.create(username="asha")
    token, _ = AuthToken.objects.create(asha)

    call_command("migrate", verbosity=0)

    session = SignIn.objects.get()
    assert (session.user, session.token, session.began_at, session.seen_at) == (
        asha,
        token,
        token.created,
        token.created,
    )
    assert Group.objects.filter(name="Price editor", permissions__codename="change_fallbackprice").exists()


def test_what_was_saved_before_there_were_changes_is_a_change_each(of_old: Apps) -> None:
    asha = User.objects.create(username="asha").pk
    gold = of_old.get_model("prices", "ListedMetal").objects.create(name="gold", display_name="Gold")
    values = {"metal": gold, "currency": "INR", "as_of": NOW}
    row = of_old.get_model("prices", "FallbackPrice").objects.create(**values, price="9300")
    audit = of_old.get_model("prices", "HistoricalFallbackPrice").objects
    for number, (kind, by, reason) in enumerate((("+", None, None), ("~", asha, "IBJA"))):
        at = NOW + number * LATER
        audit.create(
            **values,
            id=row.pk,
            price=9200 + 100 * number,
            history_date=at,
            history_type=kind,
            history_user_id=by,
            history_change_reason=reason,
        )

    call_command("migrate", verbosity=0)

    first, second = FallbackPrice.history.order_by("history_id")
    assert [(each.change.at, each.change.by_id, each.change.reason) for each in (first, second)] == [
        (NOW, None, ""),
        (NOW + LATER, asha, "IBJA"),
    ]
    undo(second.change, User.objects.create_superuser("boss"), confirmed=True)
    assert FallbackPrice.objects.get().price == 9200


@pytest.mark.django_db
def test_the_migrations_are_of_these_models() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
