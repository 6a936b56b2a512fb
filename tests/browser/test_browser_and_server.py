"""Client library, React hook and board against the real server: a price that is published is on the reader's screen.

Every test asks for `server` first: it must be up before Playwright's loop occupies the thread that its fixture uses.
"""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from playwright.sync_api import Locator, Page, expect

from tests.support.pages import SERVER_GONE, open_test_page


def open_client(page: Page, server: Any) -> None:
    """Connect a client for gold."""
    open_test_page(page, server.http_url, "client.html")
    page.evaluate("(url) => { newClientAt(url).subscribe(['gold']); client.connect() }", server.ws_url)
    page.wait_for_function("client.connected")


def card(page: Page, metal: str = "gold") -> Locator:
    return page.locator(f'.card[data-metal="{metal}"]')


# --- the client library --------------------------------------------------------------------------------------------


def test_a_client_is_sent_only_what_it_asked_for(server: Any, page: Page):
    open_client(page, server)
    # Until the server has read the choice, it sends all metals; the client hands out none but the chosen.
    page.wait_for_function("Object.keys(eventsOf('prices').at(-1)?.message.data ?? {}).join() === 'gold'")
    page.evaluate("events.length = 0")
    server.publish(silver="159.9")
    server.publish(gold="13333")
    page.wait_for_function("client.prices.gold.price === 13333")
    assert page.evaluate("eventsOf('prices').map(({ message }) => Object.keys(message.data))") == [["gold"]]
    assert page.evaluate("eventsOf('error')") == []


def test_a_client_that_asks_for_candles_is_sent_the_live_one_with_each_price(server: Any, page: Page):
    open_test_page(page, server.http_url, "client.html")
    page.evaluate("(url) => newClientAt(url, { candles: ['1d'] }).connect()", server.ws_url)
    page.wait_for_function("client.connected")
    server.publish(gold="13555.5")
    page.wait_for_function("eventsOf('prices').at(-1)?.candles.gold?.['1d'].at(-1).close === 13555.5")


def test_a_client_learns_the_servers_time(server: Any, page: Page):
    page.clock.install(time="2001-01-01")
    open_client(page, server)
    now = dt.datetime.now(dt.UTC).timestamp() * 1000
    page.wait_for_function("(now) => Math.abs(client.serverTime - now) < 60_000", arg=now)


def test_a_client_finds_the_server_again_after_a_crash(server: Any, page: Page, expected_errors: list[str]):
    expected_errors.append(SERVER_GONE)
    open_client(page, server)
    server.kill()
    page.wait_for_function("client.connection.state === 'waiting'")
    server.start()
    page.wait_for_function("client.connected")
    server.publish(gold="13444.5")
    page.wait_for_function("client.prices.gold?.price === 13444.5")


def test_a_client_is_told_once_of_the_moves_that_it_missed(server: Any, page: Page, expected_errors: list[str]):
    expected_errors.append(SERVER_GONE)
    server.publish(gold="13000")
    open_client(page, server)
    page.wait_for_function("client.prices.gold?.price === 13000")
    server.kill()
    page.wait_for_function("client.connection.state === 'waiting'")
    page.evaluate("events.length = 0")
    server.publish(gold="13300", silver="150")
    server.publish(gold="13700", silver="170")
    server.start()
    page.wait_for_function("client.connected")
    # This one may come before the server has read what was missed: it is shown then, and told of with the others.
    server.publish(gold="14000")
    page.wait_for_function("moves().includes(14000)")
    server.publish(gold="14300")
    page.wait_for_function("moves().includes(14300)")
    assert page.evaluate("moves()") == [13300, 13700, 14000, 14300]


def test_a_price_in_other_units_is_what_the_api_says_to_the_last_digit(server: Any, page: Page):
    server.publish(gold="13201.1867")
    server.publish(gold="13221.3917")
    open_client(page, server)
    page.wait_for_function("client.prices.gold?.price === 13221.3917")
    differences = page.evaluate("""async () => {
      const { convertQuote, PURITIES, UNITS } = await import("/static/streaming/units.js");
      const amounts = ["price", "change", "high", "low", "open", "changePercent"];
      const digits = (json, name) => json.match(`"${name}":([^,}]+)`)[1];
      const found = [];
      for (const unit of UNITS) for (const purity of PURITIES) {
        const answer = await (await fetch(`/api/v1/prices/gold/?unit=${unit}&purity=${purity}`)).text();
        const ours = convertQuote(client.prices.gold, { unit, purity });
        for (const name of amounts) {
          if (digits(answer, name) !== String(ours[name])) found.push([unit, purity, name, answer, ours[name]]);
        }
      }
      return found;
    }""")
    assert differences == []


# --- the React hook ------------------------------------------------------------------------------------------------


def test_the_hook_gives_what_is_published(server: Any, page: Page):
    open_test_page(page, server.http_url, "react.html")
    page.evaluate("(url) => render(url)", server.ws_url)
    page.wait_for_function("latest().connected")
    server.publish(gold="13221.39", source="gold_api_com")
    page.wait_for_function("latest().prices.gold?.price === 13221.39")
    result = page.evaluate("latest()")
    assert (result["error"], result["prices"]["gold"]["source"]) == (None, "gold_api_com")


# --- the board -----------------------------------------------------------------------------------------------------


def test_a_published_price_reaches_the_board(server: Any, page: Page):
    page.goto(server.http_url)
    expect(page.locator("#connection")).to_contain_text("Connected")
    server.publish(gold="13000", silver="158.2")
    expect(card(page)).to_contain_text("₹13,000.00")
    expect(card(page)).to_contain_text("Live")
    server.publish(gold="13400")
    expect(card(page)).to_contain_text("₹13,400.00")
    expect(page.locator("#moves li").first).to_contain_text("13,000.00 → 13,400.00")
    expect(card(page, "silver")).to_contain_text("₹158.20")


def test_a_metal_put_away_and_brought_back_has_its_price_again(server: Any, page: Page):
    server.publish(gold="13400", silver="158.3")
    page.goto(server.http_url)
    expect(card(page, "silver")).to_contain_text("₹158.30")
    box = page.get_by_role("checkbox", name="Silver")
    box.uncheck()
    expect(card(page, "silver")).to_be_hidden()
    box.check()
    expect(card(page, "silver")).to_contain_text("₹158.30")


def test_a_price_that_was_quoted_long_ago_is_stale_on_the_board(server: Any, page: Page):
    # Long ago also where the market was closed most of the time.
    quoted_at = dt.datetime.now(dt.UTC) - dt.timedelta(days=4)
    server.publish(platinum="5230.55", quoted_at=quoted_at)
    page.goto(server.http_url)
    expect(card(page, "platinum").locator(".marks")).to_have_text("Stale")
    expect(card(page, "platinum")).to_contain_text(f"of {quoted_at.astimezone(ZoneInfo('Asia/Kolkata')).day} ")


def test_the_board_survives_a_crash_of_the_server(server: Any, page: Page, expected_errors: list[str]):
    expected_errors.append(SERVER_GONE)
    server.publish(gold="13500")
    page.goto(server.http_url)
    expect(card(page).locator(".marks")).to_have_text("Live")
    server.kill()
    expect(card(page).locator(".marks")).to_have_text("Last known")
    server.start()
    expect(card(page).locator(".marks")).to_have_text("Live")
    server.publish(gold="13501")
    expect(card(page)).to_contain_text("₹13,501.00")
