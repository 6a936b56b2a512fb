"""The wall clock is put back, or forward and back again: everything goes on."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from email.utils import format_datetime

import pytest
from django.core.management import CommandError, call_command
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import ModelEntry
from pytest_django import Settings

from prices import clock_watch, schedule
from prices.domain.provider_table import ARCHIVE_TABLE
from prices.domain.quota import Quota
from prices.domain.quotes import Metal
from prices.history import backfill, retention
from prices.models import FallbackPrice, HeldPrice, LatestPrice, Price, ProviderState, SilentDay
from prices.providers.errors import TemporaryError
from prices.providers.http import _retry_after
from prices.publishing import confirmations, ingest
from prices.sources import registry
from swarna.celery import app as celery_app
from swarna.scheduler import Scheduler
from tests.support import fake_clock
from tests.support.fake_clock import FakeClock
from tests.support.quotes import NOW, quote
from tests.support.world import PRICES, World, enter_fallbacks, forget_prices

pytestmark = pytest.mark.django_db

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
# A real-time clock in local time that is read as UTC.
RTC = 5.5 * HOUR
STEPS = [-40 * SECOND, -HOUR, RTC, -RTC]
CLOSED = dt.datetime(2026, 9, 26, 8, 0, tzinfo=dt.UTC)  # a Saturday


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    yield from fake_clock.run(NOW, monkeypatch)


# --- beat ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks that beat has sent."""
    sent: list[str] = []

    def send(beat: Scheduler, entry: ModelEntry, producer: None) -> None:
        sent.append(entry.name)
        beat.sync()  # CELERY_BEAT_SYNC_EVERY is 1

    monkeypatch.setattr("swarna.scheduler.close_old_connections", lambda: None)  # the test's own is old by then
    monkeypatch.setattr(Scheduler, "producer", None)
    monkeypatch.setattr(Scheduler, "apply_entry", send)
    schedule.set_interval(MINUTE)
    return sent


def started() -> Scheduler:
    """A beat that has just been started."""
    beat = Scheduler(app=celery_app)
    beat._finalize.cancel()  # what it does when the process ends, which is the test's
    return beat


def goes_on(beat: Scheduler, clock: FakeClock, span: dt.timedelta) -> None:
    """Let beat do its work for so long, without keeping a test waiting."""
    end = clock.steady + span.total_seconds()
    while clock.steady < end:
        clock.goes_on(min(beat.tick(), 5.0) * SECOND or SECOND / 100)


@pytest.mark.parametrize("step", STEPS)
def test_beat_goes_on_in_its_rhythm_when_its_clock_steps(clock: FakeClock, sent: list[str], step: dt.timedelta) -> None:
    beat = started()
    goes_on(beat, clock, 3 * MINUTE)
    assert 3 <= sent.count(schedule.TASK_NAME) <= 4
    clock.is_put(step)
    sent.clear()
    goes_on(beat, clock, 3 * MINUTE)
    assert 2 <= sent.count(schedule.TASK_NAME) <= 4


def test_beat_goes_on_when_it_is_started_after_its_clock_was_put_back(clock: FakeClock, sent: list[str]) -> None:
    clock.is_put(RTC)
    goes_on(started(), clock, MINUTE)
    clock.is_put(-RTC)
    sent.clear()
    goes_on(started(), clock, 3 * MINUTE)
    assert 2 <= sent.count(schedule.TASK_NAME) <= 4


def test_beat_sees_that_staff_changed_the_schedule_by_a_clock_that_was_put_back(
    clock: FakeClock, sent: list[str]
) -> None:
    beat = started()
    goes_on(beat, clock, MINUTE)
    before = beat.schedule[schedule.TASK_NAME].schedule
    clock.now -= HOUR  # on another machine
    clock.is_put(dt.timedelta(0))
    schedule.set_interval(10 * SECOND)
    clock.is_put(HOUR)
    assert beat.schedule[schedule.TASK_NAME].schedule != before


def test_no_message_expires_by_the_clock_of_another_machine(clock: FakeClock) -> None:
    schedule.apply_deployment()
    PeriodicTask.objects.update(expire_seconds=1)  # as an older version wrote them
    assert all("expires" not in Scheduler.Entry(task, app=celery_app).options for task in PeriodicTask.objects.all())


# --- when to fetch, and when to fall back ----------------------------------------------------------------------------


def on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this is another machine, or the same one started again."""
    monkeypatch.setattr("infra.clock._MACHINE", f"another {uuid.uuid4()}")


class Shop:
    """Refreshes by a fake clock."""

    def __init__(self, clock: FakeClock, world: World) -> None:
        self.clock = clock
        self.world = world

    def refresh(self) -> list[str]:
        """Refresh now. Returns the sources that were called."""
        self.world.now = self.clock.now
        return self.world.refresh(0)

    def says_nothing(self) -> None:
        """No source answers from now on."""
        self.world.says = dict.fromkeys("abc", TemporaryError("answers with 500"))

    @property
    def gold(self) -> str:
        return self.world.gold()


@pytest.fixture
def shop(clock: FakeClock, world: World, seeded: None, settings: Settings) -> Shop:
    """Sources that answer, as of now; prices have gone out, and the market is open."""
    forget_prices()
    enter_fallbacks()
    settings.PRICE_UPDATE_INTERVAL, settings.FALLBACK_AFTER = MINUTE, HOUR
    shop = Shop(clock, world)
    shop.refresh()
    assert shop.gold == "13200 from a"
    return shop


@pytest.mark.parametrize("step", STEPS)
def test_prices_go_out_when_the_clock_has_stepped(shop: Shop, clock: FakeClock, step: dt.timedelta) -> None:
    clock.is_put(step)
    shop.world.says["a"] = dict.fromkeys(PRICES, "13300")
    clock.goes_on(MINUTE)
    shop.refresh()
    assert shop.gold == "13300 from a"


def test_prices_go_out_when_the_clock_was_put_forward_and_back(shop: Shop, clock: FakeClock) -> None:
    clock.is_put(RTC)
    shop.refresh()
    clock.is_put(-RTC)
    for price in ("13300", "13400"):
        shop.world.says["a"] = dict.fromkeys(PRICES, price)
        clock.goes_on(MINUTE)
        shop.refresh()
        assert shop.gold == f"{price} from a"
        assert LatestPrice.live("gold", "INR").at == clock.now  # type: ignore[union-attr]  # there is one


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_metal_is_fetched_though_it_seems_to_have_been_confirmed_in_the_future(
    shop: Shop, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    clock.goes_on(CLOSED - clock.now)
    clock.is_put(RTC)
    assert shop.refresh() == ["a"]
    clock.is_put(-RTC)
    if elsewhere:
        on_another_machine(monkeypatch)
    clock.goes_on(MINUTE)
    assert shop.refresh() == (["a"] if elsewhere else [])  # on its own machine it is known when that was
    clock.goes_on(20 * MINUTE)
    assert shop.refresh() == ["a"]
    clock.goes_on(MINUTE)
    assert shop.refresh() == []


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_clock_that_jumps_ahead_brings_no_fallback_by_itself(
    shop: Shop, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    if elsewhere:
        on_another_machine(monkeypatch)
    shop.says_nothing()
    clock.goes_on(MINUTE)
    shop.refresh()
    clock.is_put(RTC)
    for _ in range(58):
        clock.goes_on(MINUTE)
        shop.refresh()
    assert shop.gold == "13200 from a"
    clock.goes_on(2 * MINUTE)
    shop.refresh()
    assert shop.gold == "9223 from fallback"


def test_a_clock_that_is_put_back_keeps_no_fallback_away(shop: Shop, clock: FakeClock) -> None:
    shop.says_nothing()
    clock.goes_on(50 * MINUTE)
    shop.refresh()
    clock.is_put(-RTC)
    clock.goes_on(10 * MINUTE)
    shop.refresh()
    assert shop.gold == "9223 from fallback"


def test_an_outage_that_a_worker_was_started_again_in_brings_the_fallback_in_time(shop: Shop, clock: FakeClock) -> None:
    shop.says_nothing()
    clock.goes_on(50 * MINUTE)
    shop.refresh()
    confirmations._seen.clear()  # as in a process that has just been started
    clock.goes_on(10 * MINUTE)
    shop.refresh()
    assert shop.gold == "9223 from fallback"


def test_an_edited_fallback_is_shown_at_once_where_another_machine_showed_the_last_one(
    shop: Shop, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.says_nothing()
    clock.goes_on(HOUR)
    shop.refresh()
    on_another_machine(monkeypatch)
    FallbackPrice.objects.filter(metal="gold").update(price=9300)
    ingest.fall_back_where_due(now=clock.now)
    assert shop.gold == "9300 from fallback"


# --- whether prices are being refreshed ------------------------------------------------------------------------------


def says_healthy() -> bool:
    """Return True if `manage.py healthy refreshes` exits with 0."""
    try:
        call_command("healthy", "refreshes")
    except CommandError:
        return False
    return True


@pytest.mark.parametrize("step", STEPS)
def test_refreshes_are_healthy_while_slots_move_and_no_longer_whatever_the_clock_says(
    clock: FakeClock, step: dt.timedelta
) -> None:
    schedule.set_interval(MINUTE)
    assert schedule.claim(clock.now)
    clock.is_put(step)
    assert says_healthy()
    clock.goes_on(3 * MINUTE - SECOND)
    assert says_healthy()
    clock.goes_on(SECOND)
    assert not says_healthy()
    clock.is_put(-step)
    assert not says_healthy()
    assert schedule.claim(clock.now)
    assert says_healthy()


def test_a_slot_that_another_machine_claimed_in_the_future_does_not_make_refreshes_healthy(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule.set_interval(MINUTE)
    clock.is_put(RTC)
    schedule.claim(clock.now)
    on_another_machine(monkeypatch)
    assert says_healthy()
    clock.is_put(-RTC)
    assert not says_healthy()
    assert schedule.claim(clock.now)
    assert says_healthy()


def test_when_another_machine_claimed_a_slot_the_databases_clock_says_where_it_has_one(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = clock.now
    monkeypatch.setattr(clock_watch, "database_time", lambda: theirs)
    monkeypatch.setattr(clock_watch, "watch", clock_watch.ClockWatch(lambda: theirs))
    schedule.set_interval(MINUTE)
    clock.is_put(RTC)
    schedule.claim(clock.now)
    on_another_machine(monkeypatch)
    for step in STEPS:
        clock.is_put(step)
        assert says_healthy()
        clock.is_put(-step)
    theirs += 3 * MINUTE
    assert not says_healthy()


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_source_that_a_clock_which_was_ahead_left_alone_is_fetched_from_again(shop: Shop, clock: FakeClock) -> None:
    clock.is_put(RTC)
    shop.world.says["a"] = TemporaryError("answers with 500")
    for _ in range(5):
        clock.goes_on(MINUTE)
        shop.refresh()
    assert ProviderState.objects.get(name="a").open_until is not None
    shop.world.says["a"] = PRICES
    clock.is_put(-RTC)
    clock.goes_on(MINUTE)
    assert shop.refresh() == ["a"]


def test_a_source_that_requested_a_rest_of_a_clock_that_was_ahead_is_fetched_again(
    shop: Shop, clock: FakeClock
) -> None:
    clock.is_put(RTC)
    shop.world.says["a"] = TemporaryError("answers with 429", retry_after=5 * MINUTE)
    shop.refresh()
    assert shop.refresh() == ["b"]
    shop.world.says["a"] = PRICES
    clock.is_put(-RTC)
    assert shop.refresh() == ["a"]


def test_a_rest_is_as_long_as_the_source_says_by_its_own_clock(clock: FakeClock) -> None:
    for step in STEPS:
        rest = format_datetime(clock.now + 5 * MINUTE, usegmt=True)
        answered = format_datetime(clock.now, usegmt=True)
        clock.is_put(step)
        assert _retry_after({"Retry-After": rest, "Date": answered}) == 5 * MINUTE
        clock.is_put(-step)


@pytest.mark.parametrize("quota", ["100/day", "100/month"])
def test_what_was_called_in_a_period_that_has_not_begun_counts_in_this_one(
    clock: FakeClock, settings: Settings, quota: str
) -> None:
    settings.A_QUOTA = Quota.parse(quota)
    clock.is_put(dt.datetime(2026, 9, 30, 20, tzinfo=dt.UTC) - clock.now)
    registry.count_calls("a", 30, clock.now, None)
    clock.is_put(RTC)  # into October
    registry.count_calls("a", 20, clock.now, None)
    clock.is_put(-RTC)
    reservation = registry.reserve("a", 5, clock.now)
    registry.count_calls("a", 3, clock.now, reservation)
    assert ProviderState.objects.get(name="a").calls_left(clock.now) == 77
    clock.goes_on(RTC)
    registry.count_calls("a", 1, clock.now, None)
    assert ProviderState.objects.get(name="a").calls_left(clock.now) == 76
    clock.is_put(-dt.timedelta(days=70))  # so far ahead no clock was that is to be believed
    assert ProviderState.objects.get(name="a").calls_left(clock.now) == 100


def test_what_staff_rejected_in_the_future_is_remembered_for_a_day_from_now(shop: Shop, clock: FakeClock) -> None:
    clock.is_put(RTC)
    shop.says_nothing()
    shop.world.says["a"] = PRICES | {Metal.GOLD: "20000"}
    shop.refresh()
    for row in HeldPrice.pending():
        ingest.decide(row.pk, approve=False, by="asha", now=clock.now)
    clock.is_put(-RTC)
    clock.goes_on(MINUTE)
    shop.refresh()
    assert shop.gold == "13200 from a"
    assert {row.decided_at for row in HeldPrice.objects.filter(decision="rejected")} == {clock.now}


def test_a_day_that_a_clock_which_was_ahead_took_for_long_over_is_fetched_again(seeded: None) -> None:
    archive = next(iter(ARCHIVE_TABLE.values()))
    today = NOW.date()
    for days in (1, 30):
        date = today - dt.timedelta(days=days)
        SilentDay.objects.create(archive=archive.name, metal="gold", currency="INR", date=date)
        left_out = backfill.leave_out_no_data(archive, {date: {Metal.GOLD}}, now=NOW)
        assert left_out == (days == 30)


@pytest.mark.django_db(transaction=True)  # in which alone a month can be dropped
def test_a_clock_that_is_years_ahead_deletes_no_tick(
    either_database: None, settings: Settings, clock: FakeClock, log: Callable[[], list[str]]
) -> None:
    settings.TICKS_KEPT_FOR = dt.timedelta(days=25)
    for days in (60, 24, 0):  # each in another month
        at = NOW - dt.timedelta(days=days)
        ingest.record([quote("gold", str(13200 + days), at=at)], now=at)
    live = Price.objects.exclude(source="fallback")
    assert live.count() == 3
    said = len(log())
    retention.keep_history(now=NOW)
    assert live.count() == 2
    retention.keep_history(now=NOW + dt.timedelta(days=800))
    assert live.count() == 1  # a week later it would have been gone
    assert log()[said:] == [
        "no source has quoted since 2026-09-24 08:00Z: is this machine's clock ahead? "
        "Ticks are deleted as of a week after that"
    ]
