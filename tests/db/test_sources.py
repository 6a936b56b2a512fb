"""The choice of sources, their order, and the record of each, which all workers share."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import pytest
from django.test import Client as Browser
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from infra.clock import Clock
from prices import providers
from prices.domain.breaker import State
from prices.domain.provider_table import ProviderRow
from prices.domain.quota import Quota
from prices.domain.quotes import Metal, PriceKind, Quote
from prices.domain.sanity import Release
from prices.models import FallbackPrice, HeldPrice, LatestPrice, Premium, ProviderState
from prices.providers.errors import PermanentError, ProviderError, QuotaError, TemporaryError
from prices.providers.http import Client
from prices.publishing import ingest, snapshot
from prices.sources import registry
from streaming import publish
from tests.support.desk import Broadcasts
from tests.support.quotes import NOW
from tests.support.threads import at_once
from tests.support.world import MINUTE, PRICES, World, enter_fallbacks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]


def state(name: str) -> ProviderState:
    return ProviderState.objects.get(name=name)


# --- whose order ---------------------------------------------------------------------------------------------------


def test_at_first_the_order_is_the_deployments(world: World) -> None:
    assert world.refresh() == ["a"]
    assert [source.name for source in registry.in_order()] == ["a", "b", "c"]


def test_staff_order_the_sources_and_switch_them_off(world: World) -> None:
    registry.in_order()
    ProviderState.objects.filter(name="c").update(position=0)
    ProviderState.objects.filter(name="a").update(position=1)
    ProviderState.objects.filter(name="b").update(position=2, enabled=False)
    assert world.refresh() == ["c"]
    world.says["c"] = TemporaryError("is away")
    world.says["a"] = TemporaryError("is away")
    assert world.refresh() == ["c", "a"]


def test_an_order_that_is_deployed_anew_counts_for_more_than_staffs_before(world: World, settings: Settings) -> None:
    registry.in_order()
    ProviderState.objects.filter(name="c").update(position=0)
    ProviderState.objects.filter(name="a").update(position=2, enabled=False)
    assert [source.name for source in registry.in_order()] == ["c", "b", "a"]
    settings.PRICE_PROVIDERS = ["b", "a", "c"]
    assert [source.name for source in registry.in_order()] == ["b", "a", "c"]
    assert not state("a").enabled  # which is not the deployment's to say
    ProviderState.objects.filter(name="b").update(position=9)
    assert [source.name for source in registry.in_order()] == ["a", "c", "b"]


def test_a_source_that_the_deployment_no_longer_names_is_not_fetched(world: World, settings: Settings) -> None:
    world.refresh()
    settings.PRICE_PROVIDERS = ["b"]
    assert world.refresh() == ["b"]


def test_a_source_that_lacks_one_metal_does_not_lose_the_others(world: World) -> None:
    world.says["a"] = {Metal.GOLD: "13300"}
    assert world.refresh() == ["a", "b"]
    sources_shown = {latest.metal_id: latest.source for latest in LatestPrice.shown().filter(lane=PriceKind.LIVE)}
    assert sources_shown == {"gold": "a", "silver": "b", "platinum": "b", "palladium": "b"}
    assert state("a").last_error == "silver, platinum, palladium: is not in the answer"
    assert state("a").breaker.state(world.now) is State.CLOSED


# --- a source that froze -------------------------------------------------------------------------------------------


def test_where_a_source_froze_the_next_is_fetched_and_staff_see_why(world: World, log: Callable[[], list[str]]) -> None:
    world.refresh()
    world.froze_at["a"] = world.now
    world.says["b"] = PRICES | {Metal.GOLD: "13300"}
    assert [world.refresh() for _ in range(5)] == [["a"]] * 5
    assert world.refresh() == ["a", "b"]
    assert world.gold() == "13300 from b"
    assert (
        state("a").last_error
        == "gold, silver, platinum, palladium: gives a price of 2026-09-24T08:01:00Z, which is stale"
    )
    assert log() == [f"a gave no fresh price: {state('a').last_error}"]
    assert state("a").last_success_at == world.now - MINUTE


def test_a_frozen_price_is_shown_as_of_when_it_froze_where_nobody_has_a_fresh_one(
    world: World, settings: Settings
) -> None:
    world.froze_at = {"a": world.now - 90 * MINUTE, "b": world.now - 60 * MINUTE}
    world.says |= {"b": PRICES | {Metal.GOLD: "13300"}, "c": TemporaryError("is away")}
    world.refresh()
    assert world.gold() == "13300 from b"
    assert {latest.quoted_at for latest in LatestPrice.shown().filter(lane=PriceKind.LIVE)} == {world.froze_at["b"]}


def test_a_close_is_not_frozen_at_a_weekend(world: World) -> None:
    world.froze_at = dict.fromkeys("abc", dt.datetime(2026, 9, 25, 20, 59, tzinfo=dt.UTC))
    world.now = dt.datetime(2026, 9, 26, 12, tzinfo=dt.UTC)
    assert world.refresh() == ["a"]
    world.now = dt.datetime(2026, 9, 27, 22, 3, tzinfo=dt.UTC)  # three minutes after the opening
    assert world.refresh() == ["a"]
    assert world.refresh() == ["a", "b", "c"]


def test_a_frozen_source_does_not_contradict_a_jump(world: World, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["a", "b"]
    world.says["a"] = TemporaryError("is away")
    world.refresh()
    world.froze_at["b"] = world.now
    world.says["a"] = PRICES | {Metal.GOLD: "14500"}
    world.refresh(10)
    assert world.gold() == "13200 from b"
    world.refresh(10)
    assert world.gold() == "14500 from a"


# --- the breaker ---------------------------------------------------------------------------------------------------


def test_a_source_that_fails_three_times_in_a_row_is_left_alone(world: World, log: Callable[[], list[str]]) -> None:
    world.says["a"] = TemporaryError("is away")
    assert [world.refresh() for _ in range(3)] == [["a", "b"]] * 3
    assert world.refresh(0.5) == ["b"]
    assert [line for line in log() if "left alone" in line] == [
        f"a is left alone until {NOW + 4 * MINUTE:%H:%M:%SZ}, after 3 refreshes without a fresh price"
    ]


def test_a_source_that_is_well_again_when_it_is_tried_is_fetched_as_before(world: World) -> None:
    world.says["a"] = TemporaryError("is away")
    for _ in range(3):
        world.refresh()
    world.says["a"] = PRICES
    assert world.refresh() == ["a"]
    assert (state("a").failures, state("a").open_until) == (0, None)


def test_a_source_that_is_not_well_when_it_is_tried_is_left_alone_for_longer(world: World) -> None:
    world.says["a"] = TemporaryError("is away")
    for _ in range(3):
        world.refresh()
    assert world.refresh() == ["a", "b"]
    assert world.refresh() == ["b"]
    assert world.refresh() == ["a", "b"]


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_one_tries_a_source_again(world: World) -> None:
    world.says["a"] = TemporaryError("is away")
    for _ in range(3):
        world.refresh()
    later = world.now + MINUTE
    chosen = at_once(lambda worker: registry.sources_to_fetch(later), 4)
    assert sorted("a" in names for names in chosen) == [False] * 3 + [True]


def test_where_nobody_else_is_left_a_source_is_fetched_however_it_fails(world: World, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["a"]
    world.says["a"] = TemporaryError("is away")
    assert [world.refresh(0.1) for _ in range(6)] == [["a"]] * 6


def test_a_source_that_is_fetched_all_the_same_is_not_said_to_be_left_alone(
    world: World, settings: Settings, log: Callable[[], list[str]], desk: Browser
) -> None:
    settings.PRICE_PROVIDERS = ["a"]
    world.says["a"] = TemporaryError("is away")
    assert [world.refresh(0.1) for _ in range(6)] == [["a"]] * 6
    assert [line for line in log() if "is away" not in line] == [
        "a fails, and is fetched from all the same: too few other sources are left"
    ]
    assert "failing: no fresh price ever" in desk.get("/admin/prices/providerstate/").text
    said = desk.get("/api/v1/providers/").json()[0]
    assert (said["health"], said["healthInWords"]) == ("failing", "failing: no fresh price ever")


def test_when_the_last_source_fails_too_the_log_says_which_is_fetched_again(
    world: World, settings: Settings, log: Callable[[], list[str]]
) -> None:
    settings.PRICE_PROVIDERS = ["a", "b"]
    world.says["a"] = PermanentError("answers HTTP 401")
    assert [world.refresh(0.1), world.refresh(0.1)] == [["a", "b"], ["b"]]
    world.says["b"] = PermanentError("answers HTTP 403")
    assert [world.refresh(0.1), world.refresh(0.1)] == [["b"], ["a"]]
    opened = [f"{NOW + seconds * dt.timedelta(seconds=1):%H:%M:%SZ}" for seconds in (66, 78)]
    assert [line for line in log() if "answers" not in line] == [
        f"a is left alone until {opened[0]}, after 1 refresh without a fresh price",
        f"b is left alone until {opened[1]}, after 1 refresh without a fresh price",
        "a fails, and is fetched from all the same: too few other sources are left",
    ]


def test_where_too_few_are_left_to_agree_so_is_one_that_fails(world: World, settings: Settings) -> None:
    settings.PRICE_PROVIDERS, settings.CONSENSUS_SOURCES = ["a", "b"], 2
    world.says["b"] = TemporaryError("is away")
    assert [sorted(world.refresh(0.1)) for _ in range(6)] == [["a", "b"]] * 6
    world.says["b"] = PRICES
    world.refresh(0.1)
    assert world.gold() == "13200 from consensus"


def test_a_bad_key_is_not_tried_again_and_again(world: World) -> None:
    world.says["a"] = PermanentError("answers HTTP 401")
    assert world.refresh() == ["a", "b"]
    assert world.refresh(0.5) == ["b"]


def test_staff_may_reset_a_source(world: World) -> None:
    world.says["a"] = PermanentError("answers HTTP 401")
    world.refresh()
    registry.reset("a")
    assert world.refresh(0.1) == ["a", "b"]


# --- quotas --------------------------------------------------------------------------------------------------------


def test_a_quota_ends_before_the_providers(world: World, settings: Settings, log: Callable[[], list[str]]) -> None:
    settings.A_QUOTA = Quota(2, "month")
    assert [world.refresh() for _ in range(3)] == [["a"], ["a"], ["b"]]
    assert (state("a").calls, state("a").calls_left(world.now)) == (2, 0)
    assert log() == ["a is not fetched from before its quota of 2/month begins anew"]
    world.now = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
    assert world.refresh() == ["a"]
    assert (state("a").calls, state("a").calls_total) == (1, 3)


def test_a_provider_whose_quota_is_used_up_is_left_alone_at_once(world: World) -> None:
    world.says["a"] = QuotaError("says that its quota is used up")
    assert world.refresh() == ["a", "b"]
    assert world.refresh(0.5) == ["b"]


# --- a quarantined price -------------------------------------------------------------------------------------------


def test_for_a_price_that_is_quarantined_the_next_source_is_fetched_which_may_confirm_it(world: World) -> None:
    world.refresh()
    world.says["a"] = PRICES | {Metal.GOLD: "14500"}
    world.says["b"] = {Metal.GOLD: "14510"}
    assert world.refresh() == ["a", "b"]
    assert world.gold() == "14510 from b"
    assert HeldPrice.objects.get().decision == HeldPrice.Decision.CONFIRMED


def test_or_show_it_for_a_slip(world: World) -> None:
    world.refresh()
    world.says["a"] = PRICES | {Metal.GOLD: "132000"}
    assert world.refresh() == ["a", "b"]
    assert world.gold() == "13200 from b"


def test_a_slip_that_comes_again_and_again_is_logged_and_listed_once_a_day(
    world: World, log: Callable[[], list[str]]
) -> None:
    world.refresh()
    world.says["a"] = PRICES | {Metal.GOLD: "14500"}
    for _ in range(3):
        assert world.refresh() == ["a", "b"]
    assert world.gold() == "13200 from b"
    assert (state("a").disagreement, state("a").set_aside_total) == ("gold: +9.85 % from b", 3)
    quarantined = HeldPrice.objects.get()
    assert (quarantined.decision, quarantined.decided_by, quarantined.held_at) == (
        HeldPrice.Decision.SUPERSEDED,
        "b",
        NOW + 2 * MINUTE,
    )
    assert len(log()) == 1
    world.refresh(24 * 60)
    assert HeldPrice.objects.count() == 2


def test_a_slip_that_nobody_shows_for_one_any_more_is_confirmed_as_any_other(world: World) -> None:
    world.refresh()
    world.says["a"] = PRICES | {Metal.GOLD: "14500"}
    world.refresh()
    world.says |= dict.fromkeys("bc", TemporaryError("is away"))
    world.refresh()
    assert world.gold() == "13200 from b"
    world.refresh(9)  # b contradicted it ten minutes ago
    assert world.gold() == "13200 from b"
    world.refresh()
    assert world.gold() == "14500 from a"


# --- while a newer price waits, the shown one is stale -------------------------------------------------------------


def stale(world: World) -> list[str]:
    """The metals whose shown prices are stale."""
    current = snapshot.read()
    return [metal for metal, published in current.quotes.items() if current.is_stale(published, world.now)]


@pytest.fixture
def jumped(broadcasts: Broadcasts, world: World) -> World:
    """Gold is 13,200; a alone answers, and its next quote of gold is a jump."""
    world.refresh()
    world.says |= {"a": PRICES | {Metal.GOLD: "14500"}} | dict.fromkeys("bc", TemporaryError("is away"))
    world.refresh()
    return world


def test_the_shown_price_is_stale_from_the_next_refresh_on_while_a_newer_one_waits(
    jumped: World, broadcasts: Broadcasts
) -> None:
    assert (stale(jumped), broadcasts.reloads) == ([], 0)
    jumped.refresh()
    assert (stale(jumped), broadcasts.reloads) == (["gold"], 1)
    assert jumped.gold() == "13200 from a"
    jumped.refresh()
    assert broadcasts.reloads == 1  # web processes know


def test_it_is_stale_though_no_source_answers_any_more(jumped: World) -> None:
    jumped.says["a"] = TemporaryError("is away")
    jumped.refresh()
    assert stale(jumped) == ["gold"]


def test_it_stays_stale_while_the_source_jumps_about(jumped: World) -> None:
    jumped.refresh()
    for price in ("15500", "17000"):
        jumped.says["a"] = PRICES | {Metal.GOLD: price}
        jumped.refresh()
        assert stale(jumped) == ["gold"]


def test_it_is_not_stale_where_another_source_gives_it_again(world: World) -> None:
    world.refresh()
    world.says["a"] = PRICES | {Metal.GOLD: "14500"}
    for _ in range(3):
        world.refresh()
        assert (world.gold(), stale(world)) == ("13200 from b", [])


@pytest.mark.parametrize("price", ["13200", "13210"])
def test_it_is_fresh_again_as_soon_as_a_source_gives_it_again(
    jumped: World,
    broadcasts: Broadcasts,
    price: str,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    jumped.refresh()
    jumped.says["a"] = PRICES | {Metal.GOLD: price}
    with django_capture_on_commit_callbacks(execute=True):
        jumped.refresh()
    assert (stale(jumped), broadcasts.reloads) == ([], 2)


@pytest.mark.parametrize(("approve", "shown"), [(True, "14500 from a"), (False, "13200 from a")])
def test_it_is_fresh_again_once_staff_have_decided(
    jumped: World,
    broadcasts: Broadcasts,
    approve: bool,
    shown: str,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    jumped.refresh()
    with django_capture_on_commit_callbacks(execute=True):
        ingest.decide(HeldPrice.objects.get().pk, approve=approve, by="asha", now=jumped.now)
    assert (jumped.gold(), stale(jumped)) == (shown, [])
    assert broadcasts.reloads == 1 + (not approve)  # an approved price is a publication


@pytest.mark.parametrize(("minutes", "marked"), [(-30, ["gold"]), (0, [])])
def test_a_fallback_is_stale_unless_staff_dated_it_later_than_the_price_that_waits(
    jumped: World, settings: Settings, minutes: int, marked: list[str]
) -> None:
    settings.FRESHNESS_LIMIT = 24 * 60 * MINUTE
    settings.QUARANTINE_RELEASE = Release.STAFF
    jumped.refresh(60)
    FallbackPrice.objects.filter(metal="gold").update(price=13900, as_of=jumped.now + minutes * MINUTE, example=False)
    HeldPrice.objects.update(quoted_at=jumped.now - 10 * MINUTE)
    ingest.fall_back_where_due(now=jumped.now)
    assert (jumped.gold(), stale(jumped)) == ("13900 from fallback", marked)


def test_a_premium_makes_no_contested_price_fresh(jumped: World, broadcasts: Broadcasts) -> None:
    jumped.refresh()
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=jumped.now)
    ingest.apply_premiums(now=jumped.now)
    assert (jumped.gold(), stale(jumped)) == ("13992 from a", ["gold"])


def test_with_one_source_a_jump_goes_out_when_it_is_still_said_after_the_wait(world: World, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["a"]
    world.refresh()
    world.says["a"] = PRICES | {Metal.GOLD: "14500"}
    world.refresh()
    world.refresh(9)
    assert world.gold() == "13200 from a"
    world.refresh()
    assert world.gold() == "14500 from a"


def test_a_source_that_went_mad_is_fallen_back_from(world: World, settings: Settings) -> None:
    enter_fallbacks()
    settings.PRICE_PROVIDERS = ["a"]
    settings.FALLBACK_AFTER = 10 * MINUTE
    world.refresh()
    world.says["a"] = PRICES | {Metal.GOLD: "411000"}
    for _ in range(9):
        world.refresh()
    assert world.gold() == "13200 from a"
    world.refresh()
    assert world.gold() == "9223 from fallback"


# --- a source that hangs --------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("together", [0, 2], ids=["one after the other", "side by side"])
@pytest.mark.parametrize("hanging", ["a source", "one metal of a source"])
def test_good_prices_are_out_at_once_though_something_hangs(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch, together: int, hanging: str
) -> None:
    """Four metals, three sources, within the budget."""
    settings.CONSENSUS_SOURCES = together
    settings.PROVIDER_BUDGET = dt.timedelta(seconds=3)
    answered: list[float] = []
    out: list[float] = []
    monkeypatch.setattr(publish, "publication", lambda publication: out.append(time.monotonic()))

    def source(name: str) -> providers.Provider:
        well = world.source(name).fetch

        def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> Mapping[Metal, Quote | ProviderError]:
            if name == "a" and (hanging == "a source" or metals == (Metal.GOLD,)):
                threading.Event().wait(client.deadline - time.monotonic())
                raise TemporaryError("no answer in time")
            said = well(metals, client=client, clock=clock)
            answered.append(time.monotonic())
            return said

        return providers.Provider(name=name, fetch=fetch, brings_all=name != "a")

    monkeypatch.setattr("prices.sources.failover.PROVIDERS", {name: source(name) for name in "abc"})
    began = time.monotonic()
    world.refresh()
    assert time.monotonic() - began < 3 + 1
    assert LatestPrice.shown().filter(lane=PriceKind.LIVE).count() == 4
    for at in answered[0], answered[-1]:
        assert any(0 <= published - at < 2 for published in out)


# --- premiums ------------------------------------------------------------------------------------------------------


def test_a_premium_takes_effect_when_its_time_has_come_though_no_source_answers(world: World) -> None:
    world.refresh()
    Premium.objects.create(metal_id="gold", multiplier=2, effective_from=world.now + 2 * MINUTE)
    world.says = dict.fromkeys("abc", TemporaryError("is away"))
    world.refresh()
    assert world.gold() == "13200 from a"
    world.refresh()
    assert world.gold() == "26400 from a"


# --- consensus -----------------------------------------------------------------------------------------------------


@pytest.fixture
def consensus(world: World, settings: Settings) -> World:
    settings.CONSENSUS_SOURCES = 2
    return world


def test_a_source_that_holds_duty_already_is_compared_at_spot(
    consensus: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prices.premiums.PROVIDER_TABLE", {"b": ProviderRow("b", "", includes_premium=True)})
    consensus.says |= {"b": {Metal.GOLD: "14520"}, "c": TemporaryError("is away")}
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.1"), effective_from=consensus.now)
    consensus.refresh()
    assert consensus.gold() == "14520 from consensus"
    assert not ProviderState.objects.filter(set_aside_total__gt=0).exists()


def test_the_median_of_all_sources_goes_out(consensus: World) -> None:
    consensus.says |= {"b": PRICES | {Metal.GOLD: "13210"}, "c": PRICES | {Metal.GOLD: "13260"}}
    assert sorted(consensus.refresh()) == ["a", "b", "c"]
    assert consensus.gold() == "13210 from consensus"


def test_a_source_that_disagrees_is_excluded_and_shown(consensus: World, log: Callable[[], list[str]]) -> None:
    consensus.says["b"] = PRICES | {Metal.GOLD: "1320"}
    consensus.refresh()
    assert consensus.gold() == "13200 from consensus"
    assert state("b").disagreement == "gold: -90.00 % from the median of 3"
    assert (state("b").set_aside_total, state("a").set_aside_total) == (1, 0)
    assert log() == ["b is excluded for gold: -90.00 % from the median of 3"]


def test_sources_that_died_while_their_time_goes_on_outvote_nobody(
    consensus: World, log: Callable[[], list[str]], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prices.sources.failover.PROVIDERS", {name: consensus.source(name) for name in "abcd"})
    consensus.refresh()
    consensus.refresh(29)
    assert log() == []
    consensus.says["c"] = PRICES | {Metal.GOLD: "13210"}  # it alone is alive, and near enough still
    consensus.refresh(1)
    assert [line for line in log() if "gold" in line] == [
        f"{name} gives gold the same price for 30 min, while its time moves" for name in "ab"
    ]
    assert consensus.gold() == "13200 from consensus"
    consensus.says["c"] = PRICES | {Metal.GOLD: "13600"}
    consensus.refresh(1)
    assert consensus.gold() == "13200 from consensus"
    assert {price.doubt for price in HeldPrice.pending()} == {"agreement"}  # screens turn stale, and staff decide
    settings.PRICE_PROVIDERS = ["a", "b", "c", "d"]
    consensus.says["d"] = PRICES | {Metal.GOLD: "13610"}
    consensus.refresh(1)
    assert consensus.gold() == "13605 from consensus"
    assert state("a").disagreement == "gold: stands still, -2.98 % from the median of 2"
    assert (state("a").set_aside_total, state("c").set_aside_total) == (2, 0)
    consensus.says |= dict.fromkeys("ab", PRICES | {Metal.GOLD: "13600"})  # they are back
    consensus.refresh(1)
    assert state("a").set_aside_total == 2


def test_staff_may_tolerate_more_of_one_source(consensus: World, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["a", "b"]
    consensus.says["b"] = PRICES | {Metal.GOLD: "13500"}
    consensus.refresh()
    assert consensus.gold() == "9223 from fallback"
    ProviderState.objects.update(tolerance_percent=2)
    consensus.refresh()
    assert consensus.gold() == "13350 from consensus"


def test_a_source_that_is_stale_does_not_count(consensus: World) -> None:
    consensus.froze_at = dict.fromkeys("bc", consensus.now - 60 * MINUTE)
    consensus.says |= dict.fromkeys("bc", PRICES | {Metal.GOLD: "13300"})
    consensus.refresh()
    assert consensus.gold() == "9223 from fallback"
    assert state("b").last_error.endswith(": gives a price of 2026-09-24T07:00:00Z, which is stale")


def test_where_too_few_agree_the_price_stays_and_staff_see_why(consensus: World) -> None:
    consensus.refresh()
    consensus.says |= {"a": PRICES | {Metal.GOLD: "14000"}, "b": TemporaryError("is away")}
    consensus.refresh()
    assert consensus.gold() == "13200 from consensus"
    assert {price.words for price in HeldPrice.objects.all()} == {
        "fewer than 2 fresh sources agree: a 14,000.0000, c 13,200.0000"
    }


def test_sources_that_agree_have_confirmed_a_jump(consensus: World) -> None:
    consensus.refresh()
    consensus.says = dict.fromkeys("abc", PRICES | {Metal.GOLD: "14500"})
    consensus.refresh()
    assert consensus.gold() == "14500 from consensus"


def test_sources_that_agree_on_what_cannot_be_are_not_believed(consensus: World) -> None:
    consensus.refresh()
    consensus.says = dict.fromkeys("abc", PRICES | {Metal.GOLD: "411000"})
    consensus.refresh()
    assert consensus.gold() == "13200 from consensus"
