"""The policies of pages, as the browser enforces them: no page of ours breaks its own."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote as quoted
from django.contrib.auth.models import Group, User
from django.db import transaction
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule
from playwright.sync_api import Page, expect

from accounts import tokens
from locks import lifecycle
from locks.lifecycle import Wanted
from locks.rules import Side
from prices.audit import StaffChange
from prices.domain.quotes import Metal
from prices.models import ApprovalLimit, Premium, SanityBand
from prices.publishing import ingest
from prices.sources import registry
from tests.support import axe
from tests.support.browser import new_page
from tests.support.desk import proposed_edit
from tests.support.pages import A_CARD_EACH
from tests.support.quotes import quote
from tests.support.server import Server

PASSWORD = "correct horse battery"


def rows_of_everything() -> None:
    """A row of each model of the admin, and histories so long that they have pages."""
    now = dt.datetime.now(dt.UTC)
    with transaction.atomic():
        lifecycle.grant(Wanted(Metal.GOLD, "gram", "24k", Side.SELL), user=User.objects.create_user("till"))
    ingest.offer([quote("gold", "14520", at=now)], now=now)
    premium = Premium.objects.create(metal_id="gold", multiplier="1.06", effective_from=now + dt.timedelta(days=1))
    SanityBand.objects.create(metal_id="silver", lowest=100, highest=200)
    for number in range(101):
        premium.note = f"{number}"
        premium.save()
    tokens.issue(asha := User.objects.create_user("asha"))
    proposed_edit(asha)
    ApprovalLimit.objects.create(role=Group.objects.create(name="clerks"), percent=2)
    IntervalSchedule.objects.create(every=8, period="days")
    CrontabSchedule.objects.create(minute="8")
    SolarSchedule.objects.create(event="sunrise", latitude=19, longitude=73)
    ClockedSchedule.objects.create(clocked_time=now)
    registry.in_order()


def pages_of_the_admin() -> Iterator[str]:
    """The addresses of all pages that a superuser can open, with a row of each model."""
    yield from ("/admin/", "/admin/prices/", "/admin/password_change/", "/admin/nowhere/", "/admin/changes/")
    yield f"/admin/changes/{StaffChange.objects.latest('pk').pk}/undo/"
    yield "/admin/prices/fallbackprice/all/"
    for model in admin.site._registry:
        at = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        row: Any = model._default_manager.first()
        assert row is not None, model
        its_own = f"{at}{quoted(row.pk)}/"
        yield from (at, f"{at}add/", f"{its_own}change/", f"{its_own}delete/", f"{its_own}history/")
        if versions := row.history.all() if hasattr(row, "history") else ():
            yield f"{its_own}history/{versions[0].pk}/"
        if model is User:
            yield f"{its_own}password/"


@pytest.fixture(scope="module")
def pages(server: Server) -> list[str]:
    server.publish(gold="13000", silver="165")
    server.publish(gold="13500")
    server.do(rows_of_everything)
    server.do(lambda: User.objects.create_superuser("boss", password=PASSWORD))
    found: list[str] = server.do(lambda: list(pages_of_the_admin()))
    return found


def log_in(page: Page, server: Server) -> None:
    page.goto(f"{server.http_url}/admin/")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Prices", exact=True).first).to_be_visible()


def violations(page: Page) -> list[str]:
    """Record, from now on, each action that the page's policy or the browser's own forbids."""
    seen: list[str] = []
    page.expose_function("violated", lambda what: seen.append(what))
    page.add_init_script(
        """addEventListener("securitypolicyviolation", (event) =>
             violated(`${location.pathname}: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"""
    )
    return seen


def test_no_page_of_the_admin_breaks_its_policy(server: Server, pages: list[str], browser: Any) -> None:
    # A page that may not be added or deleted is a 403, which the console tells too.
    with new_page(browser, [r"status of 40[34]"]) as page:
        seen = violations(page)
        log_in(page, server)
        for path in pages:
            response = page.goto(server.http_url + path)
            assert response is not None
            assert response.status in (200, 403, 404), path
            assert "Content-Security-Policy".lower() in response.headers, path
        page.goto(f"{server.http_url}/admin/prices/premium/add/")
        page.get_by_role("link", name="Today").click()
        page.get_by_role("link", name="Choose a Time").click()
        page.get_by_role("link", name="Noon").click()
        expect(page.locator("#id_effective_from_1")).to_have_value("12:00:00")
        page.goto(f"{server.http_url}/admin/accounts/token/add/")
        page.get_by_label("Username").fill("asha")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#token")).to_have_css("user-select", "all")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_text("Thanks for spending")).to_be_visible()
        assert seen == []


def test_a_form_of_nowhere_is_refused_on_a_page_that_says_what_to_do(
    server: Server, page: Page, expected_errors: list[str]
) -> None:
    expected_errors.append("status of 403")
    seen = violations(page)
    page.goto(f"{server.http_url}/admin/login/")
    page.context.clear_cookies()
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="This form was not taken")).to_be_visible()
    assert seen == []


def test_the_board_is_live_within_its_policy(server: Server, page: Page) -> None:
    seen = violations(page)
    page.goto(server.http_url + A_CARD_EACH)
    expect(page.locator("#connection")).to_contain_text("Connected")
    server.publish(gold="13600")
    expect(page.locator('.card[data-metal="gold"]')).to_contain_text("₹13,600.00")
    assert seen == []


def test_a_script_that_got_into_the_board_is_not_run(server: Server, page: Page, expected_errors: list[str]) -> None:
    expected_errors.append("Content Security Policy")
    page.goto(server.http_url + A_CARD_EACH)
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.wasRun = true";
          document.body.append(script);
        }"""
    )
    assert page.evaluate("window.wasRun") is None


def test_the_page_of_the_api_can_be_tried_within_its_policy(server: Server, page: Page) -> None:
    seen = violations(page)
    page.goto(f"{server.http_url}/api/docs/")
    endpoint = page.locator("#operations-Prices-v1_metals_list")
    endpoint.get_by_role("button").first.click()
    endpoint.get_by_role("button", name="Try it out").click()
    endpoint.get_by_role("button", name="Execute").click()
    expect(endpoint.locator(".live-responses-table")).to_contain_text('"gold"')
    assert axe.violations(page) == {}
    assert seen == []
