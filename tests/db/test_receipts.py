"""Receipts: what a published price was made of, for as long as its tick is kept."""

import datetime as dt
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from accounts import roles
from infra.formats import to_ms
from prices.audit import StaffChange
from prices.domain import receipts as domain
from prices.domain.provider_table import ProviderRow
from prices.domain.quotes import Metal, Quote
from prices.domain.receipts import Decision, Method
from prices.domain.source_quotes import Exchange, Exclusion, RawUnit, SourceQuote
from prices.history import retention
from prices.models import (
    Candle,
    FallbackPrice,
    HeldPrice,
    ListedMetal,
    Premium,
    Price,
    Receipt,
    SignificantChange,
)
from prices.providers.errors import TemporaryError
from prices.publishing import ingest, receipts, snapshot
from prices.staff import quarantine
from prices.staff.changes import one_change
from streaming import publish
from tests.support.databases import seed
from tests.support.quotes import NOW, quote
from tests.support.signed import JOSE, verified
from tests.support.world import PRICES, World, forget_prices

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def _seeded(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """A database with metals and without any tick, and without web processes."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    monkeypatch.setattr(publish, "reload", lambda: None)
    seed()
    forget_prices()


def raw(source: str, price: str, **more: Any) -> SourceQuote:
    """A source's quote, in INR per troy ounce."""
    values: dict[str, Any] = {"raw_price": Decimal(price), "raw_currency": "INR", "raw_unit": RawUnit.TROY_OUNCE} | more
    return SourceQuote(source=source, fetched_ms=to_ms(NOW), quoted_ms=to_ms(NOW), **values)


def get(client: Client, path: str, status: int = 200) -> Any:
    """The JSON of an answer."""
    response = client.get(path)
    assert response.status_code == status, response.content
    return json.loads(response.content)


def receipt_of(seq: int, metal: str = "gold") -> domain.Receipt:
    (found,) = (each for each in receipts.of_publication(seq) if each.metal == metal)
    return found


def published(*quotes: Quote, at: dt.datetime = NOW) -> int:
    """Publish quotes; returns the publication's number."""
    publication = ingest.record(quotes, now=at)
    assert publication is not None
    return publication.seq


# --- what a receipt says --------------------------------------------------------------------------------------------


def test_each_publication_has_a_receipt_of_each_metal(client: Client) -> None:
    gold = quote("gold", "13221.39", bid="13220", ask="13222.5")
    gold = replace(gold, sources=(raw("gold_api_com", "411231.1978", spot=Decimal("13221.39")),))
    seq = published(gold, quote("silver", "165.5"), at=NOW + dt.timedelta(seconds=1))

    answer = get(client, f"/api/v1/publications/{seq}/")

    assert answer | {"epoch": "", "metals": {}} == {
        "epoch": "",
        "seq": seq,
        "publishedAt": "2026-09-24T08:00:01.000Z",
        "currency": "INR",
        "unit": "gram",
        "metals": {},
    }
    assert answer["epoch"] == get(client, "/api/v1/prices/")["epoch"]
    assert list(answer["metals"]) == ["gold", "silver"]
    assert answer["metals"]["gold"] == {
        "price": 13221.39,
        "spot": 13221.39,
        "bid": 13220,
        "ask": 13222.5,
        "source": "gold_api_com",
        "kind": "live",
        "method": "first",
        "quotedAt": "2026-09-24T08:00:00.000Z",
        "ageMs": 1000,
        "freshnessLimitMs": 300000,
        "stale": False,
        "premium": 1,
        "premiumIncludedBySource": False,
        "sources": [
            {
                "source": "gold_api_com",
                "used": True,
                "rawPrice": 411231.1978,
                "rawCurrency": "INR",
                "rawUnit": "troy_ounce",
                "quotedAt": "2026-09-24T08:00:00.000Z",
                "fetchedAt": "2026-09-24T08:00:00.000Z",
                "spot": 13221.39,
            }
        ],
    }


def test_a_row_with_three_sources_takes_less_than_a_kilobyte(client: Client) -> None:
    """As much as each field of three sources can usually hold, all three converted from dollars."""
    rate = Exchange(Decimal("95.960012"), "frankfurter", to_ms(NOW))
    parts = tuple(
        raw(
            f"metalpriceapi_{number}",
            "13221.390012",
            spot=Decimal("13221.3900"),
            bid=Decimal("13220.0000"),
            ask=Decimal("13222.5000"),
            deviation_percent=Decimal("-12.3456"),
            raw_unit=RawUnit.RECIPROCAL_TROY_OUNCE,
            exchange=rate,
            excluded_by=Exclusion.TOLERANCE,
        )
        for number in range(3)
    )
    seq = published(replace(quote("gold", "13221.39", bid="13220", ask="13222.5"), sources=parts))
    row = Receipt.objects.get(seq=seq)
    values = (row.metal, row.currency, row.lane, row.text)
    size = sum(len(value.encode()) for value in values) + 3 * 8  # and numbers and times
    print(f"{size} bytes")
    assert size <= 1024


def test_a_premium_is_in_the_receipt_and_a_new_one_is_based_on_the_receipt_before(client: Client) -> None:
    asha = staff("asha", "Price editor")
    gold = ListedMetal.objects.get(name="gold")
    first = published(replace(quote("gold", "100"), sources=(raw("gold_api_com", "3110.35", spot=Decimal(100)),)))
    with one_change(by=asha) as change:
        Premium.objects.create(metal=gold, multiplier=Decimal("1.06"), effective_from=NOW)
        second = ingest.apply_premiums(now=NOW + MINUTE)

    assert second is not None
    receipt = receipt_of(second.seq)
    assert (receipt.method, receipt.price, receipt.spot, receipt.premium) == (
        Method.PREMIUM,
        Decimal(106),
        Decimal(100),
        Decimal("1.06"),
    )
    assert receipt.based_on == first
    assert receipt.sources == receipt_of(first).sources
    assert receipt.decided_by is not None
    assert (receipt.decided_by.decision, receipt.decided_by.role, receipt.decided_by.name) == (
        Decision.PREMIUM,
        "Price editor",
        "asha",
    )
    later = published(quote("gold", "101", at=NOW + 2 * MINUTE), at=NOW + 2 * MINUTE)
    assert receipt_of(later).method is Method.FIRST
    change.refresh_from_db()
    assert domain.decode_all(change.receipts) == (receipt,)  # once, and not each tick under it


def test_the_first_quote_under_a_premium_is_kept_with_the_change_that_set_it() -> None:
    published(quote("gold", "100"))
    with one_change(by=staff("asha", "Price editor")) as change:
        gold = ListedMetal.objects.get(name="gold")
        Premium.objects.create(metal=gold, multiplier=Decimal("1.06"), effective_from=NOW + MINUTE)
    seq = published(quote("gold", "101", at=NOW + 2 * MINUTE), at=NOW + 2 * MINUTE)
    published(quote("gold", "102", at=NOW + 3 * MINUTE), at=NOW + 3 * MINUTE)
    change.refresh_from_db()
    assert domain.decode_all(change.receipts) == (receipt_of(seq),)


def staff(name: str, role: str) -> User:
    """A member of staff with a role."""
    call_command("migrate", verbosity=0)
    user = User.objects.create_user(name, password="x", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    assert roles.role_of(name) == role
    return user


def test_the_name_of_who_decided_is_for_staff_alone(client: Client) -> None:
    asha = staff("asha", "Approver")
    published(quote("gold", "100"))
    ingest.offer([quote("gold", "150", at=NOW + MINUTE)], now=NOW + MINUTE, refresh=1)
    held = HeldPrice.pending().get()
    quarantine.decide(held.pk, approve=True, by=asha)
    current = receipts.current(Metal.GOLD)
    assert current is not None
    seq = current.seq

    public = client.get(f"/api/v1/publications/{seq}/")
    receipt = public.json()["metals"]["gold"]
    assert receipt["method"] == "approved"
    assert receipt["decidedBy"] | {"at": ""} == {"decision": "approved", "role": "Approver", "at": ""}
    assert "asha" not in public.content.decode()
    assert public["Cache-Control"] == "no-cache"

    client.force_login(asha)
    private = client.get(f"/api/v1/publications/{seq}/")
    assert private.json()["metals"]["gold"]["decidedBy"]["name"] == "asha"
    assert private["Cache-Control"] == "no-store"
    signed = client.get(f"/api/v1/publications/{seq}/", headers=JOSE)
    payload = verified(client, signed.content.decode()).payload.decode()
    assert '"role":"Approver"' in payload
    assert "asha" not in payload

    for answer in (public, private, signed):
        assert {"Accept", "Authorization", "Cookie"} <= {name.strip() for name in answer["Vary"].split(",")}
    copy = domain.decode_all(StaffChange.objects.latest("pk").receipts)
    assert copy == (receipt_of(seq),)


def test_a_signed_receipt_says_the_same_with_amounts_as_strings(client: Client) -> None:
    seq = published(quote("gold", "13221.39"))
    address = f"/api/v1/publications/{seq}/"
    signed = client.get(address, headers=JOSE)
    assert (signed.status_code, signed["Content-Type"]) == (200, "application/jose")
    document = verified(client, signed.content.decode())
    assert document.headers()["typ"] == "swarna-receipt+jws"
    payload, plain = json.loads(document.payload), get(client, address)
    assert payload.pop("iss") == "swarna"
    assert payload["metals"]["gold"]["price"] == "13221.39"
    assert _with_amounts_as_strings(plain) == payload
    assert client.get(address, {"format": "jose"}).content == signed.content
    assert client.options(address, headers=JOSE).status_code == 200
    missing = client.get("/api/v1/publications/999/", headers=JOSE)
    assert (missing.status_code, missing["Content-Type"]) == (404, "application/problem+json")


def _with_amounts_as_strings(plain: Any) -> Any:
    """JSON whose numbers are strings, except those that are no amounts."""
    if isinstance(plain, list):
        return [_with_amounts_as_strings(each) for each in plain]
    if not isinstance(plain, dict):
        return plain
    counts = ("seq", "ageMs", "freshnessLimitMs", "contributors", "basedOn")
    return {
        name: str(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in counts
        else _with_amounts_as_strings(value)
        for name, value in plain.items()
    }


def test_an_approved_price_says_what_it_was_made_of_when_it_was_quarantined() -> None:
    published(quote("gold", "100"))
    part = raw("gold_api_com", "4665.5", spot=Decimal(150))
    ingest.offer([replace(quote("gold", "150", at=NOW + MINUTE), sources=(part,))], now=NOW + MINUTE, refresh=1)
    publication = ingest.decide(HeldPrice.pending().get().pk, approve=True, by="asha", now=NOW + 2 * MINUTE)
    assert publication is not None
    assert receipt_of(publication.seq).sources == (part,)


def test_a_price_that_another_source_confirms_says_so() -> None:
    published(quote("gold", "13200"))
    ingest.offer([quote("gold", "15000", at=NOW + MINUTE)], now=NOW + MINUTE, refresh=1)
    ingest.offer([quote("gold", "15001", at=NOW + MINUTE, source="metals_dev")], now=NOW + MINUTE, refresh=1)
    receipt = receipts.current(Metal.GOLD)
    assert receipt is not None
    assert (receipt.method, receipt.price) == (Method.CONFIRMED, Decimal(15001))


def test_a_fallback_says_who_entered_it_and_is_kept_once(settings: Settings) -> None:
    settings.FALLBACK_AFTER = HOUR
    asha = staff("asha", "Price editor")
    row = FallbackPrice.objects.get(metal="gold")
    with one_change(by=asha) as change:
        row.price, row.as_of, row.example = Decimal(99), NOW, False
        row.save()
    first = ingest.fall_back_where_due(now=NOW + MINUTE)
    assert first is not None
    receipt = receipt_of(first.seq)
    assert (receipt.method, receipt.kind, receipt.price) == (Method.FALLBACK, "fallback", Decimal(99))
    assert receipt.decided_by is not None
    assert (receipt.decided_by.decision, receipt.decided_by.name) == (Decision.ENTERED, "asha")
    assert [(part.source, part.raw_price, part.raw_unit) for part in receipt.sources] == [
        ("fallback", Decimal(99), RawUnit.GRAM)
    ]
    published(quote("gold", "100", at=NOW + 2 * MINUTE), at=NOW + 2 * MINUTE)
    again = ingest.fall_back_where_due(now=NOW + 5 * HOUR)
    assert again is not None
    change.refresh_from_db()
    assert domain.decode_all(change.receipts) == (receipt,)


def test_an_example_was_decided_by_nobody() -> None:
    publication = ingest.fall_back_where_due(now=NOW)
    assert publication is not None
    receipt = receipt_of(publication.seq)
    assert receipt.example
    assert receipt.decided_by is None


def test_what_an_expired_fallback_brings_back_is_based_on_its_last_receipt(settings: Settings) -> None:
    settings.FALLBACK_AFTER = HOUR
    live = published(quote("gold", "100"))
    FallbackPrice.objects.filter(metal="gold").update(expires_at=NOW + 3 * HOUR, example=False)
    assert ingest.fall_back_where_due(now=NOW + 2 * HOUR) is not None
    restored = ingest.withdraw_fallbacks(now=NOW + 3 * HOUR)
    assert restored is not None
    receipt = receipt_of(restored.seq)
    assert (receipt.method, receipt.based_on, receipt.price) == (Method.RESTORED, live, Decimal(100))
    assert receipt.is_stale


def test_a_significant_move_keeps_its_receipt_for_good(client: Client) -> None:
    published(quote("gold", "100"))
    seq = published(quote("gold", "103", at=NOW + MINUTE), quote("silver", "1", at=NOW + MINUTE), at=NOW + MINUTE)
    receipt = receipt_of(seq)
    assert domain.decode(SignificantChange.objects.get(seq=seq).receipt) == receipt
    Receipt.objects.all().delete()
    Price.objects.all().delete()
    assert list(get(client, f"/api/v1/publications/{seq}/")["metals"]) == ["gold"]


# --- which there is none of -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seq", "detail"),
    [
        ("0", "'0' is no publication: its `seq` is a whole number from 1 on."),
        ("-1", "'-1' is no publication"),
        ("1.5", "'1.5' is no publication"),
        ("\u0663", "is no publication"),
        ("7", "There is no publication 7 yet: the newest is 1."),
        ("9" * 30, "There is no publication 999999999999999999999999999999 yet"),
        pytest.param("9" * 9000, "There is no publication 9999", id="9000 digits"),
    ],
)
def test_a_number_without_a_publication_is_a_404_that_says_why(client: Client, seq: str, detail: str) -> None:
    published(quote("gold", "100"))
    answer = get(client, f"/api/v1/publications/{seq}/", 404)
    assert detail in answer["detail"]


@pytest.mark.django_db(transaction=True)
def test_a_publication_that_retention_took_is_a_404_that_says_so(client: Client, settings: Settings) -> None:
    settings.TICKS_KEPT_FOR = dt.timedelta(days=30)
    long_ago = NOW - dt.timedelta(days=70)
    old = published(quote("gold", "100", at=long_ago), at=long_ago)
    new = published(quote("gold", "100.5"))
    retention.keep_history(now=NOW)
    assert "no longer kept" in get(client, f"/api/v1/publications/{old}/", 404)["detail"]
    assert "for 30 days" in get(client, f"/api/v1/publications/{old}/", 404)["detail"]
    get(client, f"/api/v1/publications/{new}/")
    assert {row.seq for row in Receipt.objects.all()} == {new}


def test_a_tick_from_before_receipts_has_one_that_says_what_is_known(client: Client) -> None:
    seq = published(quote("gold", "13221.39", bid="13220", ask="13222.5"))
    Receipt.objects.all().delete()
    receipt = get(client, f"/api/v1/publications/{seq}/")["metals"]["gold"]
    assert receipt | {"sources": None} == {
        "price": 13221.39,
        "spot": 13221.39,
        "bid": 13220,
        "ask": 13222.5,
        "source": "gold_api_com",
        "kind": "live",
        "method": None,
        "quotedAt": "2026-09-24T08:00:00.000Z",
        "ageMs": None,
        "freshnessLimitMs": None,
        "stale": None,
        "premium": None,
        "premiumIncludedBySource": False,
        "sources": None,
    }
    assert get(client, "/api/v1/prices/gold/?at=2026-09-24T08:00:00Z")["seq"] == seq


# --- the price at a moment ------------------------------------------------------------------------------------------


def price_at(client: Client, at: str, **more: str) -> Any:
    query = {"at": at, **more}
    return client.get("/api/v1/prices/gold/", query).json()


def test_a_moments_price_is_the_last_one_published_by_then_whenever_it_was_quoted(client: Client) -> None:
    late = NOW + 10 * MINUTE
    first = published(quote("gold", "13200", bid="13199", ask="13201"))
    second = published(quote("gold", "13210", at=NOW + MINUTE), at=late)

    said = price_at(client, "2026-09-24T13:39:59.999+05:30")
    assert said == {
        "metal": "gold",
        "price": 13200,
        "change": 0,
        "changePercent": 0,
        "high": 13200,
        "low": 13200,
        "open": 13200,
        "previousClose": None,
        "timestamp": "2026-09-24T08:00:00.000Z",
        "source": "gold_api_com",
        "stale": True,  # by the limit of five minutes that its receipt keeps
        "bid": 13199,
        "ask": 13201,
        "epoch": receipt_of(first).epoch,
        "seq": first,
        "publishedAt": "2026-09-24T08:00:00.000Z",
        "market": "open",
        "currency": "INR",
        "unit": "gram",
        "purity": "24k",
    }
    assert price_at(client, "2026-09-24T08:10:00Z")["seq"] == second
    assert price_at(client, "2026-09-24T09:30:00Z")["seq"] == second  # a gap shows the price before it
    assert price_at(client, "2026-09-24T08:04:59Z")["stale"] is False
    ten = price_at(client, "2026-09-24T08:10:00Z", unit="10gram")
    assert (ten["price"], ten["unit"]) == (132100, "10gram")


def test_its_staleness_is_by_the_limit_of_that_time(client: Client, settings: Settings) -> None:
    settings.FRESHNESS_LIMIT = HOUR
    published(quote("gold", "13200"))
    settings.FRESHNESS_LIMIT = MINUTE
    assert price_at(client, "2026-09-24T08:30:00Z")["stale"] is False


def test_where_no_limit_was_kept_a_price_is_not_called_fresh(client: Client) -> None:
    """So it is of ticks from before there were receipts: nobody knows."""
    published(quote("gold", "13200"))
    Receipt.objects.all().delete()
    assert price_at(client, "2026-09-24T08:00:00Z")["stale"] is True


def test_a_past_price_was_stale_whenever_screens_called_it_so(world: World, client: Client) -> None:
    """While a newer quote had outlasted a refresh in quarantine, however young it was itself."""
    shown: list[tuple[dt.datetime, bool]] = []

    def refresh(gold: str | None = None) -> None:
        world.says["a"] = PRICES | {Metal.GOLD: gold} if gold else TemporaryError("is away")
        world.refresh()
        current = snapshot.read()
        shown.append((world.now, current.is_stale(current.quotes[Metal.GOLD], world.now)))

    world.says |= dict.fromkeys("bc", TemporaryError("is away"))
    for gold in ("13200", "14500", "14500", "15500", None, "13201", "13202", "14500"):
        refresh(gold)
    assert [stale for _, stale in shown] == [False, False, True, True, True, False, False, False]

    for at, stale in shown:
        mark = "Stale" if stale else "Live"
        moment = {"at": at.isoformat()}
        assert client.get("/api/v1/prices/gold/", moment).json()["stale"] is stale, at
        assert client.get("/gold/", moment).context["answer"].marks == mark, at
        page = client.get("/why/", {"metal": "gold", **moment})
        assert page.context["stories"][0][1].label == mark, at
        assert ("It was contested, and so shown as stale" in page.content.decode()) is stale, at


def test_it_was_stale_then_though_the_quote_that_contested_it_came_again(world: World, client: Client) -> None:
    world.refresh()
    world.says |= {"a": PRICES | {Metal.GOLD: "14500"}} | dict.fromkeys("bc", TemporaryError("is away"))
    world.refresh()
    world.refresh()
    contested = world.now
    world.says["b"] = PRICES
    world.refresh()
    world.refresh()
    assert price_at(client, contested.isoformat())["stale"] is True
    assert price_at(client, world.now.isoformat())["stale"] is False


def test_a_price_that_was_contested_when_it_went_out_under_another_premium_says_so(
    world: World, client: Client
) -> None:
    world.refresh()
    world.says |= {"a": PRICES | {Metal.GOLD: "14500"}} | dict.fromkeys("bc", TemporaryError("is away"))
    world.refresh()
    world.refresh()
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.1"), effective_from=world.now)
    publication = ingest.apply_premiums(now=world.now + dt.timedelta(seconds=1))
    assert publication is not None
    ((_, story),) = client.get(f"/why/{publication.seq}/").context["stories"]
    assert story.label == "Stale"


def test_since_when_a_price_was_contested_may_not_be_known(world: World, client: Client) -> None:
    """As of quotes that were quarantined by an older version: then it is since they waited."""
    world.refresh()
    world.says |= {"a": PRICES | {Metal.GOLD: "14500"}} | dict.fromkeys("bc", TemporaryError("is away"))
    world.refresh()
    quarantined = world.now
    world.refresh()
    HeldPrice.objects.update(contested_at=None)
    assert price_at(client, (quarantined - MINUTE).isoformat())["stale"] is False
    assert price_at(client, quarantined.isoformat())["stale"] is True


def test_of_two_publications_in_one_moment_the_later_counts(client: Client) -> None:
    moment = NOW.replace(microsecond=245_100)
    published(quote("gold", "13200"), at=moment)
    second = published(quote("gold", "13210", at=NOW + dt.timedelta(milliseconds=200)), at=moment)
    third = published(
        quote("gold", "13220", at=NOW + dt.timedelta(milliseconds=244)), at=moment + dt.timedelta(microseconds=800)
    )
    assert receipts.at(Metal.GOLD, moment) == receipt_of(third)  # clients know times by the millisecond
    assert price_at(client, "2026-09-24T08:00:00.245Z")["seq"] == third
    Receipt.objects.filter(seq=third).delete()
    assert price_at(client, "2026-09-24T08:00:00.245Z")["seq"] == second


def test_a_publication_of_the_month_before_is_found(client: Client) -> None:
    friday = dt.datetime(2026, 7, 31, 12, tzinfo=dt.UTC)
    seq = published(quote("gold", "13200", at=friday), at=friday)
    assert price_at(client, "2026-08-02T12:00:00Z")["seq"] == seq


def test_a_simulated_price_was_on_no_screen_that_does_not_show_any(client: Client) -> None:
    live = published(quote("gold", "13200"))
    published(quote("gold", "13210", at=NOW + MINUTE, source="simulated"), at=NOW + MINUTE)
    assert price_at(client, "2026-09-24T08:02:00Z")["seq"] == live


def test_a_moment_that_has_yet_to_come_is_a_mistake(client: Client) -> None:
    published(quote("gold", "13200"))
    response = client.get("/api/v1/prices/gold/?at=2999-01-01T00:00:00Z")
    assert response.status_code == 400
    assert "This is in the future: it is 20" in response.json()["errors"]["at"][0]


@pytest.mark.parametrize("at", ["2026-09-24T13:30:00+05:30", "2026-09-24T13:30:00.5+0530"])
def test_a_plus_that_became_a_space_is_explained(client: Client, at: str) -> None:
    response = client.get(f"/api/v1/prices/gold/?at={at}")
    assert response.status_code == 400
    assert "%2B05:30" in response.json()["errors"]["at"][0]
    assert "read as a space" in response.json()["errors"]["at"][0]


def test_a_moment_before_all_publications_names_the_candle_that_holds_it(client: Client) -> None:
    published(quote("gold", "13200"))
    detail = get(client, "/api/v1/prices/gold/?at=2026-09-24T07:59:00Z", 404)["detail"]
    assert "No publication of gold by 2026-09-24T07:59:00.000Z is kept" in detail
    address = detail.rpartition(" ")[2]
    assert address.startswith("prices/gold/candles/?interval=1d&")
    (candle,) = get(client, f"/api/v1/{address}")["data"]
    assert candle["close"] == 13200
    Candle.objects.update(seq=0)
    detail = get(client, "/api/v1/prices/gold/?at=2026-09-24T07:59:00Z", 404)["detail"]
    assert "A candle that was filled in later, and that no screen showed, holds that moment: prices/gold/" in detail
    detail = get(client, "/api/v1/prices/gold/?at=2020-01-01", 404)["detail"]
    assert "No candle holds that moment" in detail


def test_a_metal_that_is_not_known_is_named(client: Client) -> None:
    assert "'rhodium'" in get(client, "/api/v1/prices/rhodium/?at=2026-09-24", 404)["detail"]
    published(quote("gold", "13200"))
    assert get(client, "/api/v1/prices/XAU/?at=2026-09-24T09:00:00Z")["metal"] == "gold"


# --- what sources gave ----------------------------------------------------------------------------------------------


def gold() -> domain.Receipt:
    """The receipt of gold's current price."""
    receipt = receipts.current(Metal.GOLD)
    assert receipt is not None
    return receipt


def exclusions() -> dict[str, Exclusion | None]:
    """The sources in the receipt of gold, each with the rule by which it was excluded."""
    return {part.source: part.excluded_by for part in gold().sources}


def test_sources_that_were_fetched_before_say_why_they_were_not_used(world: World) -> None:
    world.refresh()
    world.says |= {"a": TemporaryError("is away"), "b": PRICES | {Metal.GOLD: "15000"}}
    world.refresh()
    assert exclusions() == {"a": Exclusion.ERROR, "b": Exclusion.QUARANTINED, "c": None}
    assert (gold().method, gold().source) == (Method.FIRST, "c")
    quarantined = next(part for part in gold().sources if part.source == "b")
    assert (quarantined.spot, quarantined.fetched_ms) == (Decimal(15000), to_ms(world.now))


def test_a_stale_answer_is_excluded_and_used_where_there_is_no_better_one(world: World) -> None:
    world.froze_at["a"] = world.now - HOUR
    world.refresh()
    assert exclusions() == {"a": Exclusion.STALE, "b": None}
    world.froze_at |= dict.fromkeys("abc", world.now)
    world.says |= dict.fromkeys("abc", PRICES | {Metal.GOLD: "13201"})
    world.refresh(30)
    assert (gold().price, gold().is_stale) == (Decimal(13201), True)
    assert sorted(rule or "" for rule in exclusions().values()) == ["", "stale", "stale"]


def test_an_agreed_price_has_all_its_sources_side_by_side(world: World, settings: Settings) -> None:
    settings.CONSENSUS_SOURCES = 2
    world.says |= {"b": PRICES | {Metal.GOLD: "13211"}, "c": PRICES | {Metal.GOLD: "1320"}}
    world.refresh()
    assert exclusions() == {"a": None, "b": None, "c": Exclusion.TOLERANCE}
    deviations = {part.source: part.deviation_percent for part in gold().sources}
    assert deviations == {"a": Decimal(0), "b": Decimal("0.0833"), "c": Decimal(-90)}
    assert (gold().method, gold().price, gold().contributors) == (Method.CONSENSUS, Decimal("13205.5"), 2)
    world.says["c"] = TemporaryError("is away")
    world.says["a"] = PRICES | {Metal.GOLD: "13212"}
    world.refresh()
    assert exclusions() == {"a": None, "b": None, "c": Exclusion.ERROR}


def test_a_price_that_staff_chose_among_sources_that_disagree_has_the_others(world: World, settings: Settings) -> None:
    settings.CONSENSUS_SOURCES = 2
    world.says |= {"b": PRICES | {Metal.GOLD: "14000"}, "c": TemporaryError("is away")}
    world.refresh()
    chosen = HeldPrice.pending().get(metal="gold", source="b")
    ingest.decide(chosen.pk, approve=True, by="asha", now=world.now)
    assert exclusions() == {"a": Exclusion.AGREEMENT, "b": None}
    assert (gold().method, gold().price) == (Method.APPROVED, Decimal(14000))


def test_a_premium_that_a_source_includes_is_in_its_part(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prices.premiums.PROVIDER_TABLE", {"a": ProviderRow("a", "", includes_premium=True)})
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.1"), effective_from=world.now)
    world.says["a"] = PRICES | {Metal.GOLD: "14520"}
    world.refresh()
    (part,) = gold().sources
    assert (part.included, part.spot) == (Decimal("1.1"), Decimal(13200))
    receipt = gold()
    assert (receipt.price, receipt.spot, receipt.premium) == (Decimal(14520), Decimal(13200), Decimal("1.1"))
    assert receipt.is_premium_included


def test_a_copys_text_is_on_no_page_of_staff(admin_client: Client) -> None:
    published(quote("gold", "13200"))
    published(quote("gold", "13400", at=NOW + MINUTE), at=NOW + MINUTE)
    move = SignificantChange.objects.get()
    page = admin_client.get(f"/admin/prices/significantchange/{move.pk}/change/")
    assert page.status_code == 200
    assert '["gold"' not in page.content.decode().replace("&quot;", '"')
