"""How old a quote is by two clocks, one of which may step, and the feed that a screen may claim."""

import datetime as dt

import msgspec
import pytest

from infra.clock import Reading
from prices.domain.calendar import Calendar
from prices.domain.quotes import DayFigures, PublishedQuote, Quote
from streaming.freshness import Freshness, feeds_of, least_real
from streaming.protocol import Feed
from streaming.publication_log import Quoted
from tests.support.quotes import NOW, quote

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
LIMIT = 5 * MINUTE
CLOSES = dt.datetime(2026, 9, 25, 21, 0, tzinfo=dt.UTC)  # a Friday, 17:00 in New York
OPENS = dt.datetime(2026, 9, 27, 22, 0, tzinfo=dt.UTC)


def received(of: Quote, seq: int = 1) -> Quoted:
    day = DayFigures(open=of.price, high=of.price, low=of.price, previous_close=None)
    return Quoted.of(PublishedQuote(seq=seq, quote=of, day=day))


class Process:
    """One process's quote of gold, and its two clocks."""

    def __init__(self, of: Quote, wall: dt.datetime = NOW) -> None:
        self.freshness = Freshness(Calendar())
        self.latest = {"gold": received(of)}
        self.wall, self.passed = wall, dt.timedelta(0)
        self.check()

    def goes_on(self, span: dt.timedelta) -> None:
        self.wall += span
        self.passed += span

    def check(self) -> str:
        """Update the freshness of gold, and return it."""
        outdated = self.freshness.outdated(self.latest, Reading(self.wall, self.passed.total_seconds()), LIMIT)
        return "stale" if "gold" in outdated.stale else "past" if "gold" in outdated.past else "live"

    def after(self, span: dt.timedelta) -> str:
        self.goes_on(span)
        return self.check()


@pytest.mark.parametrize("back", [dt.timedelta(seconds=40), HOUR, 5.5 * HOUR, dt.timedelta(days=400)])
def test_a_clock_that_is_put_back_keeps_no_price_live(back: dt.timedelta) -> None:
    gold = Process(quote(at=NOW - MINUTE))
    gold.goes_on(MINUTE)
    gold.wall -= back
    assert gold.after(2 * MINUTE) == "live"
    assert gold.after(MINUTE + dt.timedelta(seconds=1)) == "stale"


def test_a_clock_that_is_put_forward_makes_a_price_stale_and_put_right_again_the_next_one_is_live() -> None:
    gold = Process(quote(at=NOW))
    gold.wall += 5.5 * HOUR
    assert gold.after(MINUTE) == "stale"
    gold.wall -= 5.5 * HOUR
    assert gold.after(MINUTE) == "live"  # it is two minutes old by both
    gold.latest["gold"] = received(quote(at=gold.wall), seq=2)
    assert gold.after(MINUTE) == "live"


def test_a_contested_price_is_stale_however_young_it_is() -> None:
    gold = Process(quote(at=NOW))
    gold.latest["gold"] = msgspec.structs.replace(gold.latest["gold"], is_contested=True)
    assert gold.after(dt.timedelta(seconds=1)) == "stale"


def test_a_quote_of_the_future_counts_from_when_it_came() -> None:
    gold = Process(quote(at=NOW))
    gold.latest["gold"] = received(quote(at=NOW + HOUR), seq=2)
    gold.check()
    assert gold.after(5 * MINUTE) == "live"
    assert gold.after(dt.timedelta(seconds=1)) == "stale"


def test_a_process_that_was_started_after_the_clock_was_put_back_takes_no_price_of_before_for_fresh() -> None:
    gold = Process(quote(at=NOW - 30 * MINUTE), wall=NOW - HOUR)
    assert gold.check() == "stale"
    assert gold.after(MINUTE) == "stale"
    gold.latest["gold"] = received(quote(at=NOW + 5 * MINUTE), seq=2)  # its source has spoken, by a clock that is right
    assert gold.check() == "live"


def test_when_the_clock_is_put_right_such_a_process_knows_how_old_a_price_of_before_is() -> None:
    gold = Process(quote(at=NOW - 2 * MINUTE), wall=NOW - HOUR)
    assert gold.after(MINUTE) == "stale"
    gold.wall += HOUR
    assert gold.after(2 * MINUTE) == "live"
    assert gold.after(dt.timedelta(seconds=1)) == "stale"


def test_only_a_source_that_speaks_again_makes_a_price_younger() -> None:
    gold = Process(quote(at=NOW))
    gold.wall -= HOUR
    gold.goes_on(5 * MINUTE)
    gold.latest["gold"] = received(quote(at=NOW, price="14000"), seq=2)  # under another premium
    assert gold.after(dt.timedelta(seconds=1)) == "stale"


def test_time_by_the_steady_clock_stands_still_too_while_the_market_is_closed() -> None:
    gold = Process(quote(at=CLOSES - 2 * MINUTE), CLOSES - 2 * MINUTE)
    gold.wall -= HOUR  # which would open the market again, two days later
    assert gold.after(OPENS - CLOSES) == "past"
    assert gold.after(5 * MINUTE) == "past"
    assert gold.after(dt.timedelta(seconds=1)) == "stale"


def test_a_feed_is_only_as_real_as_its_least_real_metal() -> None:
    assert least_real([]) == Feed.DOWN
    assert least_real([Feed.LIVE, Feed.LIVE]) == Feed.LIVE
    assert least_real([Feed.LIVE, Feed.STALE]) == Feed.STALE
    assert least_real([Feed.STALE, Feed.FALLBACK]) == Feed.FALLBACK
    assert least_real([Feed.LIVE, Feed.SIMULATED]) == Feed.SIMULATED


def test_each_metal_shows_what_kind_of_price_it_has() -> None:
    sources = {"gold": "gold_api_com", "silver": "fallback", "platinum": "gold_api_com"}
    latest = {metal: received(quote(metal, source=source)) for metal, source in sources.items()}
    feeds = feeds_of(latest, past={"silver", "platinum"})
    assert feeds == {"gold": Feed.LIVE, "silver": Feed.FALLBACK, "platinum": Feed.STALE}
