"""The admin in a real browser, in which a member of staff has logged in."""

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Locator, Page

from tests.support.server import Server

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


def log_in(page: Page, server: Server, name: str = "boss") -> None:
    """Give a page the login of a user; of a new superuser, if there is none of this name."""

    def session() -> str:
        client = Client()
        client.force_login(User.objects.filter(username=name).first() or User.objects.create_superuser(name))
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": server.do(session), "url": server.http_url}
    page.context.add_cookies([cookie])  # type: ignore[list-item]  # a dict is one


class Steps:
    """Counts what a person does on a page, and the pages that load meanwhile."""

    def __init__(self, page: Page) -> None:
        self.clicks = 0
        self._page = page
        self._loads = 0
        page.on("domcontentloaded", lambda page: self._loaded())

    @property
    def loads(self) -> int:
        """The pages that have loaded, with the one on screen: what a test saw may be there before the page's end."""
        self._page.wait_for_load_state("domcontentloaded")
        return self._loads

    def click(self, target: Locator) -> None:
        """Press something, once."""
        self.clicks += 1
        target.click()

    def _loaded(self) -> None:
        self._loads += 1


def width_of(page: Page) -> float:
    """The right edge of what reaches farthest: more than the screen's width makes it scroll sideways."""
    edges = "[...document.querySelectorAll('body *')].map((each) => each.getBoundingClientRect().right)"
    return float(page.evaluate(f"Math.max(...{edges})"))
