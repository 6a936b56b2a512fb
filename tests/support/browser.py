"""A real Chromium for the tests that need one, as fixtures.

Playwright's sync API keeps an event loop in the main thread for as long as it runs, which asyncio tests cannot live
with: so it is started and stopped with each module that uses it, and not by pytest-playwright for the whole session.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, WebSocketRoute, sync_playwright

ARGUMENTS = [
    "--no-sandbox",  # root, as in most containers, cannot have one
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without one its tests are skipped, or fail where REQUIRE_BROWSER=1 is set."""
    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        # Playwright's loop makes Django take these tests for asynchronous code, which they are not.
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        executable = _chromium(playwright)
        if executable is None:
            give_up = pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip
            give_up("no Chromium: install it, set $CHROMIUM, or run `playwright install chromium`")
        with playwright.chromium.launch(executable_path=executable, args=ARGUMENTS) as chromium:
            yield chromium


@pytest.fixture
def expected_errors() -> list[str]:
    """Regular expressions for the errors that a test provokes; it appends its own."""
    return []


@pytest.fixture
def page(browser: Browser, expected_errors: list[str]) -> Iterator[Page]:
    """A page of the test's own."""
    with new_page(browser, expected_errors) as page:
        yield page


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Function) -> None:
    """End a test's page before its servers, whichever was made first.

    A page that outlives its server finds what it is still loading reset or refused: errors that no test is about.
    """
    page = getattr(item, "funcargs", {}).get("page")
    if page is not None:
        page.context.close()


@contextlib.contextmanager
def new_page(browser: Browser, expected_errors: Sequence[str] = ()) -> Iterator[Page]:
    """A page of its own context, in India. Fails at the end on any error in the console that was not expected."""
    errors: list[str] = []
    with browser.new_context(locale="en-IN", timezone_id="Asia/Kolkata") as context:
        context.set_default_timeout(10_000)
        context.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        yield context.new_page()
    unexpected = [text for text in errors if not any(re.search(pattern, text) for pattern in expected_errors)]
    assert not unexpected, f"errors in the browser's console: {unexpected}"


def without_the_servers_time(socket: WebSocketRoute) -> None:
    """A route of a stream: pass on all but the messages that say which time it is now."""
    server = socket.connect_to_server()
    server.on_message(lambda text: None if '"pong"' in text or '"heartbeat"' in text else socket.send(text))


def _chromium(playwright: Playwright) -> str | None:
    # The shell is the same Chromium without windows: a page costs a third.
    programs = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    named = [os.environ.get("CHROMIUM"), *map(shutil.which, programs)]
    known = [path for path in [*named, playwright.chromium.executable_path] if path]
    return next((path for path in known if Path(path).is_file()), None)
