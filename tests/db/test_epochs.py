"""A database that was emptied, copied or put back gives its numbers another epoch, whatever was running meanwhile."""

import datetime as dt
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.core.management import call_command

from prices.domain.positions import Position
from prices.models import Head, Price
from prices.publishing import ingest, snapshot
from prices.publishing.position_memory import PositionMemory
from streaming import publish
from tests.support.postgresql import Cluster, in_place_of_sqlite
from tests.support.quotes import NOW, START, quote
from tests.support.world import forget_prices

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def without_web_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    monkeypatch.setattr(publish, "reload", lambda: None)


@pytest.fixture
def sqlite(tmp_path: Path, first_start: Path, django_db_blocker: Any, without_web_processes: None) -> Iterator[Path]:
    """A database in a file with five publications of gold."""
    file = Path(shutil.copy(first_start, tmp_path))
    with in_place_of_sqlite(f"sqlite:///{file}"), django_db_blocker.unblock():
        forget_prices()
        publish_on(5)
        yield file


@pytest.fixture(params=["sqlite", "on_postgresql"])
def database(request: pytest.FixtureRequest, without_web_processes: None) -> None:
    """A database with five publications of gold."""
    request.getfixturevalue(request.param)
    if request.param == "on_postgresql":
        forget_prices()
        publish_on(5)


def publish_on(count: int, minute: int = 0) -> Position:
    """So many publications of gold, a minute apart; where that leads."""
    for each in range(minute, minute + count):
        at = NOW + each * MINUTE
        assert ingest.record([quote(price=str(100 + each), at=at)], now=at)
    return Head.current().position


def put_back(seq: int) -> None:
    """Restore a snapshot of the disk: the database is as it was after a publication, and lies where it lay."""
    last = Price.objects.get(seq=seq)
    Price.objects.filter(seq__gt=seq).delete()
    Head.objects.update(seq=seq, published_at=last.published_at)


def test_an_epoch_stays_while_publications_are_written_and_read(database: None) -> None:
    before = Head.current().position
    after = publish_on(2, minute=5)
    assert (after.epoch, after.seq, after.published_at) == (before.epoch, 7, NOW + 6 * MINUTE)
    current = snapshot.read(since=before)
    assert (current.position, [(publication.epoch, publication.seq) for publication in current.publications]) == (
        after,
        [(before.epoch, 6), (before.epoch, 7)],
    )


def test_a_database_that_was_emptied_begins_another_epoch(database: None) -> None:
    before = Head.current().position
    forget_prices()
    current = snapshot.read(since=before)
    assert (current.position.seq, current.quotes) == (0, {})
    assert current.position.epoch != before.epoch


@pytest.mark.parametrize("grown", [0, 1, 2, 9])
def test_a_database_that_was_put_back_is_known_by_what_was_seen_however_far_it_has_grown(
    database: None, grown: int
) -> None:
    seen = Head.current().position
    put_back(3)
    publish_on(grown, minute=10)
    current = snapshot.read(since=seen)
    assert current.position.epoch != seen.epoch
    # All of it, and not what came after 5.
    assert [publication.seq for publication in current.publications] == list(range(1, 3 + grown + 1))


def test_who_has_seen_no_other_history_goes_on(database: None) -> None:
    seen = snapshot.read(since=START).position
    put_back(3)
    early = Position(seen.epoch, 2, NOW + MINUTE)
    assert snapshot.read(since=early).position.epoch == seen.epoch


def test_of_a_publication_that_is_kept_no_longer_nothing_is_concluded(database: None) -> None:
    seen = Head.current().position
    publish_on(2, minute=5)
    Price.objects.filter(seq__lte=5).delete()
    assert snapshot.read(since=seen).position.epoch == seen.epoch


def test_all_processes_that_saw_the_old_history_agree_on_one_new_epoch(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Head.current().position
    put_back(3)
    lock, quicker = Head.locked, []

    def lock_after_another() -> Head:
        monkeypatch.setattr(Head, "locked", lock)
        quicker.append(snapshot.read(since=seen).position)
        return lock()

    monkeypatch.setattr(Head, "locked", lock_after_another)
    assert [snapshot.read(since=seen).position] == quicker
    assert quicker[0].epoch != seen.epoch


def test_a_copy_from_before_an_earlier_return_is_another_history_too(database: None) -> None:
    """The copy's own epoch is an old one, under which its numbers were given away already."""
    first = Head.current()
    put_back(3)
    second = snapshot.read(since=first.position).position
    Head.objects.update(epoch=first.epoch, superseded=first.superseded, seq=3)
    third = snapshot.read(START, seen=second).position
    assert third.epoch not in (first.epoch, second.epoch)


def test_processes_that_know_different_histories_agree_on_one(database: None) -> None:
    """One that slept through two returns must not draw an epoch that the others then do not know."""
    asleep = Head.current().position
    call_command("newepoch")
    call_command("newepoch")
    awake = Head.current().position
    assert snapshot.read(asleep).position == awake
    put_back(3)
    for _ in range(2):
        asleep, awake = snapshot.read(asleep).position, snapshot.read(awake).position
    assert asleep == awake


def test_a_person_can_say_that_it_is_another_history(database: None, capsys: pytest.CaptureFixture[str]) -> None:
    before = Head.current().position
    call_command("newepoch")
    after = Head.current().position
    assert (after.epoch != before.epoch, after.seq) == (True, before.seq)
    assert f"The epoch is {after.epoch} from here on" in capsys.readouterr().out
    # Who saw the old one takes it as it is.
    assert snapshot.read(since=before).position.epoch == after.epoch


# --- a copy lies elsewhere -------------------------------------------------------------------------------------------


def test_a_copy_of_the_file_is_another_history_and_the_original_is_not(sqlite: Path, tmp_path: Path) -> None:
    before = Head.current().position
    with closing(sqlite3.connect(sqlite)) as source, closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as copy:
        source.backup(copy)
    with in_place_of_sqlite(f"sqlite:///{tmp_path}/copy.sqlite3"):
        copied = Head.current().position
        assert (copied.epoch != before.epoch, copied.seq) == (True, before.seq)
        assert Head.current().position == copied
    assert Head.current().position == before


def test_a_file_that_takes_the_others_place_is_another_history(sqlite: Path, tmp_path: Path) -> None:
    before = Head.current().position
    with closing(sqlite3.connect(sqlite)) as source, closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as copy:
        source.backup(copy)
    with in_place_of_sqlite(f"sqlite:///{tmp_path}/elsewhere.sqlite3"):
        for each in tmp_path.glob("prices.sqlite3-[ws]*"):
            each.unlink()
        shutil.move(tmp_path / "copy.sqlite3", sqlite)
    with in_place_of_sqlite(f"sqlite:///{sqlite}"):
        assert Head.current().epoch != before.epoch


def test_a_copy_of_a_database_and_a_table_that_was_read_in_are_other_histories(
    postgresql: Cluster, on_postgresql: str, without_web_processes: None, django_db_blocker: Any
) -> None:
    before = publish_on(1)
    name = on_postgresql.rpartition("/")[2]
    with in_place_of_sqlite(postgresql.url("postgres")):
        copy = postgresql.create(f"{name}_copy", template=name)
    with in_place_of_sqlite(copy):
        assert Head.current().epoch != before.epoch
    postgresql.drop(f"{name}_copy")
    with psycopg.connect(on_postgresql) as by_hand:
        by_hand.execute("CREATE TABLE dumped AS TABLE prices_head")
        by_hand.execute("DROP TABLE prices_head")
        by_hand.execute("ALTER TABLE dumped RENAME TO prices_head")
        by_hand.execute("ALTER TABLE prices_head ADD PRIMARY KEY (id)")
    restored = Head.current()
    assert (restored.epoch != before.epoch, restored.superseded.split()[-1]) == (True, before.epoch)


def test_a_plain_role_may_read_where_its_database_lies(
    postgresql: Cluster, on_postgresql: str, without_web_processes: None
) -> None:
    before = publish_on(1)
    with psycopg.connect(on_postgresql, autocommit=True) as owner:
        owner.execute("CREATE ROLE plain LOGIN")
        owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
    with in_place_of_sqlite(on_postgresql.replace("swarna@", "plain@")):
        assert Head.current().position == before
    with psycopg.connect(on_postgresql, autocommit=True) as owner:
        owner.execute("DROP OWNED BY plain")
        owner.execute("DROP ROLE plain")


# --- what outlives all processes -------------------------------------------------------------------------------------

FIRST, LATER = Position("first", 5, NOW), Position("first", 6, NOW + MINUTE)


def test_the_newest_position_of_the_folder_and_of_redis_is_recalled(tmp_path: Path, valkey: str) -> None:
    both = PositionMemory(tmp_path, valkey, "remembered")
    assert both.recall() is None
    both.keep(FIRST)
    assert both.recall() == FIRST
    PositionMemory(tmp_path, None, "remembered").keep(LATER)
    assert both.recall() == LATER
    assert PositionMemory(tmp_path / "elsewhere", valkey, "remembered").recall() == FIRST
    with redis.Redis.from_url(valkey) as client:
        client.delete("remembered:position")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '["first", "many", null]', '["first", 1, "yesterday"]', "\0"])
def test_what_cannot_be_read_is_not_remembered(tmp_path: Path, text: str) -> None:
    (tmp_path / "position.json").write_text(text)
    assert PositionMemory(tmp_path, None, "").recall() is None


def test_without_a_folder_and_redis_nothing_fails_and_it_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = PositionMemory(tmp_path / "nowhere", "redis://127.0.0.1:9/0", "")
    lost.keep(FIRST)
    lost.keep(LATER)
    assert lost.recall() is None
    assert [record.getMessage().partition(": make /")[0] for record in caplog.records] == [
        "the stream's position cannot be stored"
    ]
