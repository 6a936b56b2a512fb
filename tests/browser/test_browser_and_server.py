"""Client library, React hook and board against the real server: a price that is published is on the reader's screen.

Every test asks for `server` first: it must be up before Playwright's loop occupies the thread that its fixture uses.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, expect

from accounts import tokens
from tests.support.bad_proxy import BadProxy, Fault, bad_proxy
from tests.support.pages import A_CARD_EACH, SERVER_GONE, open_test_page

FAILED = r"Failed to load resource: the server responded with a status of \d+"


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
      const { convertQuote, PURITIES_OF, UNITS } = await import("/client/v1/units.js");
      const amounts = ["price", "change", "high", "low", "open", "changePercent"];
      const digits = (json, name) => json.match(`"${name}":([^,}]+)`)[1];
      const found = [];
      for (const unit of UNITS) for (const purity of PURITIES_OF.gold) {
        const answer = await (await fetch(`/api/v1/prices/gold/?unit=${unit}&purity=${purity}`)).text();
        const ours = convertQuote(client.prices.gold, { unit, purity });
        for (const name of amounts) {
          if (digits(answer, name) !== String(ours[name])) found.push([unit, purity, name, answer, ours[name]]);
        }
      }
      return found;
    }""")
    assert differences == []


# --- over other transports -----------------------------------------------------------------------------------------


@pytest.fixture
def proxy(server: Any) -> Iterator[BadProxy]:
    with bad_proxy(server.port) as proxy:
        yield proxy


def open_behind(page: Page, proxy: BadProxy, **blocked: Fault) -> None:
    """Connect a client for gold and candles through a proxy that blocks these transports."""
    proxy.faults = dict(blocked)
    open_test_page(page, proxy.http_url, "client.html")
    page.evaluate("newClient({ candles: ['1d'], connectTimeout: 2000 }).subscribe(['gold']); client.connect()")
    transport = next(each for each in ("websocket", "sse", "poll") if each not in blocked)
    page.wait_for_function("(transport) => client.transport === transport", arg=transport)


def take_over(page: Page, transport: str) -> None:
    """Wait until another transport has taken over, as the device says that the network is another one."""
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_function("(transport) => client.transport === transport", arg=transport)


def moves_of(page: Page, server: Any, *prices: str) -> list[float]:
    """Publish these prices of gold, and return all moves until the last of them."""
    for price in prices:
        server.publish(gold=price)
    page.wait_for_function("(price) => client.prices.gold?.price === price", arg=float(prices[-1]))
    return list(page.evaluate("moves()"))


@pytest.mark.parametrize("blocked", [{"websocket": "strip"}, {"websocket": "forbid", "sse": "forbid"}], ids=repr)
def test_a_client_behind_a_proxy_is_sent_the_same(
    server: Any, proxy: BadProxy, page: Page, expected_errors: list[str], blocked: dict[str, Fault]
):
    expected_errors += [SERVER_GONE, FAILED]
    server.publish(gold="13000", silver="158.2")
    open_behind(page, proxy, **blocked)
    assert moves_of(page, server, "13300", "13600", "14000") == [13300, 13600, 14000]
    assert page.evaluate("eventsOf('prices').at(-1).candles.gold['1d'].at(-1).close") == 14000
    assert page.evaluate("client.status.metals.gold") == "live"
    assert page.evaluate("Object.keys(client.prices)") == ["gold"]
    page.evaluate("client.subscribe(['silver'])")
    page.wait_for_function("client.prices.silver?.price === 158.2")
    assert moves_of(page, server, "14500") == [13300, 13600, 14000, 14500]
    assert page.evaluate("eventsOf('error')") == []


def test_the_transport_changes_without_a_gap_and_nothing_comes_twice(
    server: Any, proxy: BadProxy, page: Page, expected_errors: list[str]
):
    expected_errors += [SERVER_GONE, FAILED]
    server.publish(gold="13000")
    open_behind(page, proxy, websocket="forbid", sse="mute")
    told = moves_of(page, server, "13300", "13600")
    proxy.faults.pop("sse")
    take_over(page, "sse")
    told = moves_of(page, server, "14000", "14300")
    proxy.faults.clear()
    take_over(page, "websocket")
    told = moves_of(page, server, "14700", "15000")
    proxy.faults["websocket"] = "forbid"
    proxy.end("websocket")
    server.publish(gold="15300")
    page.wait_for_function("client.transport === 'sse'")
    told = moves_of(page, server, "15700", "16000")
    assert told == [13300, 13600, 14000, 14300, 14700, 15000, 15300, 15700, 16000]
    seqs = page.evaluate("eventsOf('prices').map(({ message }) => message.seq)")
    assert seqs == sorted(seqs)


@pytest.mark.parametrize("transport", ["websocket", "sse"])
def test_a_quiet_market_has_heartbeats(server: Any, page: Page, transport: str):
    server.publish(gold="13000")
    open_test_page(page, server.http_url, "client.html")
    options = {"transports": [transport], "heartbeatInterval": 1000}
    page.evaluate("(options) => newClientAt('/ws/prices/', options).connect()", options)
    page.wait_for_function("eventsOf('heartbeat').length > 0", timeout=20_000)
    [beat, *_] = page.evaluate("eventsOf('heartbeat')")
    assert beat["feed"] == page.evaluate("client.status.feed")
    assert beat["seq"] == page.evaluate("eventsOf('prices').at(-1).message.seq")
    assert page.evaluate("client.connected") is True


def test_a_token_is_presented_by_every_transport(
    run_server: Callable[..., Any], page: Page, expected_errors: list[str]
):
    expected_errors.append(FAILED)
    members = run_server(WS_AUTH_REQUIRED="true")
    members.publish(gold="13000")
    token = members.do(lambda: tokens.issue(User.objects.create(username="meera"))[1])
    open_test_page(page, members.http_url, "client.html")
    for transport in ("websocket", "sse", "poll"):
        options = {"transports": [transport], "token": token}
        page.evaluate("(options) => newClient(options).connect()", options)
        page.wait_for_function("client.prices.gold?.price === 13000")
        assert page.evaluate("client.transport") == transport
        page.evaluate("client.close()")
        page.evaluate("(options) => newClient({ ...options, token: 'x' }).connect()", options)
        page.wait_for_function("client.connection.why === 'unauthorized'")


def test_a_server_that_is_full_says_when_to_come_back(
    run_server: Callable[..., Any], page: Page, expected_errors: list[str]
):
    expected_errors.append(FAILED)
    full = run_server(WS_MAX_CONNECTIONS="1")
    open_test_page(page, full.http_url, "client.html")
    page.evaluate("window.first = newClient(); first.connect()")
    page.wait_for_function("first.transport")
    for transport in ("websocket", "sse", "poll"):
        page.evaluate("(transport) => newClient({ transports: [transport] }).connect()", transport)
        page.wait_for_function("client.connection.state === 'waiting'")
        waiting = page.evaluate("client.connection")
        assert (waiting["why"], waiting["code"]) == ("refused", 1008 if transport == "websocket" else 503)
        page.evaluate("client.close()")


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
    page.goto(server.http_url + A_CARD_EACH)
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
    page.goto(server.http_url + A_CARD_EACH)
    expect(card(page, "silver")).to_contain_text("₹158.30")
    page.get_by_role("button", name="Choose rows").click()
    page.get_by_role("button", name="Remove: Silver").click()
    expect(card(page, "silver")).to_have_count(0)
    page.get_by_role("button", name="Add a row").click()
    page.locator("#editor li").last.get_by_role("combobox", name="Metal").select_option("silver")
    expect(card(page, "silver")).to_contain_text("₹158.30")


def test_the_way_back_from_a_metals_page_leads_to_the_rows_that_the_board_showed(server: Any, page: Page):
    page.goto(f"{server.http_url}/?rows=gold:750:tola,silver:999:kg&lang=hi")
    connected = page.locator('#connection[data-state="open"]')
    expect(connected).to_be_attached()
    card(page, "silver").get_by_role("link").first.click()
    expect(page.locator('#metal[data-metal="silver"]')).to_be_attached()
    expect(connected).to_be_attached()
    # By way of another metal's page, too.
    page.locator(".metals a").first.click()
    expect(page.locator('#metal[data-metal="gold"]')).to_be_attached()
    expect(connected).to_be_attached()
    page.get_by_role("link", name="Swarna").click()
    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator("html")).to_have_attribute("lang", "hi")
    # What another reader chose is not remembered as this one's choice.
    assert page.context.cookies() == []


def test_a_price_that_was_quoted_long_ago_is_stale_on_the_board(server: Any, page: Page):
    # Long ago also where the market was closed most of the time.
    quoted_at = dt.datetime.now(dt.UTC) - dt.timedelta(days=4)
    server.publish(platinum="5230.55", quoted_at=quoted_at)
    page.goto(server.http_url + A_CARD_EACH)
    expect(card(page, "platinum").locator(".marks")).to_have_text("Stale")
    expect(card(page, "platinum")).to_contain_text(f"of {quoted_at.astimezone(ZoneInfo('Asia/Kolkata')).day} ")


def test_the_board_survives_a_crash_of_the_server(server: Any, page: Page, expected_errors: list[str]):
    expected_errors.append(SERVER_GONE)
    server.publish(gold="13500")
    page.goto(server.http_url + A_CARD_EACH)
    expect(card(page).locator(".marks")).to_have_text("Live")
    server.kill()
    expect(card(page).locator(".marks")).to_have_text("Last known")
    server.start()
    expect(card(page).locator(".marks")).to_have_text("Live", timeout=30_000)  # its retries are seconds apart by then
    server.publish(gold="13501")
    expect(card(page)).to_contain_text("₹13,501.00")


def test_what_the_board_goes_on_from_moves_nothing_on_the_page(server: Any, page: Page):
    server.publish(gold="13500", silver="158.2")
    page.add_init_script(
        """window.shift = 0;
           new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => { window.shift += value }))
             .observe({ type: "layout-shift", buffered: true });"""
    )
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(server.http_url)
    expect(page.locator("#connection")).to_contain_text("Connected")
    server.publish(gold="13612.34")
    expect(page.locator(".card").first).to_contain_text("₹1,36,123.40")
    assert page.evaluate("window.shift") <= 0.02
