"""`manage.py prices`: the sources' answers, side by side."""

import json
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from pytest_django import Settings

from infra.readable import span
from prices.domain.provider_table import ProviderRow
from prices.domain.quota import Quota
from prices.domain.quotes import Metal
from prices.models import HeldPrice, ListedMetal, Premium, Price, ProviderState
from prices.providers.errors import TemporaryError
from prices.staff.comparison import compare
from tests.support.always_open import AlwaysOpen
from tests.support.world import MINUTE, PRICES, World

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]


@pytest.fixture
def world(world: World) -> World:
    """Prices of a minute and a half ago, as the command sees them."""
    world.now = timezone.now() - 1.5 * MINUTE
    return world


def run(*args: str) -> tuple[str, str]:
    """Its output on stdout and on stderr, if it has not failed."""
    out, beside = StringIO(), StringIO()
    call_command("prices", *args, stdout=out, stderr=beside)
    return out.getvalue(), beside.getvalue()


def data(*args: str) -> Any:
    return json.loads(run("--json", *args)[0])


def test_the_table_shows_faults_at_a_glance(world: World) -> None:
    world.refresh(0)
    world.says |= {
        "b": TemporaryError("answers HTTP 503: 'the service is closed'"),
        "c": PRICES | {Metal.GOLD: "14520"},
    }
    at = world.now + 1.5 * MINUTE
    table = compare(["a", "b", "c"], lambda: at).table()
    took = table.splitlines()[5]
    assert took.split()[0] == "took"
    assert table.replace(f"{took}\n", "") == "\n".join(
        [
            "INR per gram  a                 b                   c",
            "gold          13,200.0000 90 s  answers HTTP 503:…  14,520.0000 90 s",
            "silver        165.0000 90 s     answers HTTP 503:…  165.0000 90 s",
            "platinum      4,900.0000 90 s   answers HTTP 503:…  4,900.0000 90 s",
            "palladium     4,300.0000 90 s   answers HTTP 503:…  4,300.0000 90 s",
            "calls         1                 1                   1",
            "quota left    —                 —                   —",
            "enabled       yes               yes                 yes",
            "",
            "from the median     a          b  c          on screen now",
            "gold 13,860.00      -4.76 % !  —  +4.76 % !  13,200.0000 a 90 s",
            "silver 165.00       +0.00 %    —  +0.00 %    165.0000 a 90 s",
            "platinum 4,900.00   +0.00 %    —  +0.00 %    4,900.0000 a 90 s",
            "palladium 4,300.00  +0.00 %    —  +0.00 %    4,300.0000 a 90 s",
            "",
            "b: gold, silver, platinum, palladium: answers HTTP 503: 'the service is closed'",
            "c: gold would be quarantined: 14,520.0000 is +10.0 % from 13,200.0000, the last price",
            "!: further from the median than is tolerated.",
        ]
    )


def test_for_three_sources_it_fits_a_hundred_columns(world: World, settings: Settings) -> None:
    names = ["gold_api_com", "metalpriceapi", "swissquote"]
    for name in names:
        world.says[name] = PRICES
    settings.PRICE_PROVIDERS = names
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prices.sources.failover.PROVIDERS", {name: world.source(name) for name in names})
        world.refresh()
        world.says["swissquote"] = TemporaryError("cannot be reached (ConnectionError)")
        world.says["metalpriceapi"] = PRICES | {Metal.GOLD: "99999.9999"}
        out, _ = run()
    assert max(map(len, out.splitlines()[:15])) <= 100


def test_it_publishes_nothing_and_holds_nothing(world: World) -> None:
    before = Price.objects.count()
    run()
    assert (Price.objects.count(), HeldPrice.objects.count()) == (before, 0)


def test_its_calls_count_against_the_quotas_and_it_says_so(world: World, settings: Settings) -> None:
    settings.A_QUOTA = Quota(100, "month")
    out, beside = run()
    assert beside == "This uses calls of the quotas of: a.\n"
    assert "99 of 100/month" in out
    state = ProviderState.objects.get(name="a")
    assert (state.calls, state.refreshes_total) == (1, 1)
    assert run("b")[1] == ""


def test_only_those_that_are_named_are_fetched(world: World) -> None:
    assert list(data("c", "b")["providers"]) == ["b", "c"]
    assert sorted(world.fetched) == ["b", "c"]


def test_one_that_is_switched_off_is_fetched_too_and_named_so(world: World) -> None:
    ProviderState.objects.create(name="a", enabled=False)
    said = data("a")
    assert (said["providers"]["a"]["enabled"], said["metals"]["gold"]["prices"]["a"]["price"]) == (False, 13200)


def test_an_unknown_source_is_rejected_with_the_deployed_ones(world: World) -> None:
    with pytest.raises(CommandError, match="PRICE_PROVIDERS does not name d. It names: a, b, c."):
        run("a", "d")
    assert world.fetched == []


def test_as_json_it_says_the_same(world: World) -> None:
    world.refresh(0)
    world.says |= {"b": TemporaryError("is away"), "c": PRICES | {Metal.GOLD: "14520"}}
    said = data()
    time = f"{world.now:%Y-%m-%dT%H:%M:%S}.{world.now.microsecond // 1000:03}Z"
    assert said["metals"]["gold"] == {
        "prices": {
            "a": {"price": 13200, "timestamp": time, "deviationPercent": -4.76, "wouldBeHeld": None},
            "c": {
                "price": 14520,
                "timestamp": time,
                "deviationPercent": 4.76,
                "wouldBeHeld": "14,520.0000 is +10.0 % from 13,200.0000, the last price",
            },
        },
        "errors": {"b": "is away"},
        "premium": 1,
        "median": 13860,
        "onScreen": {"price": 13200, "source": "a", "timestamp": time},
    }
    assert said["providers"]["b"].pop("latencyMs") >= 0
    assert said["providers"]["b"] == {
        "enabled": True,
        "calls": 1,
        "quotaLeft": None,
        "complaint": "gold, silver, platinum, palladium: is away",
    }


def test_a_source_that_holds_the_premium_is_not_taken_for_one_that_disagrees(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prices.premiums.PROVIDER_TABLE", {"b": ProviderRow("b", "", includes_premium=True)})
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=world.now)
    world.says["b"] = PRICES | {Metal.GOLD: "13992"}
    gold = data()["metals"]["gold"]
    assert [price["deviationPercent"] for price in gold["prices"].values()] == [0, 0, 0]
    world.refresh(0)  # from a, at spot
    assert data()["metals"]["gold"]["prices"]["b"]["wouldBeHeld"] is None
    assert "gold: × 1.06 before it is shown and compared." in run()[0]


def test_it_succeeds_while_each_metal_has_a_price_from_somewhere(world: World) -> None:
    world.says["a"] = {Metal.GOLD: "13200"}
    world.says["b"] = TemporaryError("is away")
    world.says["c"] = {metal: price for metal, price in PRICES.items() if metal != Metal.GOLD}
    run()
    with pytest.raises(CommandError, match="No source has a price of silver, platinum, palladium") as failed:
        run("a", "b")
    assert failed.value.returncode == 1


def test_without_any_metal_it_says_what_to_do(world: World) -> None:
    ListedMetal.objects.update(enabled=False)
    with pytest.raises(CommandError, match="run manage.py seed"):
        run()


def test_a_source_that_froze_is_shown_with_its_age_and_named_so(world: World, settings: Settings) -> None:
    settings.MARKET_CALENDAR = AlwaysOpen()  # at whatever hour the test runs
    world.froze_at["b"] = timezone.now() - 61 * MINUTE
    table, _ = run()
    gold = next(line for line in table.splitlines() if line.startswith("gold"))
    assert "13,200.0000 61 min" in gold
    assert f"b: gold, silver, platinum, palladium: gives a price of {world.froze_at['b']:%Y-%m-%dT%H:%M:%SZ}" in table


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_an_age_is_in_the_largest_unit_of_which_there_are_two(seconds: float, words: str) -> None:
    assert span(seconds) == words
