"""Price locks by REST: a price that holds while a customer pays."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client
from django.utils import timezone
from joserfc import jws
from joserfc.jwk import KeySet
from pytest_django import Settings

from accounts import tokens
from infra import database_clock
from locks import retention
from locks.models import KeptAnswer, LockSettings, PriceLock
from prices.api import answers
from prices.models import FallbackPrice, ListedMetal
from prices.publishing import ingest
from prices.publishing import snapshot as current_prices
from signing import keys
from streaming import publish as broadcasting
from tests.support.locks import LOCKS, WANTED, lock, post, publish, redeem, refusal
from tests.support.quotes import quote
from tests.support.signed import JOSE
from tests.support.world import forget_prices

pytestmark = pytest.mark.django_db

MILLISECOND = dt.timedelta(milliseconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
NO_QUANTITIES: list[Any] = [0, -1, 1e9, 0.00001, "NaN", "Infinity", "many", [], True]


@pytest.fixture(autouse=True)
def unpriced(either_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of each kind with metals and without any price, and without web processes."""
    monkeypatch.setattr(broadcasting, "publication", lambda publication: None)
    monkeypatch.setattr(broadcasting, "reload", lambda: None)
    forget_prices()


def logged_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.create(username=name))
    return client


@pytest.fixture
def shop() -> Client:
    """A shop's till, which has logged in."""
    return logged_in("till")


def set_by_staff(**values: Any) -> None:
    LockSettings.load()
    LockSettings.objects.update(**values)


def status(client: Client, granted: dict[str, Any]) -> str:
    """The status of a lock, as its user sees it."""
    return str(client.get(f"{LOCKS}{granted['id']}/").json()["status"])


def ago(span: dt.timedelta) -> None:
    """As if all locks had been issued earlier."""
    PriceLock.objects.update(issued_at=F("issued_at") - span, expires_at=F("expires_at") - span)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[dt.datetime], None]:
    """Set the database's clock."""
    return lambda moment: monkeypatch.setattr(database_clock, "now", lambda: moment)


def expiry(granted: dict[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(granted["expiresAt"])


# --- granted ---------------------------------------------------------------------------------------------------------


def test_a_lock_has_the_price_and_the_position_of_the_stream(shop: Client) -> None:
    published = publish("13221.39")
    granted = lock(shop, quantity=8.25, reference="order 4711")
    assert (expiry(granted) - dt.datetime.fromisoformat(granted["issuedAt"])) == 7 * MINUTE
    assert abs(dt.datetime.fromisoformat(granted["issuedAt"]) - timezone.now()) < MINUTE
    assert granted == {
        **WANTED,
        "id": granted["id"],
        "quantity": 8.25,
        "reference": "order 4711",
        "price": 13221.39,
        "currency": "INR",
        "epoch": published.epoch,
        "seq": published.seq,
        "issuedAt": granted["issuedAt"],
        "expiresAt": granted["expiresAt"],
        "status": "held",
        "tolerancePercent": None,
        "passesOn": False,
        "jws": granted["jws"],
    }
    of_one = shop.get(f"{LOCKS}{granted['id']}/").json()
    assert of_one == granted | {"receipt": of_one["receipt"]}
    assert shop.get(LOCKS).json() == {"data": [granted], "next": None}


def test_the_house_sells_at_the_ask_and_buys_at_the_bid_where_there_are_such(shop: Client) -> None:
    publish("13221", bid="13220", ask="13222.5")
    publish("165.5", "silver")
    sides = [lock(shop, metal=metal, side=side)["price"] for metal in ("gold", "silver") for side in ("sell", "buy")]
    assert sides == [13222.5, 13220, 165.5, 165.5]


@pytest.mark.parametrize(("unit", "purity"), [("10gram", "22k"), ("kg", "995"), ("tola", "916")])
def test_a_lock_is_per_unit_and_purity_as_prices_are(shop: Client, unit: str, purity: str) -> None:
    publish("13221.3977")
    shown = shop.get(f"/api/v1/prices/gold/?unit={unit}&purity={purity}").json()["price"]
    assert lock(shop, unit=unit, purity=purity)["price"] == shown


def test_a_lock_keeps_a_copy_of_its_receipt_when_that_of_the_publication_is_gone(shop: Client) -> None:
    publish("13200", bid="13199", ask="13201")
    at = publish("165.5", "silver").seq
    granted = lock(shop)
    receipt = shop.get(f"/api/v1/publications/{at - 1}/").json()
    assert (granted["seq"], receipt["metals"]["gold"]["ask"]) == (at, granted["price"])
    forget_prices()
    assert shop.get(f"{LOCKS}{granted['id']}/").json()["receipt"] == receipt


def verified(shop: Client, signed: str) -> Any:
    """The content that the published keys signed, with exact amounts."""
    found = jws.deserialize_compact(
        signed, KeySet.import_key_set(shop.get("/.well-known/jwks.json").json()), algorithms=["Ed25519"]
    )
    assert found.headers()["typ"] == "swarna-lock+jws"
    return json.loads(found.payload)


def test_a_lock_is_signed_as_it_was_granted_and_as_it_was_redeemed(shop: Client) -> None:
    publish("13200.5")
    granted = lock(shop, quantity=8.25, reference="for Mrs. Rao")
    terms = {name: value for name, value in granted.items() if name not in ("jws", "reference")}
    assert verified(shop, granted["jws"]) == terms | {"iss": "swarna", "price": "13200.5", "quantity": "8.25"}
    redeemed = redeem(shop, granted).json()
    done = verified(shop, redeemed["jws"])
    assert (done["status"], done["redeemedPrice"]) == ("redeemed", "13200.5")
    address = f"{LOCKS}{granted['id']}/"
    for method in (shop.options, shop.delete):  # which answer with no document
        assert method(address, headers=JOSE)["Content-Type"] in ("application/json", "application/problem+json")
    for response in (shop.get(address, headers=JOSE), shop.get(f"{address}?format=jose")):
        assert response["Content-Type"] == "application/jose"
        assert verified(shop, response.content.decode()) == done
    keys.rotate()
    assert verified(shop, granted["jws"])["price"] == "13200.5"


def test_a_metal_goes_by_its_iso_code_too(shop: Client) -> None:
    publish()
    assert lock(shop, metal="XAU")["metal"] == "gold"


def test_a_token_is_as_good_as_a_login(client: Client) -> None:
    publish()
    _, token = tokens.issue(User.objects.create(username="till"))
    assert post(client, body=WANTED).status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    assert client.post(LOCKS, WANTED, content_type="application/json", headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("quantity", given) for given in NO_QUANTITIES),
        *(("metal", name) for name in ("rhodium", "GOLD", None)),
        *(("purity", name) for name in ("17k", "", None)),
        *(("unit", name) for name in ("pound", None)),
        *(("side", name) for name in ("SELL", "both", None)),
        *(("reference", text) for text in ("", "x" * 101, "x\0", None)),
        ("price", 1),
    ],
)
def test_a_body_with_a_mistake_in_it_locks_nothing_and_names_the_field(shop: Client, field: str, value: Any) -> None:
    publish()
    response = post(shop, body=WANTED | {field: value})
    assert response.status_code == 400
    assert set(response.json()["errors"]) == {field}
    assert not PriceLock.objects.exists()


def test_a_purity_that_the_metal_does_not_have_is_named(shop: Client) -> None:
    publish("165.5", "silver")
    response = post(shop, body=WANTED | {"metal": "silver", "purity": "916"})
    assert (response.status_code, set(response.json()["errors"])) == (400, {"purity"})
    assert lock(shop, metal="silver", purity="925", unit="kg")["price"] == 153087.5


@pytest.mark.parametrize("missing", WANTED)
def test_nothing_is_assumed_of_what_is_locked(shop: Client, missing: str) -> None:
    publish()
    response = post(shop, body={name: value for name, value in WANTED.items() if name != missing})
    assert (response.status_code, set(response.json()["errors"])) == (400, {missing})


# --- refused ---------------------------------------------------------------------------------------------------------


def reason(client: Client, **changed: Any) -> str | None:
    """The reason why a price cannot be locked."""
    code, said, why = refusal(post(client, body=WANTED | changed))
    assert (code, said) == (409, "price-unavailable")
    return why


def test_a_metal_that_is_off_or_has_no_price_is_not_locked(shop: Client) -> None:
    assert reason(shop) == "down"
    publish()
    ListedMetal.objects.filter(name="gold").update(enabled=False)
    assert reason(shop) == "off"


def test_a_stale_price_is_not_locked(shop: Client, settings: Settings) -> None:
    settings.FRESHNESS_LIMIT = MINUTE
    now = timezone.now()
    at = settings.MARKET_CALENDAR.next_change(now - dt.timedelta(days=7)) - HOUR  # while the market was open
    ingest.record([quote(at=at)], now=at)
    assert shop.get("/api/v1/prices/gold/").json()["stale"] is True
    assert reason(shop) == "stale"


def test_a_price_that_this_process_knows_to_be_stale_is_not_locked(
    shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steady clock tells, where the wall clock was put back."""
    publish()
    monkeypatch.setattr("locks.api.views.known_stale", lambda request: frozenset({"gold"}))
    assert reason(shop) == "stale"


def test_a_price_beside_which_a_newer_one_waits_in_quarantine_is_not_locked(shop: Client) -> None:
    publish("13200")
    now = timezone.now()
    ingest.offer([quote(price="20000", at=now, source="metals_dev")], now=now, refresh=1)
    assert lock(shop)["price"] == 13200
    ingest.contest_prices(refresh=2, now=now)
    assert reason(shop) == "quarantined"


def test_a_simulated_price_is_locked_in_a_demo_alone(shop: Client, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["gold_api_com", "simulated"]
    publish(source="simulated")
    assert reason(shop) == "simulated"
    settings.PRICE_PROVIDERS = ["simulated"]
    assert lock(shop)["price"] == 13200


def fall_back(**values: Any) -> None:
    """Show staff's price, for want of any other."""
    FallbackPrice.objects.filter(metal="gold").update(price=12000, **values)
    ingest.fall_back_where_due(now=timezone.now())


def test_a_fallback_is_locked_where_staff_allow_it_however_old_until_it_expires(shop: Client) -> None:
    fall_back(example=False, expires_at=timezone.now() + HOUR)
    assert reason(shop) == "fallback"
    set_by_staff(allows_fallback=True)
    assert lock(shop)["price"] == 12000
    FallbackPrice.objects.update(expires_at=timezone.now())
    assert reason(shop) == "fallback"


def test_an_example_is_never_locked(shop: Client) -> None:
    set_by_staff(allows_fallback=True)
    fall_back(example=True)
    assert reason(shop) == "fallback"


def test_nothing_is_locked_while_staff_have_switched_locks_off_but_held_ones_hold(shop: Client) -> None:
    publish()
    granted = lock(shop)
    set_by_staff(enabled=False)
    assert reason(shop) == "off"
    assert redeem(shop, granted).status_code == 200


def test_a_price_that_no_database_keeps_exactly_is_not_locked(shop: Client) -> None:
    FallbackPrice.objects.filter(metal="gold").update(price=99999999999, example=False)
    ingest.fall_back_where_due(now=timezone.now())
    set_by_staff(allows_fallback=True)
    assert lock(shop)["price"] == 99999999999
    assert set(post(shop, body=WANTED | {"unit": "kg"}).json()["errors"]) == {"unit"}


def test_a_user_holds_and_takes_no_more_locks_than_staff_allow(shop: Client) -> None:
    publish()
    set_by_staff(most_held=2, most_in_an_hour=3)
    first = lock(shop)
    lock(shop)
    refused = post(shop, body=WANTED)
    assert refusal(refused) == (429, "too-many-locks", "held")
    assert 300 < int(refused["Retry-After"]) <= 420
    assert lock(logged_in("another"))["status"] == "held"
    redeem(shop, first)
    lock(shop)
    ago(10 * MINUTE)  # all have expired
    refused = post(shop, body=WANTED)
    assert refusal(refused) == (429, "too-many-locks", "hour")
    assert 2900 < int(refused["Retry-After"]) <= 3000
    ago(HOUR)
    assert lock(shop)["status"] == "held"


def test_a_refusal_for_too_many_locks_is_not_the_last_word_for_its_key(shop: Client) -> None:
    publish()
    set_by_staff(most_held=1)
    first = lock(shop)
    assert post(shop, body=WANTED, key="second").status_code == 429
    redeem(shop, first)
    assert post(shop, body=WANTED, key="second").status_code == 201


# --- redeemed, released, expired -------------------------------------------------------------------------------------


def test_a_lock_holds_whatever_the_market_does(shop: Client) -> None:
    publish("13200")
    granted = lock(shop)
    publish("13900")
    redeemed = redeem(shop, granted)
    assert redeemed.status_code == 200
    assert redeemed.json() == granted | {
        "status": "redeemed",
        "redeemedAt": redeemed.json()["redeemedAt"],
        "redeemedPrice": 13200,
        "jws": redeemed.json()["jws"],
    }


def test_a_lock_is_redeemed_once(shop: Client) -> None:
    publish()
    granted = lock(shop)
    first = redeem(shop, granted, "a")
    assert redeem(shop, granted, "a").content == first.content
    assert refusal(redeem(shop, granted, "b"))[:2] == (409, "lock-redeemed")
    assert refusal(shop.delete(f"{LOCKS}{granted['id']}/"))[:2] == (409, "lock-redeemed")


def test_a_redemption_needs_a_key_and_takes_no_body(shop: Client) -> None:
    publish()
    granted = lock(shop)
    address = f"{LOCKS}{granted['id']}/redeem/"
    for response in (post(shop, address), *(post(shop, address, key=key) for key in ("", "a b", "x" * 201, "é"))):
        assert (response.status_code, set(response.json()["errors"])) == (400, {"Idempotency-Key"})
    assert post(shop, address, {"price": 1}, key="a").status_code == 400
    assert status(shop, granted) == "held"


def test_anothers_lock_is_not_found(shop: Client) -> None:
    publish()
    granted = lock(shop)
    thief = logged_in("thief")
    address = f"{LOCKS}{granted['id']}/"
    answers = [thief.get(address), thief.delete(address), redeem(thief, granted)]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert redeem(shop, {"id": str(uuid4())}).status_code == 404
    assert thief.get(LOCKS).json()["data"] == []
    assert status(shop, granted) == "held"


@pytest.mark.parametrize(("late", "code"), [(-MILLISECOND, 200), (dt.timedelta(0), 410), (MILLISECOND, 410)])
def test_a_lock_expires_at_its_very_moment(
    shop: Client, at: Callable[[dt.datetime], None], late: dt.timedelta, code: int
) -> None:
    publish()
    granted = lock(shop)
    at(expiry(granted) + late)
    assert redeem(shop, granted).status_code == code


def test_a_lock_once_seen_expired_stays_so_when_the_clock_steps_back(
    shop: Client, at: Callable[[dt.datetime], None]
) -> None:
    publish()
    by_redeeming, by_looking, by_listing = (lock(shop) for _ in range(3))
    at(expiry(by_listing) + MILLISECOND)
    assert refusal(redeem(shop, by_redeeming, "late"))[:2] == (410, "lock-expired")
    assert status(shop, by_looking) == "expired"
    assert {each["status"] for each in shop.get(LOCKS).json()["data"]} == {"expired"}
    at(expiry(by_redeeming) - MINUTE)
    for granted in (by_redeeming, by_looking, by_listing):
        assert refusal(redeem(shop, granted))[:2] == (410, "lock-expired")


def test_a_lock_that_was_issued_in_the_future_binds_nobody(shop: Client, at: Callable[[dt.datetime], None]) -> None:
    """The clock was ahead then, or is behind now: the lock would hold for as long as it is off."""
    publish()
    granted = lock(shop)
    at(expiry(granted) - HOUR)
    assert refusal(redeem(shop, granted))[:2] == (410, "lock-expired")


def test_a_released_lock_is_over(shop: Client) -> None:
    publish()
    granted = lock(shop)
    address = f"{LOCKS}{granted['id']}/"
    assert [shop.delete(address).status_code for _ in range(2)] == [204, 204]
    assert refusal(redeem(shop, granted))[:2] == (409, "lock-released")


def test_an_expired_lock_needs_no_release(shop: Client, at: Callable[[dt.datetime], None]) -> None:
    publish()
    granted = lock(shop)
    at(expiry(granted))
    assert shop.delete(f"{LOCKS}{granted['id']}/").status_code == 204
    assert status(shop, granted) == "expired"


def test_a_list_has_the_newest_first_page_by_page_and_by_status(shop: Client) -> None:
    publish()
    made = [lock(shop)["id"] for _ in range(5)]
    redeem(shop, {"id": made[2]})
    found: list[str] = []
    address: str | None = f"{LOCKS}?limit=2"
    while address:
        page = shop.get(address).json()
        found += [each["id"] for each in page["data"]]
        address = page["next"]
    assert found == made[::-1]
    assert [each["id"] for each in shop.get(f"{LOCKS}?status=redeemed").json()["data"]] == [made[2]]
    assert len(shop.get(f"{LOCKS}?status=held").json()["data"]) == 4


# --- tolerance, and moves in the customer's favour -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "then", "code"),
    [
        *(("sell", then, code) for then, code in (("13332", 200), ("13332.01", 409), ("9000", 200))),
        *(("buy", then, code) for then, code in (("13068", 200), ("13067.99", 409), ("15000", 200))),
    ],
)
def test_beyond_the_tolerance_the_market_has_moved_and_the_lock_stays(
    shop: Client, side: str, then: str, code: int
) -> None:
    set_by_staff(tolerance_percent=1)
    publish("13200")
    granted = lock(shop, side=side)
    assert granted["tolerancePercent"] == 1
    publish(then)
    response = redeem(shop, granted, "a")
    assert response.status_code == code
    if code == 200:
        assert response.json()["redeemedPrice"] == 13200
        return
    assert refusal(response)[1] == "price-moved"
    assert response.json()["newPrice"] == float(then)
    publish("13200")
    assert redeem(shop, granted, "a").content == response.content
    assert redeem(shop, granted, "b").json()["redeemedPrice"] == 13200


@pytest.mark.parametrize(
    ("side", "then", "charged"),
    [("sell", "13100", 13100), ("sell", "13300", 13200), ("buy", "13300", 13300), ("buy", "13100", 13200)],
)
def test_a_move_in_the_customers_favour_is_passed_on_where_staff_chose_so(
    shop: Client, side: str, then: str, charged: float
) -> None:
    set_by_staff(passes_on=True)
    publish("13200")
    granted = lock(shop, side=side)
    publish(then)
    assert redeem(shop, granted).json()["redeemedPrice"] == charged


def test_a_lock_keeps_the_terms_that_it_was_granted_under(shop: Client) -> None:
    publish("13200")
    granted = lock(shop)
    set_by_staff(tolerance_percent=0, ttl_seconds=10, passes_on=True)
    publish("13300")
    assert redeem(shop, granted).json()["redeemedPrice"] == 13200


def test_a_price_that_could_not_be_locked_is_no_market_that_has_moved(shop: Client) -> None:
    set_by_staff(tolerance_percent=0, passes_on=True)
    publish("13200")
    granted, other = lock(shop), lock(shop)
    ListedMetal.objects.filter(name="gold").update(enabled=False)
    assert redeem(shop, granted, "a").json()["redeemedPrice"] == 13200
    PriceLock.objects.update(currency="USD")
    ListedMetal.objects.filter(name="gold").update(enabled=True)
    publish("13300")
    assert redeem(shop, other, "b").json()["redeemedPrice"] == 13200


# --- Idempotency-Key -------------------------------------------------------------------------------------------------


def test_the_same_key_gets_the_same_answer_and_one_lock(shop: Client) -> None:
    publish("13200")
    first = post(shop, body=WANTED, key="a")
    publish("13300")
    again = post(shop, body=dict(reversed(WANTED.items())), key="a")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first["Content-Type"] == again["Content-Type"] == "application/json"
    assert PriceLock.objects.count() == 1


def test_a_refusal_is_an_answer_too(shop: Client) -> None:
    first = post(shop, body=WANTED, key="a")
    publish("13200")
    assert refusal(post(shop, body=WANTED, key="a")) == refusal(first) == (409, "price-unavailable", "down")
    assert post(shop, body=WANTED, key="b").status_code == 201


def test_a_key_with_another_body_is_refused(shop: Client) -> None:
    publish()
    post(shop, body=WANTED, key="a")
    assert refusal(post(shop, body=WANTED | {"quantity": 2}, key="a"))[:2] == (422, "idempotency-key-reused")
    assert PriceLock.objects.count() == 1


def test_a_key_is_one_users_at_one_address(shop: Client) -> None:
    publish()
    granted = post(shop, body=WANTED, key="a").json()
    assert post(logged_in("another"), body=WANTED, key="a").json()["id"] != granted["id"]
    assert redeem(shop, granted, "a").json()["status"] == "redeemed"


def test_a_body_with_a_mistake_uses_up_no_key(shop: Client) -> None:
    publish()
    assert post(shop, body=WANTED | {"quantity": 0}, key="a").status_code == 400
    assert post(shop, body=WANTED, key="a").status_code == 201


# --- kept ------------------------------------------------------------------------------------------------------------


def test_what_was_never_redeemed_is_deleted_after_thirty_days(shop: Client, at: Callable[[dt.datetime], None]) -> None:
    publish()
    redeemed, released, held = (lock(shop) for _ in range(3))
    redeem(shop, redeemed)
    shop.delete(f"{LOCKS}{released['id']}/")
    last = expiry(held)
    at(last + dt.timedelta(days=30) - MINUTE)
    retention.clean()
    assert PriceLock.objects.count() == 3
    at(last + dt.timedelta(days=30))
    retention.clean()
    assert [str(each.key) for each in PriceLock.objects.all()] == [redeemed["id"]]


def test_answers_are_kept_for_a_day(shop: Client, at: Callable[[dt.datetime], None]) -> None:
    publish()
    post(shop, body=WANTED, key="a")
    (kept,) = KeptAnswer.objects.values_list("kept_at", flat=True)
    at(kept + dt.timedelta(hours=24) - MILLISECOND)
    retention.clean()
    assert KeptAnswer.objects.count() == 1
    at(kept + dt.timedelta(hours=24))
    retention.clean()
    assert KeptAnswer.objects.count() == 0


def test_a_lock_outlives_its_user(shop: Client) -> None:
    publish()
    redeem(shop, lock(shop))
    User.objects.get(username="till").delete()
    assert PriceLock.objects.get().user is None
    assert KeptAnswer.objects.count() == 0


def test_the_databases_clock_goes_on_within_a_transaction() -> None:
    first = database_clock.now()
    assert abs(first - timezone.now()) < MINUTE
    while database_clock.now() == first:
        pass


def test_the_price_and_the_position_are_of_one_moment(shop: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prices that are read are those that REST shows."""
    publish("13200", bid="13199", ask="13201")
    publish("165", "silver")
    shown = answers.prices(current_prices.locked(), {"unit": "gram", "purity": "24k"}, timezone.now())
    assert shown == answers.prices(current_prices.read(), {"unit": "gram", "purity": "24k"}, timezone.now())
