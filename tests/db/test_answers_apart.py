"""Refreshes in which sources answer one after another, or late: the publications, and the shown prices.

Sources a to d; a round of answers comes once all answers before it have been processed.
"""

import datetime as dt
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser
from pytest_django import Settings

from infra.clock import Clock
from prices import providers
from prices.domain.consensus import decision
from prices.domain.quotes import SIMULATED, Members, Metal, PriceKind, Quote
from prices.domain.sanity import Release
from prices.domain.units import rounded
from prices.models import Candle, Head, HeldPrice, LatestPrice, Premium, Price, ProviderState, SignificantChange
from prices.providers.errors import ProviderError, TemporaryError
from prices.providers.http import Client
from prices.publishing import ingest, snapshot
from prices.sources import failover
from streaming.publication_log import Quoted
from tests.support.quotes import NOW, quote
from tests.support.world import MINUTE, PRICES, World

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]

SPOT = Decimal("9223.3162")
SECOND = dt.timedelta(seconds=1)
AWAY = TemporaryError("is away")
PENDING, CONFIRMED, *_ = HeldPrice.Decision


def times(factor: str) -> str:
    """The issue's price of gold by a factor, as it is published."""
    return str(rounded(SPOT * Decimal(factor)))


class Rounds(World):
    """Sources that say gold is so many times `SPOT`, in rounds, each so far behind the clock."""

    def __init__(self, now: dt.datetime, names: str) -> None:
        super().__init__(now)
        self.names = names
        self.rounds: Sequence[str] = [names]
        self.behind: dict[str, dt.timedelta] = {}
        self.between: Callable[[], object] = lambda: None
        self._may_answer: dict[str, threading.Event] = {}

    def say(self, **factors: str | ProviderError) -> None:
        """From now on each source gives this many times `SPOT`, or fails."""
        for name, factor in factors.items():
            self.says[name] = factor if isinstance(factor, ProviderError) else {Metal.GOLD: times(factor)}

    def source(self, name: str) -> providers.Provider:
        well = super().source(name).fetch

        def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> Mapping[Metal, Quote | ProviderError]:
            assert self._may_answer[name].wait(10)
            return well(metals, client=client, clock=clock)

        return providers.Provider(name=name, fetch=fetch, brings_all=True)

    def side_by_side(self, names: Sequence[str], metals: Sequence[Metal], terms: failover.Terms) -> Iterator[Any]:
        """The chain's own, whose sources answer in `rounds`; `between` is called when the first was dealt with."""
        rounds = [set(each) & set(names) for each in self.rounds]
        may_answer = self._may_answer = {name: threading.Event() for name in names}
        answered: set[str] = set()
        outcomes = _SIDE_BY_SIDE(names, metals, terms)
        for number, each in enumerate(filter(None, rounds)):
            for name in each:
                may_answer[name].set()
            while not each <= answered:
                came = next(outcomes)
                answered |= {outcome.source for outcome in came if outcome.is_over}
                yield came
            if number == 0:
                between, self.between = self.between, lambda: None
                between()
                self._may_answer = may_answer
        yield from outcomes

    def refresh(self, minutes: float = 1, *rounds: str) -> list[str]:
        """A refresh after so many minutes in which sources answer in these rounds, all in one where none are given."""
        self.rounds = rounds or [self.names]
        for name, behind in self.behind.items():
            self.froze_at[name] = self.now + minutes * MINUTE - behind
        return super().refresh(minutes)

    def out(self) -> list[str]:
        """Every price of gold that went out from any source, oldest first."""
        return [str(price.price) for price in Price.objects.filter(metal="gold", seq__gt=1).order_by("seq")]

    def live(self) -> LatestPrice:
        """Where gold's live prices stand."""
        return LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)


_SIDE_BY_SIDE = failover.side_by_side


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Callable[[str], Rounds]:
    """A world of these sources, two of which have to agree."""

    def begin(names: str) -> Rounds:
        world = Rounds(NOW, names)
        monkeypatch.setattr("prices.sources.failover.PROVIDERS", {name: world.source(name) for name in names})
        monkeypatch.setattr("prices.sources.failover._GATHER", 0)
        monkeypatch.setattr(failover, "side_by_side", world.side_by_side)
        settings.PRICE_PROVIDERS, settings.CONSENSUS_SOURCES = list(names), 2
        world.say(**dict.fromkeys(names, "1"))
        return world

    return begin


@pytest.fixture
def four(rounds: Callable[[str], Rounds]) -> Rounds:
    """Four sources that have agreed on `SPOT`."""
    world = rounds("abcd")
    world.refresh()
    assert world.out() == [times("1")]
    return world


@pytest.fixture
def three(rounds: Callable[[str], Rounds]) -> Rounds:
    """Three."""
    world = rounds("abc")
    world.refresh()
    return world


@pytest.fixture
def two(rounds: Callable[[str], Rounds]) -> Rounds:
    """Two."""
    world = rounds("ab")
    world.refresh()
    return world


def quarantined() -> list[tuple[str, str]]:
    """The sources with pending prices, and these as multiples of `SPOT`."""
    waiting = HeldPrice.pending().filter(metal="gold").order_by("source")
    return [(each.source, f"{each.price / SPOT:.2f}") for each in waiting]


def day() -> list[str]:
    """The open, high, low and close of gold's only day, of which the screens and the candle say the same."""
    candle = Candle.objects.get(metal="gold", interval="1d", lane=PriceKind.LIVE)
    shown = LatestPrice.objects.get(metal="gold", lane=PriceKind.LIVE)
    assert (shown.open, shown.high, shown.low, shown.price) == (candle.open, candle.high, candle.low, candle.close)
    return [str(amount) for amount in (candle.open, candle.high, candle.low, candle.close)]


# --- who answers first ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", ["1.4", "1.03"])
@pytest.mark.parametrize("order", [["ab", "cd"], ["cd", "ab"], ["a", "b", "c", "d"], ["ac", "bd"], ["abcd"]], ids=str)
def test_nothing_goes_out_where_two_sources_say_one_thing_and_two_another_whichever_is_first(
    four: Rounds, factor: str, order: list[str]
) -> None:
    four.say(a=factor, b=factor)
    four.refresh(1, *order)
    assert four.out() == [times("1")]
    assert not SignificantChange.objects.exists()
    assert [source for source, _ in quarantined()] == ["a", "b", "c", "d"]


ORDERS = [[*order] for order in itertools.permutations("abcd")]


@pytest.mark.parametrize("order", ORDERS, ids="".join)
def test_in_whatever_order_sources_answer_the_price_is_that_of_all_and_none_goes_out_that_is_off_it(
    four: Rounds, order: list[str]
) -> None:
    four.say(a="1.0095", b="1", c=".995", d=".994")
    four.refresh(1, *order)
    assert four.out()[-1] == times(".995")
    assert all(abs(Decimal(price) / Decimal(times(".995")) - 1) < Decimal("0.01") for price in four.out())
    assert ProviderState.objects.get(name="a").set_aside_total == 1


def test_what_all_say_takes_the_place_of_what_went_out_before_and_leaves_no_mark_on_the_day(three: Rounds) -> None:
    three.say(a="1.0095", b="1.001", c="1")
    three.refresh(1, "ab", "c")
    assert three.out() == [times("1"), times("1.00525"), times("1.001")]
    assert day() == [times(each) for each in ("1", "1.001", "1", "1.001")]


def test_what_was_out_before_a_refresh_stays_in_the_day_where_some_say_it_again_and_all_do_not(three: Rounds) -> None:
    three.froze_at = dict.fromkeys("ab", three.now)
    three.say(a=".998", b="1", c=AWAY)
    three.refresh()
    three.say(c="1.004")
    three.refresh(1, "ab", "c")
    assert three.out() == [times("1"), times(".999"), times("1")]
    assert day() == [times(each) for each in ("1", "1", ".999", "1")]


def test_a_price_waits_for_no_source_that_cannot_overturn_it(three: Rounds) -> None:
    three.say(a="1.002", b="1.002", c="1.4")
    seen: list[str] = []
    three.between = lambda: seen.extend(three.out())
    three.refresh(1, "ab", "c")
    assert seen == three.out() == [times("1"), times("1.002")]


def test_a_metal_waits_for_no_other_metal(rounds: Callable[[str], Rounds], monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is called for each metal by itself may answer for gold, and not at all for silver."""
    world, silver = rounds("ab"), threading.Event()

    def source(name: str) -> providers.Provider:
        def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> Mapping[Metal, Quote]:
            (metal,) = metals
            if metal is Metal.SILVER:
                assert silver.wait(10)
            return {metal: quote(metal, PRICES[metal], source=name, at=world.now)}

        return providers.Provider(name=name, fetch=fetch)

    def told(*args: Any) -> Iterator[Any]:
        for outcomes in _SIDE_BY_SIDE(*args):
            yield outcomes
            if world.out():
                silver.set()

    monkeypatch.setattr("prices.sources.failover.PROVIDERS", {name: source(name) for name in "ab"})
    monkeypatch.setattr(failover, "side_by_side", told)
    world.refresh()
    assert LatestPrice.objects.filter(lane=PriceKind.LIVE).count() == 4


def test_a_source_that_fails_is_waited_for_no_longer(four: Rounds) -> None:
    four.say(a="1.002", b="1.002", c=AWAY, d="1.4")
    seen: list[list[str]] = []
    four.between = lambda: seen.append(four.out())
    four.refresh(1, "ab", "c", "d")
    assert seen == [[times("1")]]
    assert four.out() == [times("1"), times("1.002")]


# --- who agrees ----------------------------------------------------------------------------------------------------


def told() -> list[tuple[int, float]]:
    """How many agreed on each price of gold that went out after the first publication, and how closely in percent."""
    out = Price.objects.filter(metal="gold", seq__gt=1).order_by("seq")
    return [(members.count, float(members.dispersion_percent)) for price in out if (members := price.quote().members)]


def test_screens_and_rest_say_who_agrees_also_after_a_restart(three: Rounds, client: Browser) -> None:
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=three.now)
    three.say(a="1.002", b="1.001", c="1.4")
    three.refresh()
    seen = snapshot.read().quotes[Metal.GOLD]  # what a web process that starts now knows
    assert Quoted.of(seen).published(Metal.GOLD).quote.members == seen.quote.members == Members(2, Decimal("0.05"))
    rest = client.get("/api/v1/prices/gold/?unit=10gram").json()
    assert (rest["source"], rest["contributors"], rest["dispersionPercent"]) == ("consensus", 2, 0.05)


def test_one_sources_price_has_no_members(three: Rounds, client: Browser, settings: Settings) -> None:
    settings.CONSENSUS_SOURCES = 0
    three.refresh()
    assert {"contributors", "dispersionPercent", "bid"}.isdisjoint(client.get("/api/v1/prices/gold/").json())


def test_more_or_fewer_sources_on_the_same_price_are_told_once_and_only_when_all_have_answered(
    rounds: Callable[[str], Rounds],
) -> None:
    three = rounds("abc")
    three.froze_at = dict.fromkeys("abc", three.now)
    three.refresh(1, "ab", "c")
    assert told() == [(2, 0)]  # one more in the same refresh is no second publication of the same price
    for _ in range(2):
        three.refresh(1, "ab", "c")
        assert told() == [(2, 0), (3, 0)]
    three.say(c=AWAY)
    for _ in range(2):
        three.refresh(1, "ab", "c")
        assert told() == [(2, 0), (3, 0), (2, 0)]
    assert three.live().at == three.froze_at["a"]  # each corrects the tick before it


def test_what_staff_let_out_says_who_agreed(two: Rounds) -> None:
    two.say(a="1.4", b="1.402")
    two.refresh()
    waiting = HeldPrice.pending().get()
    ingest.decide(waiting.pk, approve=True, by="asha", now=two.now)
    assert two.live().quote().members == Members(2, Decimal("0.071"))


# --- whose clock ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [["ab", "cd"], ["cd", "ab"], ["abcd"]], ids=str)
def test_a_source_that_is_excluded_decides_neither_the_price_nor_its_time(four: Rounds, order: list[str]) -> None:
    four.behind = dict.fromkeys("bcd", 30 * SECOND)
    four.say(a="1.0095", b="1", c=".995", d=".994")
    for _ in range(5):
        four.refresh(1, *order)
        assert four.live().price == Decimal("9177.1996")
        assert four.live().quoted_at == four.now - 30 * SECOND
    assert set(four.out()) == {times("1"), "9177.1996"}


@pytest.mark.parametrize("what", [AWAY, "1.4"], ids=["goes down", "lies"])
def test_what_sources_that_are_behind_agree_on_goes_out_at_once_where_the_one_in_real_time(
    rounds: Callable[[str], Rounds], what: str | ProviderError
) -> None:
    four = rounds("abcd")
    four.behind = dict.fromkeys("bcd", 4 * MINUTE)
    four.refresh()
    four.say(a=what, b="1.009", c="1.009", d="1.009")
    for _ in range(3):
        four.refresh()
        assert four.live().price == Decimal("9306.3260")
        assert four.live().quoted_at == four.now - 4 * MINUTE


def test_a_quorum_that_is_far_behind_is_no_reason_to_fall_back(
    rounds: Callable[[str], Rounds], settings: Settings
) -> None:
    settings.FRESHNESS_LIMIT, settings.FALLBACK_AFTER = 120 * MINUTE, 60 * MINUTE
    four = rounds("abcd")
    four.say(c=AWAY, d=AWAY)
    four.refresh()
    four.say(a=AWAY, b="1.009", c="1.009", d="1.009")
    four.behind = dict.fromkeys("bcd", 70 * MINUTE)
    for _ in range(14):
        four.refresh(5)
        assert str(four.live().price) == times("1.009")
        assert four.gold() == "9306 from consensus"
        current = snapshot.read()
        assert not current.is_stale(current.quotes[Metal.GOLD], four.now)


def test_a_refresh_that_a_later_one_has_superseded_changes_nothing(three: Rounds) -> None:
    """The first waits for a source while the second begins, and ends."""

    def meanwhile() -> None:
        three.say(a="1.02", b="1.02", c="1.02")
        three.refresh()
        three.say(a="1.01", c="1.01")

    three.say(a="1.009", b="1", c="1.01")
    three.between = meanwhile
    three.refresh(1, "ab", "c")
    assert three.out() == [times("1"), times("1.0045"), times("1.02")]
    assert quarantined() == []


def test_nor_where_the_later_one_only_confirmed_what_is_out(three: Rounds) -> None:
    def meanwhile() -> None:
        three.say(a="1", b="1", c="1")
        three.refresh(0)
        three.say(c="1.01")

    three.froze_at = dict.fromkeys("abc", three.now)
    three.say(a="1.01", b="1.02")
    three.between = meanwhile
    three.refresh(1, "ab", "c")
    assert three.out()[-1] == times("1")


def test_prices_of_sources_that_are_behind_each_count_in_the_day(rounds: Callable[[str], Rounds]) -> None:
    two = rounds("ab")
    two.refresh()
    two.behind = dict.fromkeys("ab", 4 * MINUTE)
    factors = ("1.01", "1.002", ".99", "1.001", "1.003", "1")
    for factor in factors:
        two.say(a=factor, b=factor)
        two.refresh()
    assert day() == [times(each) for each in ("1", "1.01", ".99", "1")]
    moments = list(Price.objects.filter(metal="gold", seq__gt=1).order_by("seq").values_list("at", flat=True))
    assert moments == sorted(set(moments))


def test_what_is_learned_of_a_close_later_makes_no_new_day(rounds: Callable[[str], Rounds]) -> None:
    """Friday's last price is an agreement of fewer sources, of an earlier time, whenever one of them fails."""
    three = rounds("abc")
    three.now = dt.datetime(2026, 9, 25, 20, 58, tzinfo=dt.UTC)
    three.refresh()
    last = three.now
    three.froze_at = {"a": last - 2 * SECOND, "b": last - SECOND, "c": last}
    three.say(b="1.002", c=AWAY)
    three.refresh(24 * 60)
    assert three.out() == [times("1"), times("1.001")]
    assert three.live().at == last
    assert day() == [times("1.001")] * 4


def test_the_very_same_quotes_after_midnight_make_no_new_day(rounds: Callable[[str], Rounds]) -> None:
    three = rounds("abc")
    three.now = dt.datetime(2026, 9, 24, 18, 28, tzinfo=dt.UTC)  # Kolkata's 23:58
    three.refresh()
    three.froze_at = dict.fromkeys("abc", three.now)
    three.refresh(2)
    assert three.out() == [times("1")]
    assert three.live().confirmed_at == three.now


# --- one source after another --------------------------------------------------------------------------------------


@pytest.fixture
def in_turn(rounds: Callable[[str], Rounds], settings: Settings) -> Rounds:
    """The first source that answers is believed; b is four minutes behind a. None says so in rounds."""
    world = rounds("ab")
    settings.CONSENSUS_SOURCES = 0
    world.behind = {"b": 4 * MINUTE}
    for name in "ab":
        world._may_answer[name] = threading.Event()
        world._may_answer[name].set()
    world.refresh()
    assert world.gold() == "9223 from a"
    return world


def test_a_source_that_is_behind_takes_over_at_once(in_turn: Rounds) -> None:
    in_turn.say(a=AWAY, b="1.009")
    in_turn.refresh()
    assert in_turn.gold() == "9306 from b"
    assert in_turn.live().quoted_at == in_turn.now - 4 * MINUTE
    in_turn.say(a="1.008")
    in_turn.refresh()
    assert in_turn.gold() == "9297 from a"


def test_each_price_of_a_source_that_is_behind_counts_in_the_day(in_turn: Rounds) -> None:
    in_turn.say(a=AWAY)
    for factor in ("1.01", ".99", "1.001"):
        in_turn.say(b=factor)
        in_turn.refresh()
    assert day() == [times(each) for each in ("1", "1.01", ".99", "1.001")]


def test_a_source_that_goes_back_in_time_is_not_believed_though_another_had_its_say_meanwhile(
    in_turn: Rounds, log: Callable[[], list[str]]
) -> None:
    in_turn.say(a=AWAY)
    in_turn.refresh()
    in_turn.say(a="1.01", b=AWAY)
    in_turn.froze_at["a"] = in_turn.live().quoted_at - SECOND
    in_turn.refresh(0.1)
    assert in_turn.gold() == "9223 from b"
    assert any("a gives gold an older quote" in line for line in log())


def test_a_stale_price_is_shown_where_no_source_has_a_fresh_one_but_in_the_place_of_no_later_one(
    in_turn: Rounds,
) -> None:
    in_turn.behind = {}
    in_turn.froze_at = {"a": in_turn.now, "b": in_turn.now - MINUTE}
    in_turn.say(a=AWAY, b="1.009")
    in_turn.refresh(60 - 1)
    assert in_turn.gold() == "9223 from a"


def test_in_turn_too_a_refresh_that_a_later_one_has_superseded_changes_nothing(in_turn: Rounds) -> None:
    older = Head.begin_refresh()
    in_turn.say(a="1.01")
    in_turn.refresh()
    later = in_turn.now + MINUTE
    ingest.offer([quote(price=times("1.02"), source="b", at=later)], now=later, refresh=older)
    assert in_turn.gold() == "9316 from a"


# --- prices without any agreement ----------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", "abcd")
def test_staff_may_approve_any_source_of_a_full_disagreement_however_far_behind_it_is(
    rounds: Callable[[str], Rounds], chosen: str
) -> None:
    four = rounds("abcd")
    four.say(c=AWAY, d=AWAY)
    four.refresh()
    four.say(a="1", b="1.03", c="1.06", d="1.09")
    four.behind = dict.fromkeys("bcd", 4 * MINUTE)
    four.refresh()
    assert quarantined() == [("a", "1.00"), ("b", "1.03"), ("c", "1.06"), ("d", "1.09")]
    price = HeldPrice.pending().get(metal="gold", source=chosen)
    ingest.decide(price.pk, approve=True, by="asha", now=four.now + SECOND)
    assert (four.live().source, four.live().price) == (chosen, price.price)
    assert quarantined() == []


# --- jumps ---------------------------------------------------------------------------------------------------------


def test_a_jump_on_which_no_more_sources_agree_than_have_to_goes_out_when_they_still_say_it_after_the_wait(
    two: Rounds, log: Callable[[], list[str]]
) -> None:
    two.say(a="1.4", b="1.4")
    two.refresh()
    assert two.out() == [times("1")]
    assert quarantined() == [("consensus", "1.40")]
    (line,) = (line for line in log() if "quarantined" in line)
    detail = "12,912.6427 is +40.0 % from 9,223.3162, the last price; a, b agree on it"
    assert line == f"consensus: gold of INR is quarantined: {detail}"
    two.refresh(9)
    assert two.out() == [times("1")]
    two.refresh()
    assert two.out() == [times("1"), times("1.4")]
    assert HeldPrice.objects.get().decision == CONFIRMED


def test_the_same_quotes_once_more_confirm_no_jump(two: Rounds, settings: Settings) -> None:
    settings.QUARANTINE_WAIT = MINUTE
    two.say(a="1.4", b="1.4")
    two.froze_at = dict.fromkeys("ab", two.now + MINUTE)
    for _ in range(3):
        two.refresh()
        assert two.out() == [times("1")]
    two.froze_at["b"] = two.now
    two.refresh(0.1)
    assert two.out() == [times("1"), times("1.4")]


def test_more_sources_than_have_to_agree_confirm_a_jump_at_once(three: Rounds) -> None:
    three.say(a="1.4", b="1.4", c="1.4")
    three.refresh(1, "ab", "c")
    assert three.out() == [times("1"), times("1.4")]
    assert not HeldPrice.objects.exists()


def test_where_staff_alone_let_prices_out_no_number_of_sources_does(three: Rounds, settings: Settings) -> None:
    settings.QUARANTINE_RELEASE = Release.STAFF
    three.say(a="1.4", b="1.4", c="1.4")
    for _ in range(3):
        three.refresh(10)
    assert three.out() == [times("1")]
    assert quarantined() == [("consensus", "1.40")]


def test_a_jump_waits_for_all_answers_before_it_is_quarantined(three: Rounds) -> None:
    three.say(a="1.4", b="1.4", c=AWAY)
    seen: list[bool] = []
    three.between = lambda: seen.append(HeldPrice.objects.exists())
    three.refresh(1, "ab", "c")
    assert seen == [False]
    assert quarantined() == [("consensus", "1.40")]


def test_other_sources_that_agree_on_the_same_confirm_a_jump_though_they_are_behind(four: Rounds) -> None:
    four.say(a="1.4", b="1.4", c=AWAY, d=AWAY)
    four.refresh()
    assert quarantined() == [("consensus", "1.40")]
    four.behind = dict.fromkeys("cd", 4 * MINUTE)
    four.say(a=AWAY, b=AWAY, c="1.39", d="1.39")
    four.refresh()
    assert four.out() == [times("1"), times("1.39")]


def test_a_jump_is_not_confirmed_by_those_that_say_it_while_another_sources_price_against_it_is_quarantined(
    four: Rounds,
) -> None:
    four.say(a="1.4", b="1.4")
    four.refresh()
    four.say(c=AWAY, d=AWAY)
    for _ in range(3):
        four.refresh(10)
    assert four.out() == [times("1")]
    four.say(a="1", b="1", c="1", d="1")
    four.refresh()
    assert quarantined() == []


def test_two_sources_that_jump_back_to_where_the_metal_was_are_believed_at_once(two: Rounds) -> None:
    for factor in ("1.04", "1.08", "1.12"):
        two.say(a=factor, b=factor)
        two.refresh()
    two.say(a="1.001", b="1.001")
    two.refresh()
    assert two.out()[-1] == times("1.001")
    two.say(a="1.12", b="1.12")  # but not to where it had drifted
    two.refresh()
    assert quarantined() == [("consensus", "1.12")]


def test_two_sources_that_drift_together_are_stopped_at_the_bound(two: Rounds) -> None:
    for factor in ("1.04", "1.08", "1.12", "1.16"):
        two.say(a=factor, b=factor)
        two.refresh()
    assert two.out()[-1] == times("1.12")
    assert quarantined() == [("consensus", "1.16")]


def test_sources_that_agree_on_what_staff_rejected_do_not_let_it_out(two: Rounds) -> None:
    two.say(a="1.4", b="1.4")
    two.refresh()
    ingest.decide(HeldPrice.objects.get().pk, approve=False, by="asha", now=two.now)
    two.refresh()
    two.refresh(10)
    assert two.out() == [times("1")]


def test_staff_may_let_out_what_sources_agree_on(two: Rounds) -> None:
    two.say(a="1.4", b="1.4")
    two.refresh()
    ingest.decide(HeldPrice.objects.get().pk, approve=True, by="asha", now=two.now)
    assert two.gold() == "12913 from consensus"


def test_a_jump_that_only_some_have_seen_yet_goes_out_when_the_others_have(two: Rounds) -> None:
    two.say(a="1.06")
    two.refresh()
    assert quarantined() == [("a", "1.06"), ("b", "1.00")]
    two.say(b="1.06")
    two.refresh()
    assert two.out() == [times("1"), times("1.06")]


# --- a clock that goes back ----------------------------------------------------------------------------------------


def test_a_clock_that_went_back_delays_no_agreement(two: Rounds) -> None:
    an_hour_ago = two.now - 60 * MINUTE
    found = decision(
        [quote(price=times("1.01"), source=name, at=an_hour_ago - SECOND) for name in "ab"],
        missing=0,
        minimum=2,
        tolerance_percent=lambda name: Decimal(1),
    )
    assert found is not None
    ingest.offer_agreements([found], now=an_hour_ago, refresh=Head.begin_refresh())
    assert two.out() == [times("1"), times("1.01")]
    assert two.live().at == an_hour_ago - SECOND


def test_a_clock_that_went_back_delays_no_simulated_price(seeded: None) -> None:
    for now in (NOW, NOW - 60 * MINUTE):
        publication = ingest.record([quote(at=now, source=SIMULATED)], now=now)
        assert publication is not None
        assert publication.quotes[0].quote.quoted_at == now
