"""Locks for tests: what a shop asks for, and prices to lock."""

import json
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from prices.domain.quotes import Publication
from prices.publishing import ingest
from tests.support.quotes import quote

LOCKS = "/api/v1/locks/"
WANTED = {"metal": "gold", "unit": "gram", "purity": "24k", "side": "sell"}


def publish(price: str = "13200", metal: str = "gold", *, source: str = "gold_api_com", **figures: str) -> Publication:
    """Publish a price that was quoted just now."""
    now = timezone.now()
    publication = ingest.record([quote(metal, price, at=now, source=source, **figures)], now=now)
    assert publication is not None
    return publication


def post(client: Client, address: str = LOCKS, body: Any = None, *, key: str | None = None) -> Any:
    """The response to a POST, with an Idempotency-Key if one is given."""
    headers = {} if key is None else {"Idempotency-Key": key}
    sent = json.dumps({} if body is None else body)
    return client.post(address, sent, content_type="application/json", headers=headers)


def lock(client: Client, **changed: Any) -> dict[str, Any]:
    """A lock that is granted."""
    response = post(client, body=WANTED | changed)
    assert response.status_code == 201, response.content
    granted: dict[str, Any] = response.json()
    return granted


def redeem(client: Client, granted: dict[str, Any], key: str = "once") -> Any:
    """The response to a redemption."""
    return post(client, f"{LOCKS}{granted['id']}/redeem/", key=key)


def refusal(response: Any) -> tuple[int, str, str | None]:
    """The status, code and reason of a refusal."""
    assert response["Content-Type"] == "application/problem+json"
    said = response.json()
    assert said["type"] == f"urn:swarna:{said['code']}"
    return response.status_code, said["code"], said.get("reason")


def tills(count: int) -> list[Client]:
    """Clients of one shop, each logged in by itself."""
    shop, _ = User.objects.get_or_create(username="shop")
    made = [Client() for _ in range(count)]
    for each in made:
        each.force_login(shop)
    return made
