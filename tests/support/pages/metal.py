"""A metal's page as the server writes it, without a server, and its history by REST."""

import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.template.loader import render_to_string
from playwright.sync_api import Page, Route

from pages import metal_words, moments
from pages.history import History
from pages.languages import Language
from pages.memory import Current
from pages.metal_words import Chosen
from pages.ranges import ChartRange
from pages.rows import Row
from prices.domain.candles import Candle, Interval, ZonedCandle
from prices.domain.quotes import Metal
from prices.history import candle_store

# Midnight in India, of the day of tests/support/stub_stream.py.
MIDNIGHT = dt.datetime(2026, 11, 1, 18, 30, tzinfo=dt.UTC)


def candle(interval: Interval, place: int, close: int, seq: int = 0) -> Candle:
    """A candle of gold: the one at MIDNIGHT for 0, those before it for less."""
    zone = candle_store.zone()
    start = MIDNIGHT
    for _ in range(-place):
        start = interval.start(start - dt.timedelta(seconds=1), zone)
    for _ in range(place):
        start = interval.end(start, zone)
    price = Decimal(close)
    return Candle(
        interval=interval,
        start=start,
        open=price - 10,
        high=price + 20,
        low=price - 30,
        close=price,
        ticks=1,
        first_at=start,
        last_at=start,
        seq=seq,
    )


def metal_page(
    shown: Current, candles: Sequence[Candle] = (), days: Sequence[Candle] = (), language_code: str = "en"
) -> str:
    """The page of gold per gram, with these candles of the last day, and these days, the newest first."""
    zone, language = candle_store.zone(), Language(language_code, ("Accept-Language",))
    history = History([ZonedCandle.of(each, zone) for each in candles], [ZonedCandle.of(each, zone) for each in days])
    chosen = Chosen(Row(Metal.GOLD, "999", "gram"), ChartRange.DAY, ())
    context = metal_words.context(shown, chosen, history, language, MIDNIGHT)
    context |= moments.context(None, chosen.row, language.format, MIDNIGHT)
    return render_to_string("pages/metal.html", {"current": shown, "language": language, **context})


class Rest:
    """The API's candles of gold by interval, as a test sets them; `fetched` are the intervals that a page fetched."""

    def __init__(self, page: Page) -> None:
        self.candles: dict[Interval, list[dict[str, Any]]] = {}
        self.fetched: list[str] = []
        self.fails = False
        page.route("**/api/v1/prices/gold/candles/*", self._answer)

    def _answer(self, route: Route) -> None:
        (interval,) = parse_qs(urlsplit(route.request.url).query)["interval"]
        self.fetched.append(interval)
        if self.fails:
            route.fulfill(status=503, json={})
        else:
            route.fulfill(json={"data": self.candles.get(Interval(interval), []), "next": None})


def wired(candles: Sequence[Candle], *, live: bool = True) -> list[dict[str, Any]]:
    """Candles as the wire has them, the last of which is `live`."""
    zone = candle_store.zone()
    found = []
    for place, each in enumerate(candles):
        end, date = each.interval.end(each.start, zone), each.start.astimezone(zone).date()
        figures = {name: float(getattr(each, name)) for name in ("open", "high", "low", "close")}
        found.append(
            {
                "start": f"{each.start:%Y-%m-%dT%H:%M:%S}.000Z",
                "end": f"{end:%Y-%m-%dT%H:%M:%S}.000Z",
                **figures,
                "ticks": each.ticks,
                "closed": not live or place < len(candles) - 1,
                "seq": each.seq or None,
                **({"date": date.isoformat()} if each.interval is Interval.DAY else {}),
            }
        )
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]
