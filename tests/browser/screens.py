"""Pictures of all that people see, for README.md and docs/, taken in a real Chromium: `make screens`.

This is a file of pytest, so that server, database and browser are those of the tests. The past is made up, and the
present is published here.
"""

import base64
import contextlib
import csv
import datetime as dt
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

from django.core.management import call_command
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from prices.history import candle_store
from tests.support.product import ROOT
from tests.support.server import Server

_FOLDER: Final = ROOT / "docs/screens"
_QUALITY: Final = 80
# Per gram, in rupees, and the standard deviation of a day's move.
_PRICES: Final = {"gold": 13221.39, "silver": 168.54, "platinum": 5621.35, "palladium": 4388.7}
_MOVE: Final = 0.008
# The past leads to this part of the prices of now, which come by a significant move.
_BEFORE: Final = 0.991
_DAYS: Final = 400
_TICKS_FOR: Final = dt.timedelta(days=2)
_EVERY: Final = dt.timedelta(minutes=5)

LAPTOP: Final = (1280, 800)
PHONE: Final = (390, 844)
TELEVISION: Final = (1920, 1080)
PAPER: Final = (794, 1123)  # A4, at 96 dots an inch
TELEVISION_4K: Final = (3840, 2160)
# Both go by the server's time, which a page knows once its first ping is answered.
AGE: Final = "time:text-matches('ago|now|पहले|अभी')"
CONNECTED: Final = "#connection[data-state=open]"  # the last close of a market has no age
CLOCK: Final = "#time:not(:empty)"
SHOP: Final = "name=Shree%20Ganesh%20Jewellers"


class Picture(NamedTuple):
    """A page in a window of a size, once it has what matches `awaited`."""

    name: str
    address: str
    size: tuple[int, int] = LAPTOP
    scheme: Literal["light", "dark"] = "light"
    media: Literal["screen", "print"] = "screen"
    script: bool = True
    awaited: str = "body"


LIVE: Final = (
    Picture("board", "/", awaited=AGE),
    Picture("board-dark", "/", scheme="dark", awaited=AGE),
    Picture("board-phone", "/", PHONE, awaited=AGE),
    Picture("board-hindi", "/?lang=hi", awaited=AGE),
    Picture("board-print", "/", PAPER, media="print"),
    Picture("board-without-script", "/", script=False),
    Picture("metal", "/gold/", awaited=AGE),
    Picture("metal-dark", "/gold/", scheme="dark", awaited=AGE),
    Picture("metal-phone", "/gold/", PHONE, awaited=AGE),
    Picture("metal-hindi", "/gold/?lang=hi", awaited=AGE),
    Picture("metal-print", "/gold/", PAPER, media="print", awaited=AGE),
    Picture("screen", f"/screen/?{SHOP}", TELEVISION, awaited=CLOCK),
    Picture("screen-4k", f"/screen/?{SHOP}&rows=gold,silver", TELEVISION_4K, awaited=CLOCK),
    Picture("screen-hindi", "/screen/?lang=hi&name=श्री गणेश ज्वैलर्स", TELEVISION, awaited=CLOCK),
    Picture("embed", "/embed/", (480, 520), awaited=AGE),
    Picture("embed-dark", "/embed/", (480, 520), scheme="dark", awaited=AGE),
    Picture("login", "/admin/login/"),
    Picture("developers", "/developers/"),
    Picture("widgets", "/developers/widgets/"),
    Picture("api", "/api/docs/", awaited=".opblock"),
)


def of_each(kind: str, awaited: str = AGE) -> tuple[Picture, ...]:
    """Board, metal page and a shop's screen, of prices of a kind."""
    return (
        Picture(f"board-{kind}", "/", awaited=awaited),
        Picture(f"metal-{kind}", "/gold/", awaited=awaited),
        Picture(f"screen-{kind}", f"/screen/?{SHOP}", TELEVISION, awaited=CLOCK),
    )


@contextlib.contextmanager
def shown(browser: Browser, server: Server, picture: Picture) -> Iterator[Page]:
    """The page of a picture, as it is once all of it has come."""
    width, height = picture.size
    with browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=picture.scheme,
        java_script_enabled=picture.script,
        locale="en-IN",
        timezone_id="Asia/Kolkata",
    ) as context:
        page = context.new_page()
        page.emulate_media(media=picture.media, color_scheme=picture.scheme)
        page.goto(f"{server.http_url}{picture.address}", wait_until="networkidle")
        expect(page.locator(picture.awaited).first).to_be_visible(timeout=30_000)
        yield page


def take(page: Page, picture: Picture) -> None:
    """Write the picture of a page."""
    whole = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": _QUALITY})
    (_FOLDER / f"{picture.name}.webp").write_bytes(base64.b64decode(whole["data"]))


def take_all(browser: Browser, server: Server, pictures: tuple[Picture, ...]) -> None:
    for picture in pictures:
        with shown(browser, server, picture) as page:
            take(page, picture)


def past(folder: Path, now: dt.datetime) -> list[Path]:
    """Files of ticks and of day candles."""
    zone = candle_store.zone()
    begin = candle_store.midnight((now - _TICKS_FOR).astimezone(zone).date())
    ticks = [["metal", "at", "price", "source"]]
    days = [["metal", "interval", "start", "open", "high", "low", "close"]]
    for metal, newest in _PRICES.items():
        price = lowest = newest * _BEFORE
        chance = random.Random(metal)
        walked = []
        for back in range(int((now - begin) / _EVERY)):
            walked.append([metal, (now - (back + 1) * _EVERY).isoformat(), f"{price:.4f}", "gold_api_com"])
            # Not below what is published first, which is the day's lowest.
            price = lowest + abs(price * (1 + chance.gauss(0, _MOVE / 16)) - lowest)
        ticks += reversed(walked)
        candles = []
        for back in range(1, _DAYS):
            start = candle_store.midnight(begin.astimezone(zone).date() - dt.timedelta(days=back))
            if start.astimezone(zone).weekday() < 5:
                opened = price * (1 + chance.gauss(-0.0005, _MOVE))
                up, down = (1 + abs(chance.gauss(0, _MOVE / 3)) for _ in range(2))
                figures = (opened, max(opened, price) * up, min(opened, price) / down, price)
                candles.append([metal, "1d", start.isoformat(), *(f"{amount:.4f}" for amount in figures)])
                price = opened
        days += reversed(candles)
    files = []
    for name, rows in (("ticks", ticks), ("days", days)):
        files.append(folder / f"{name}.csv")
        with files[-1].open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return files


def publish(server: Server, ago: dt.timedelta, of_price: float = 1, source: str = "gold_api_com") -> None:
    """Publish so many times the price of each metal, as quoted a while ago."""
    prices = {metal: f"{price * of_price:.2f}" for metal, price in _PRICES.items()}
    server.publish(source=source, quoted_at=timezone.now() - ago, **prices)


def test_screens(run_server: Callable[..., Server], browser: Browser, tmp_path: Path) -> None:
    _FOLDER.mkdir(exist_ok=True)
    open_today = {"DJANGO_SETTINGS_MODULE": "tests.support.open_today"}
    before = run_server(**open_today)
    for file in past(tmp_path, timezone.now() - dt.timedelta(minutes=30)):
        before.do(partial(call_command, "backfill", csv=str(file), confirm=True, verbosity=0))
    before.kill()

    server = run_server(FRESHNESS_LIMIT="5m", **open_today)
    publish(server, dt.timedelta(minutes=25), _BEFORE)
    publish(server, dt.timedelta(minutes=14), 1.003)
    take_all(browser, server, (*of_each("stale"), Picture("board-stale-hindi", "/?lang=hi", awaited=AGE)))
    publish(server, dt.timedelta(0))
    take_all(browser, server, LIVE)
    pictures = of_each("disconnected")
    with contextlib.ExitStack() as stack:
        pages = [stack.enter_context(shown(browser, server, picture)) for picture in pictures]
        server.kill()
        for page, picture in zip(pages, pictures, strict=True):
            expect(page.get_by_role("status").get_by_text("Not connected.")).to_be_visible(timeout=30_000)
            take(page, picture)

    today = timezone.localdate()
    holidays = ",".join(f"{today + dt.timedelta(days=n)}" for n in range(-1, 4))
    closed = run_server(DJANGO_SETTINGS_MODULE="swarna.settings", MARKET_HOLIDAYS=holidays)
    take_all(browser, closed, of_each("closed", awaited=CONNECTED))

    server = run_server(**open_today)
    publish(server, dt.timedelta(0), 0.98, source="fallback")
    take_all(browser, server, of_each("fallback"))
