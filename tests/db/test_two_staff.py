"""Two members of staff who edit the same row: one does not overwrite the other's change unseen."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from prices.models import Configuration, FallbackPrice

pytestmark = pytest.mark.usefixtures("seeded")
FALLBACK = "/admin/prices/fallbackprice/{}/change/"
CONFIGURATION = "/admin/prices/configuration/1/change/"


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def opened(staff: Client, path: str) -> dict[str, Any]:
    """The fields that the form at `path` posts if nothing is changed."""
    form = staff.get(path).context["adminform"].form
    data: dict[str, Any] = {}
    for name, field in form.fields.items():
        value = form.get_initial_for_field(field, name)
        data[name] = "" if value is None else value
    if "as_of" in data:
        as_of = data.pop("as_of").astimezone()
        data |= {"as_of_0": f"{as_of:%Y-%m-%d}", "as_of_1": f"{as_of:%H:%M:%S}"}
    data.pop("confirm", None)
    return data


def test_a_price_that_was_saved_meanwhile_is_not_overwritten_by_a_form_that_shows_the_old_one(staff: Client) -> None:
    path = FALLBACK.format(FallbackPrice.objects.get(metal="gold").pk)
    first, second = opened(staff, path), opened(staff, path)
    assert staff.post(path, second | {"price": "9500"}).status_code == 302
    answer = staff.post(path, first | {"note": "only a note"})
    assert answer.status_code == 200
    assert "Somebody has saved this since you opened it; it is now: gold 9500" in answer.content.decode()
    assert FallbackPrice.objects.get(metal="gold").price == Decimal(9500)


def test_a_form_that_was_opened_after_the_last_change_is_saved(staff: Client) -> None:
    path = FALLBACK.format(FallbackPrice.objects.get(metal="gold").pk)
    assert staff.post(path, opened(staff, path) | {"price": "9500"}).status_code == 302
    assert staff.post(path, opened(staff, path) | {"price": "9600"}).status_code == 302
    assert FallbackPrice.objects.get(metal="gold").price == Decimal(9600)


def test_the_configuration_is_guarded_likewise(staff: Client) -> None:
    first, second = opened(staff, CONFIGURATION), opened(staff, CONFIGURATION)
    assert staff.post(CONFIGURATION, second | {"freshness_limit_ms": "5000"}).status_code == 302
    assert staff.post(CONFIGURATION, first | {"change_threshold_percent": "2"}).status_code == 200
    assert Configuration.load().freshness_limit_ms == 5000


def test_a_freshness_limit_beyond_a_year_is_refused(staff: Client) -> None:
    answer = staff.post(CONFIGURATION, opened(staff, CONFIGURATION) | {"freshness_limit_ms": str(2**63 - 1)})
    assert answer.status_code == 200
    assert Configuration.load().freshness_limit_ms is None


def test_a_time_before_there_were_prices_is_refused(staff: Client) -> None:
    path = FALLBACK.format(FallbackPrice.objects.get(metal="gold").pk)
    answer = staff.post(path, opened(staff, path) | {"as_of_0": "0001-01-01", "as_of_1": "00:00:00"})
    assert answer.status_code == 200
    assert "before 2000" in answer.content.decode()
