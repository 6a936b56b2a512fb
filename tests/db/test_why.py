"""The page that says why a price was on screens."""

import datetime as dt
import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.http import urlencode
from pytest_django import Settings

from infra.rest import throttles
from prices.models import Candle, HeldPrice, Price, Receipt
from prices.publishing import ingest
from tests.db.test_page_policies import STRICT, policy
from tests.support.always_open import AlwaysOpen
from tests.support.desk import user
from tests.support.quotes import quote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]

MINUTE = dt.timedelta(minutes=1)
# Before now, by any clock: the future has no price.
AN_HOUR_AGO = timezone.now().replace(microsecond=0) - 60 * MINUTE


def publish(minutes: float = 0, **prices: str) -> int:
    """Publish prices so many minutes after an hour ago; returns their `seq`."""
    at = AN_HOUR_AGO + minutes * MINUTE
    publication = ingest.record([quote(metal, price, at=at) for metal, price in prices.items()], now=at)
    assert publication is not None
    return publication.seq


def ask(minutes: float, metal: str = "gold", offset: str = "") -> str:
    """The address of a moment, by the clock of TIME_ZONE, or by a time with an offset."""
    at = AN_HOUR_AGO + minutes * MINUTE
    local = f"{timezone.localtime(at):%Y-%m-%dT%H:%M:%S}" if not offset else f"{at:%Y-%m-%dT%H:%M:%S}{offset}"
    return f"/why/?{urlencode({'metal': metal, 'at': local})}"


def read(page: Any) -> str:
    """A page as its reader sees it, in one line."""
    body = page.content.decode().partition("<body>")[2]
    return " ".join(unescape(re.sub("<[^>]*>", " ", body)).split())


# --- a publication -------------------------------------------------------------------------------------------------


def test_a_publication_is_explained_metal_by_metal(client: Client) -> None:
    seq = publish(gold="9223.3161", silver="105.05")
    page = client.get(f"/why/{seq}/")
    assert page.status_code == 200
    assert "gold-api.com quoted 9,223.3161 INR per gram" in read(page)
    assert "gold-api.com quoted 105.05 INR per gram" in read(page)
    assert f"{timezone.localtime(AN_HOUR_AGO):%H:%M:%S %Z}" in read(page)
    assert [story.metal for _, story in page.context["stories"]] == ["gold", "silver"]
    (address,) = re.findall(r'href="([^"]*)">Signed<', page.content.decode())
    signed = client.get(address)
    assert (signed.status_code, signed["Content-Type"]) == (200, "application/jose")


def test_metals_that_were_not_in_it_lead_to_the_publication_that_screens_went_on_showing(client: Client) -> None:
    both = publish(gold="9223.3161", silver="105.05")
    gold = publish(1, gold="9224")
    publish(2, silver="106")
    page = client.get(f"/why/{gold}/")
    (other,) = [each for each in page.context["others"] if each.metal == "silver"]
    assert (other.price, other.seq) == ("105.05", both)
    assert (
        f'<li id="silver">Silver was not in this publication: screens went on showing <a href="/why/{both}/#silver">'
        in (page.content.decode())
    )


def test_a_publication_leads_to_the_ones_before_and_after_it(client: Client) -> None:
    first, second, third = (publish(minute, gold=f"{9223 + minute}") for minute in range(3))

    def neighbours(seq: int) -> list[str]:
        return re.findall(r'rel="(?:prev|next)" href="/why/(\d+)/"', client.get(f"/why/{seq}/").content.decode())

    assert neighbours(second) == [f"{first}", f"{third}"]
    assert neighbours(third) == [f"{second}"]


def test_the_name_of_who_decided_is_for_staff_alone(client: Client, desk: Client) -> None:
    publish(gold="9223")
    later = AN_HOUR_AGO + MINUTE
    ingest.offer([quote("gold", "10500", at=later)], now=later)
    approved = ingest.decide(HeldPrice.objects.get().pk, approve=True, by="asha", now=later)
    assert approved is not None
    page, of_staff = client.get(f"/why/{approved.seq}/"), desk.get(f"/why/{approved.seq}/")
    assert "was kept back until staff approved it" in read(page)
    assert "asha" not in page.content.decode()
    assert "asha" in read(of_staff)
    assert (page["Cache-Control"], of_staff["Cache-Control"]) == ("no-cache", "private, no-store")
    customer = Client()
    customer.force_login(user("ravi"))
    assert "asha" not in customer.get(f"/why/{approved.seq}/").content.decode()


def test_what_never_was_and_what_is_no_longer_kept_is_not_found_and_says_so(client: Client) -> None:
    first, newest = publish(gold="9223"), publish(1, gold="9224")
    for number in (0, newest + 1, 10**30):
        page = client.get(f"/why/{number}/")
        assert page.status_code == 404
        assert f"There is no publication {number}. The newest is {newest}." in read(page)
    for rows in (Receipt, Price):
        rows.objects.filter(seq=first).delete()  # as retention does
    page = client.get(f"/why/{first}/")
    assert page.status_code == 404
    assert f"No receipt of publication {first} is kept. Receipts are kept for 400 d" in read(page)
    assert "Show its price then" in read(page)


# --- a moment ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", ["", "Z", "+00:00"])
def test_a_moment_has_the_price_that_screens_showed_then_and_its_age(
    client: Client, offset: str, settings: Settings
) -> None:
    settings.MARKET_CALENDAR = AlwaysOpen()  # at whatever hour the test runs
    seq = publish(gold="9223.3161", silver="105.05")
    publish(30, gold="9300")
    page = client.get(ask(20, offset=offset))
    assert page.status_code == 200
    assert page.context["seq"] == seq
    then = f"{timezone.localtime(AN_HOUR_AGO + 20 * MINUTE):%H:%M:%S}"
    assert f"At {then} it was still the newest, 20 min old, and so was stale." in read(page)
    assert [story.metal for _, story in page.context["stories"]] == ["gold", "silver"]
    of_silver = client.get(ask(20, "silver"))
    assert [story.metal for _, story in of_silver.context["stories"]] == ["silver", "gold"]
    assert read(of_silver).count("still the newest") == 1  # of gold nobody asked


MISTAKES = {
    "the future": ({"metal": "gold", "at": "2999-01-01T00:00"}, 400, "That is in the future."),
    "before all prices": ({"metal": "gold", "at": "2001-01-01T00:00"}, 404, "No price of gold is kept from then."),
    "the first year": (
        {"metal": "gold", "at": "0001-01-01T00:00:00+14:00"},
        400,
        "Time: Write a time between the years 1900 and 2999.",
    ),
    "no time": ({"metal": "gold", "at": "noon"}, 400, "Time: Write a time such as 2026-09-24 13:30:05."),
    "no metal": ({"metal": "tin", "at": "2026-01-01T00:00"}, 400, "Metal: Select a valid choice."),
    "neither": ({"at": ""}, 400, "Metal: This field is required. Time: This field is required."),
}


@pytest.mark.parametrize(("asked", "status", "said"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_moment_without_a_price_is_refused_in_words(
    client: Client, asked: dict[str, str], status: int, said: str
) -> None:
    publish(gold="9223")
    page = client.get(f"/why/?{urlencode(asked)}")
    assert page.status_code == status
    assert said in read(page)
    assert "Show its price then" in read(page)


def test_of_a_moment_without_a_receipt_history_is_told_and_whether_a_screen_showed_it(client: Client) -> None:
    publish(gold="9223.3161")
    for rows in (Receipt, Price):
        rows.objects.all().delete()  # as retention does
    told = "The candle of 1m that holds it reaches from 9,223.3161 to 9,223.3161 INR per gram."
    page = client.get(ask(0))
    assert page.status_code == 404
    assert told in read(page)
    assert "filled in" not in read(page)
    Candle.objects.update(seq=0)  # as backfill writes them
    assert f"{told} It was filled in later, and no screen showed it." in read(client.get(ask(0)))
    Candle.objects.all().delete()
    assert "No candle holds it, either." in read(client.get(ask(0)))


@pytest.mark.parametrize("address", ["/why/", "/why/?utm_source=a-letter"])
def test_without_a_moment_the_page_explains_itself(client: Client, address: str) -> None:
    page = client.get(address)
    assert page.status_code == 200
    assert "Each price that screens showed has a receipt" in read(page)


# --- every reader --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/why/", "/why/1/", "/why/99/", "/why/?at=noon"])
def test_the_page_loads_its_own_files_alone_and_is_only_read(client: Client, address: str) -> None:
    publish(gold="9223")
    assert policy(client.get(address)) == STRICT
    assert client.head(address).content == b""
    assert client.post(address).status_code == 405


def test_requests_count_with_those_of_the_api(client: Client, settings: Settings) -> None:
    settings.API_RATE_LIMIT, settings.REDIS_URL = 2, None
    throttles.counter.cache_clear()
    seq = publish(gold="9223")
    assert client.get(f"/why/{seq}/").status_code == 200
    assert client.get("/api/v1/metals/").status_code == 200
    page = client.get(f"/why/{seq}/")
    assert page.status_code == 429
    assert int(page["Retry-After"]) > 0
    assert "Too many requests." in read(page)
    throttles.counter.cache_clear()
