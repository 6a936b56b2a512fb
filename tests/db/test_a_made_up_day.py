"""A made-up day, by real HTTP: three sources, their faults, a premium, a quarantine, a fallback.

A script that knows nothing of Swarna recomputes each published price from its receipt alone, to the last digit.
"""

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

from prices.domain.receipts import Method
from prices.models import FallbackPrice, Head, HeldPrice, Premium, Price
from prices.providers import fx
from prices.publishing import ingest
from prices.refresh import refresh
from tests.support.provider_apis import KEY, PROVIDER_APIS, Answer, Market
from tests.support.quotes import NOW
from tests.support.receipts import SCRIPT, recomputed
from tests.support.strange import at, changed

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)
SOURCES = ["gold_api_com", "metals_dev", "swissquote"]


class Day:
    """The day's three sources, and its time."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.now = NOW

    def refresh(self, minutes: float = 1, **times: float) -> None:
        """Let time go by, and refresh from the named sources alone: each has gold at so many times its price."""
        self.now += minutes * MINUTE
        for name in SOURCES:
            self.market.answers[name] = self._answer(name, times[name]) if name in times else _in_html
        refresh(lambda: self.now)

    def _answer(self, name: str, times: float) -> Answer:
        def of_gold(answer: Any) -> Any:
            for path in PROVIDER_APIS[name].price:
                answer = changed(answer, path, round(at(answer, path) * times, 4))
            return answer

        return self.market.well(name, self.now, of_gold)


def _in_html(request: Any) -> Response:
    return Response("<html><h1>Sorry</h1></html>", content_type="text/html")


@pytest.fixture
def day(http: HTTPServer, settings: Settings, seeded: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    settings.PRICE_PROVIDERS, settings.CONSENSUS_SOURCES = SOURCES, 2
    settings.METALS_DEV_KEY, settings.PROVIDER_BUDGET = KEY, dt.timedelta(seconds=10)
    monkeypatch.setattr(fx, "_rates", fx.Rates())
    yield Day(Market(http, settings, NOW))
    http.check()
    http.clear()


def receipts(client: Client) -> Iterator[tuple[int, bytes]]:
    """The receipt of each publication, as JSON, with its `seq`."""
    for seq in range(1, Head.current().seq + 1):
        response = client.get(f"/api/v1/publications/{seq}/")
        assert response.status_code == 200, response.content
        yield seq, response.content


def published(seq: int) -> dict[str, Decimal]:
    return dict(Price.objects.filter(seq=seq).values_list("metal", "price"))


def live_through(day: Day, settings: Settings) -> None:
    """Live through the day."""
    day.refresh(0, gold_api_com=1, metals_dev=1, swissquote=1)  # the first, after examples
    day.refresh(gold_api_com=1.0011, metals_dev=1.0007, swissquote=1.03)  # the last one is too far off
    day.refresh(gold_api_com=1.0012, swissquote=1.0004)  # one gives no price
    Premium.objects.create(metal_id="gold", multiplier="1.0615", effective_from=day.now)
    ingest.apply_premiums(now=day.now)
    day.refresh(gold_api_com=1.0013, metals_dev=1.0006, swissquote=1.0002)
    day.refresh(gold_api_com=1.1, metals_dev=1.1001)  # a jump, which nobody else confirms
    ingest.decide(HeldPrice.pending().get(metal="gold").pk, approve=True, by="asha", now=day.now)
    day.refresh(gold_api_com=1.21, metals_dev=1.2101, swissquote=1.2102)  # another one, which a third source confirms
    settings.CONSENSUS_SOURCES = 0
    day.refresh(metals_dev=1.2103)  # the first source gives no price
    FallbackPrice.objects.update(example=False, price="11234.5")
    day.refresh(61)  # nobody gives one
    FallbackPrice.objects.update(expires_at=day.now + MINUTE)
    day.now += 2 * MINUTE
    ingest.withdraw_fallbacks(now=day.now)
    day.refresh(gold_api_com=1.2101)


def test_each_price_of_the_day_is_made_once_more_of_its_receipt(day: Day, client: Client, settings: Settings) -> None:
    live_through(day, settings)
    methods = set()
    for seq, receipt in receipts(client):
        assert recomputed(receipt) == published(seq), receipt
        methods |= {metal["method"] for metal in json.loads(receipt)["metals"].values()}
    assert methods == set(Method) - {Method.SIMULATED}


def test_the_script_stands_alone_and_says_what_is_wrong(day: Day, client: Client) -> None:
    day.refresh(0, gold_api_com=1, metals_dev=1, swissquote=1)
    receipt = [receipt for _, receipt in receipts(client)][-1]

    def run(text: bytes) -> subprocess.CompletedProcess[bytes]:
        # Isolated: nothing of Swarna's could be imported.
        return subprocess.run([sys.executable, "-I", SCRIPT], input=text, capture_output=True, cwd="/", timeout=30)

    good = run(receipt)
    assert (good.returncode, good.stderr) == (0, b"")
    assert b"gold: 9223.3162 INR per gram, as published" in good.stdout
    bad = run(receipt.replace(b"9223.3162", b"9223.3163"))
    assert bad.returncode == 1
    assert b"in the receipt, and its figures make" in bad.stderr
