"""The page of sessions in a real browser."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from playwright.sync_api import Page, expect

from accounts import tokens
from accounts.models import SignIn
from tests.support.axe import violations
from tests.support.server import Server
from tests.support.staff_page import DESKTOP, PHONE, Steps, log_in, width_of

SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
_LOST = "Mozilla/5.0 (iPhone) Safari/604.1"


@pytest.fixture
def lost(server: Server) -> None:
    """A phone, on which a member of staff is logged in, and a token of theirs."""

    def log_in_elsewhere() -> None:
        asha = User.objects.create_user("asha", is_staff=True)
        asha.groups.add(Group.objects.get(name="Viewer"))
        client = Client()
        client.force_login(asha)
        SignIn.objects.filter(session=client.session.session_key).update(
            user_agent=_LOST, address="2001:db8:1234:5678:9abc:def0:1234:5678"
        )
        tokens.issue(asha)

    server.do(lambda: User.objects.filter(username="asha").delete())
    server.do(log_in_elsewhere)


@SIZES
def test_the_login_on_a_lost_phone_is_ended_by_two_clicks(
    server: Server, lost: None, page: Page, size: dict[str, int]
) -> None:
    page.set_viewport_size(size)  # type: ignore[arg-type]  # a dict is one
    log_in(page, server, "asha")
    page.goto(f"{server.http_url}/admin/")
    page.get_by_role("link", name="Sessions").first.click()
    expect(page.get_by_role("heading", name="Your open sessions")).to_be_visible()
    page.wait_for_load_state()
    assert width_of(page) <= size["width"]
    assert violations(page) == {}
    steps = Steps(page)
    steps.click(page.locator("#result_list tr", has_text="Safari on iPhone").get_by_role("link", name="End"))
    expect(page.get_by_text("Login of asha: Safari on iPhone")).to_be_visible()
    page.wait_for_load_state()
    assert violations(page) == {}
    steps.click(page.get_by_role("button", name="End it"))
    expect(page.get_by_text("Ended: login of asha.")).to_be_visible()
    expect(page.locator("#result_list")).to_contain_text("this one")
    expect(page.locator("#result_list")).not_to_contain_text("Safari on iPhone")
    assert (steps.clicks, steps.loads) == (2, 2)
