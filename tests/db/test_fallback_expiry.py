"""A fallback price that has expired is no longer shown: the next best price is, and staff are told."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from prices import schedule
from prices.domain.quotes import SIMULATED, Metal
from prices.models import Candle, FallbackPrice, LatestPrice, ListedMetal, Premium, Price
from prices.publishing import ingest, snapshot
from prices.tasks import expire_fallbacks
from tests.support.desk import Broadcasts, errors, saved, user
from tests.support.quotes import NOW, quote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts")]

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
EVENING = NOW + 10 * HOUR
LIST = "/admin/prices/fallbackprice/"
GOLD = "/api/v1/fallback-prices/gold/"


@pytest.fixture(autouse=True)
def always_open(settings: Settings) -> None:
    settings.CLOSED_UPDATE_INTERVAL = settings.PRICE_UPDATE_INTERVAL


def gold() -> FallbackPrice:
    return FallbackPrice.objects.get(metal="gold")


def shown(metal: Metal = Metal.GOLD) -> str | None:
    """The shown price of a metal, and its source."""
    published = snapshot.read().quotes.get(metal)
    return f"{published.quote.price:.0f} from {published.quote.source}" if published else None


def candles() -> list[Any]:
    return list(
        Candle.objects.order_by("metal", "interval", "start").values_list("metal", "start", "open", "low", "ticks")
    )


def fall_back(
    expires_at: dt.datetime | None = EVENING, *, live: str | None = "13200", source: str = "gold_api_com"
) -> None:
    """Gold's source has given a price at NOW and was silent since: staff's 12,000, until `expires_at`, is shown."""
    if live:
        ingest.record([quote(price=live, source=source)], now=NOW)
    FallbackPrice.objects.filter(metal="gold").update(
        price=12000, as_of=NOW + 9 * HOUR, expires_at=expires_at, example=False
    )
    ingest.fall_back_where_due(now=NOW + 9 * HOUR)
    assert shown() == "12000 from fallback"


# --- on screens ----------------------------------------------------------------------------------------------------


def test_a_fallback_is_shown_until_it_expires_and_then_the_last_price_of_a_source_is(
    log: Callable[[], list[str]], broadcasts: Broadcasts
) -> None:
    fall_back()
    broadcasts.publications.clear()
    assert ingest.withdraw_fallbacks(now=EVENING - MINUTE) is None
    assert shown() == "12000 from fallback"

    publication = ingest.withdraw_fallbacks(now=EVENING)
    assert publication is not None
    ((restored,),) = [publication.quotes]
    assert restored.quote == quote(price="13200")  # with the time at which its source quoted it, so that it is stale
    assert (shown(), publication.changes) == ("13200 from gold_api_com", ())
    assert log() == [
        "the fallback of gold expired at 2026-09-24T18:00:00.000Z; screens show the last price of gold_api_com, of "
        "2026-09-24T08:00:00.000Z"
    ]


def test_an_expired_fallback_does_not_come_back_by_itself() -> None:
    fall_back()
    ingest.withdraw_fallbacks(now=EVENING)
    assert ingest.withdraw_fallbacks(now=EVENING + MINUTE) is None
    assert ingest.fall_back_where_due(now=EVENING + 24 * HOUR) is None
    assert shown() == "13200 from gold_api_com"


def test_the_price_that_is_shown_again_confirms_no_source_and_leaves_its_candles_as_they_were() -> None:
    fall_back()
    before = candles()
    ingest.withdraw_fallbacks(now=EVENING)
    assert LatestPrice.objects.get(metal="gold", lane="live").confirmed_at == NOW
    assert candles() == before
    assert Metal.GOLD in ingest.metals_falling_back(now=EVENING)


def test_the_price_that_is_shown_again_has_the_premium_of_now() -> None:
    fall_back()
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.1"), effective_from=NOW + HOUR)
    ingest.withdraw_fallbacks(now=EVENING)
    assert shown() == "14520 from gold_api_com"
    assert Price.objects.latest("seq").at == EVENING


@pytest.mark.parametrize("source", ["consensus", SIMULATED])
def test_the_next_best_is_the_last_price_of_whatever_kind_this_deployment_shows(
    settings: Settings, source: str
) -> None:
    settings.PRICE_PROVIDERS = ["gold_api_com", SIMULATED]
    fall_back(source=source)
    ingest.withdraw_fallbacks(now=EVENING)
    assert shown() == f"13200 from {source}"


def test_a_metal_without_any_other_price_is_no_longer_shown(
    log: Callable[[], list[str]],
    broadcasts: Broadcasts,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    fall_back(live=None)
    with django_capture_on_commit_callbacks(execute=True):
        assert ingest.withdraw_fallbacks(now=EVENING) is None
    assert (shown(), shown(Metal.SILVER) is not None, broadcasts.reloads) == (None, True, 1)
    assert log()[0].endswith("screens show no price of it")
    assert ingest.fall_back_where_due(now=EVENING + HOUR) is None

    FallbackPrice.objects.filter(metal="gold").update(price=12100, expires_at=None)
    ingest.fall_back_where_due(now=EVENING + 2 * HOUR)
    assert shown() == "12100 from fallback"


def test_a_fallback_without_an_expiry_stays() -> None:
    fall_back(None)
    assert ingest.withdraw_fallbacks(now=NOW + 1000 * HOUR) is None
    assert shown() == "12000 from fallback"


def test_a_source_that_answers_before_the_expiry_replaces_the_fallback_for_good() -> None:
    fall_back()
    ingest.record([quote(price="13300", at=EVENING - HOUR)], now=EVENING - HOUR)
    assert ingest.withdraw_fallbacks(now=EVENING) is None
    assert shown() == "13300 from gold_api_com"


def test_an_expired_fallback_in_reserve_is_not_shown_when_sources_fail() -> None:
    ingest.record([quote(price="13200")], now=NOW)
    FallbackPrice.objects.filter(metal="gold").update(expires_at=NOW + MINUTE)
    ingest.fall_back_where_due(now=NOW + 9 * HOUR)
    assert (shown(), shown(Metal.SILVER)) == ("13200 from gold_api_com", "105 from fallback")


def test_a_clock_that_was_ahead_and_is_put_right_brings_the_fallback_back() -> None:
    fall_back()
    ingest.withdraw_fallbacks(now=EVENING + HOUR)
    ingest.fall_back_where_due(now=EVENING - HOUR)
    assert shown() == "12000 from fallback"


def test_fallbacks_of_another_currency_and_of_hidden_metals_are_left_alone(settings: Settings) -> None:
    fall_back()
    FallbackPrice.objects.create(metal_id="gold", currency="USD", price=130, expires_at=NOW)
    FallbackPrice.objects.filter(metal="silver").update(expires_at=NOW)
    ListedMetal.objects.filter(name="silver").update(enabled=False)
    assert ingest.withdraw_fallbacks(now=NOW + 9 * HOUR + MINUTE) is None


def test_nothing_is_locked_while_no_shown_fallback_has_expired() -> None:
    ingest.record([quote(metal, "100") for metal in Metal], now=NOW)
    with CaptureQueriesContext(connection) as queries:
        ingest.withdraw_fallbacks(now=NOW + MINUTE)
    assert not [query for query in queries if "fallbackprice" in query["sql"] or "prices_head" in query["sql"]]


def test_each_minute_a_task_looks_for_expired_fallbacks(broadcasts: Broadcasts) -> None:
    fall_back()
    expire_fallbacks()  # by the wall clock, it is long past the evening of the test
    assert shown() == "13200 from gold_api_com"
    assert PeriodicTask.objects.get(name=schedule.FALLBACKS_TASK_NAME).crontab.minute == "*"


# --- on the desk ---------------------------------------------------------------------------------------------------


def test_staff_are_told_on_each_page_of_an_expired_fallback(desk: Client) -> None:
    FallbackPrice.objects.filter(metal="gold").update(expires_at=timezone.now() - MINUTE)
    for address in ("/admin/", "/admin/prices/premium/", LIST):
        assert "Gold (at " in desk.get(address).text
    FallbackPrice.objects.filter(metal="gold").update(expires_at=None)
    assert "have expired" not in desk.get("/admin/").text


def test_only_staff_who_may_see_fallbacks_are_told(client: Client) -> None:
    FallbackPrice.objects.filter(metal="gold").update(expires_at=timezone.now() - MINUTE)
    assert "have expired" not in client.get("/admin/login/").text
    client.force_login(user("clerk", is_staff=True, permissions="_premium$"))
    assert "have expired" not in client.get("/admin/").text


def address() -> str:
    return f"{LIST}{gold().pk}/change/"


def test_staff_say_until_when_a_fallback_is_shown_and_it_is_audited(save: Callable[..., Any]) -> None:
    tomorrow = timezone.localtime(timezone.now() + dt.timedelta(days=1)).replace(microsecond=0)
    written = {"expires_at_0": f"{tomorrow:%Y-%m-%d}", "expires_at_1": f"{tomorrow:%H:%M:%S}"}
    assert saved(save(address(), price="9300", **written))
    assert (gold().expires_at, gold().history.latest().expires_at) == (tomorrow, tomorrow)


@pytest.mark.parametrize(
    ("distance", "complaint"),
    [(dt.timedelta(minutes=-1), "This is in the past"), (dt.timedelta(days=400), "more than a year away")],
)
def test_an_expiry_that_cannot_be_meant_is_refused(
    save: Callable[..., Any], distance: dt.timedelta, complaint: str
) -> None:
    at = timezone.localtime(timezone.now() + distance)
    refused = errors(save(address(), price="9300", expires_at_0=f"{at:%Y-%m-%d}", expires_at_1=f"{at:%H:%M:%S}"))
    assert list(refused) == ["expires_at"]
    assert complaint in refused["expires_at"][0]
    assert gold().price == Decimal("9223.3162")


def test_a_note_to_an_expired_fallback_is_saved_but_no_price(save: Callable[..., Any]) -> None:
    FallbackPrice.objects.filter(metal="gold").update(expires_at=timezone.now() - HOUR)
    assert saved(save(address(), note="by hand"))
    assert list(errors(save(address(), price="9300"))) == ["expires_at"]
    assert saved(save(address(), price="9300", expires_at_0="", expires_at_1=""))


# --- by REST -------------------------------------------------------------------------------------------------------


@pytest.fixture
def patch(desk: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Callable[..., Any]:
    def patch(**fields: Any) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return desk.patch(GOLD, fields, content_type="application/json")

    return patch


def test_rest_reads_and_writes_the_expiry(patch: Callable[..., Any], desk: Client) -> None:
    assert desk.get(GOLD).json()["expiresAt"] is None  # as of every row from before
    tomorrow = (timezone.now() + dt.timedelta(days=1)).replace(microsecond=0)
    assert patch(price=9300, expiresAt=tomorrow.isoformat()).status_code == 200
    assert desk.get(GOLD).json()["expiresAt"] == f"{tomorrow:%Y-%m-%dT%H:%M:%S}.000Z"


def test_a_new_price_without_an_expiry_has_none_and_a_note_leaves_it(patch: Callable[..., Any]) -> None:
    tomorrow = timezone.now() + dt.timedelta(days=1)
    patch(price=9300, expiresAt=tomorrow.isoformat())
    assert patch(note="by hand").json()["expiresAt"] is not None
    assert patch(price=9310).json()["expiresAt"] is None


@pytest.mark.parametrize("at", ["2026-09-24T08:00:00Z", "2999-01-01", "tomorrow", 0, []])
def test_rest_refuses_an_expiry_that_cannot_be_meant(patch: Callable[..., Any], at: Any) -> None:
    response = patch(expiresAt=at)
    assert (response.status_code, list(response.json()["errors"])) == (400, ["expiresAt"])


def test_a_fallback_that_had_expired_is_shown_again_once_its_expiry_is_moved(patch: Callable[..., Any]) -> None:
    FallbackPrice.objects.filter(metal="gold").update(expires_at=timezone.now() - HOUR)
    ingest.fall_back_where_due(now=timezone.now())
    assert shown() is None
    assert patch(expiresAt=None).status_code == 200
    assert shown() == "9223 from fallback"
