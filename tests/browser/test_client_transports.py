"""The client library where something between it and the server lets a transport not through, in a real browser."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from playwright.sync_api import Browser, Page

from tests.support.bad_proxy import BadProxy, Fault, Transport, bad_proxy
from tests.support.browser import new_page
from tests.support.pages import SERVER_GONE, open_test_page
from tests.support.stub_market import Market, beat, market
from tests.support.stub_stream import StubConnection, StubRequest, StubStream, status

__all__ = ["market"]  # a fixture

FAILED = r"Failed to load resource: the server responded with a status of \d+"
FAULTS: tuple[Fault, ...] = get_args(Fault)


@pytest.fixture
def stream(market: Market) -> Iterator[StubStream]:
    with StubStream(autopilot=market) as stream:
        yield stream


@pytest.fixture
def proxy(stream: StubStream) -> Iterator[BadProxy]:
    """The proxy between the page and the server."""
    with bad_proxy(stream.port) as proxy:
        yield proxy


@pytest.fixture
def lab(proxy: BadProxy, page: Page, expected_errors: list[str]) -> Page:
    """A page with the library, whose clock moves only when the test says so."""
    expected_errors += [SERVER_GONE, FAILED]
    page.clock.install(time="2026-11-01T18:30:00Z")
    open_test_page(page, proxy.http_url, "client.html")
    page.clock.pause_at("2026-11-01T18:31:00Z")
    return page


def connect(lab: Page, **options: Any) -> None:
    lab.evaluate("(options) => newClient(options).connect()", options)


def wait_for_transport(lab: Page, transport: Transport) -> None:
    lab.wait_for_function("(transport) => client.transport === transport && client.connected", arg=transport)


def wait_for_state(lab: Page, state: str) -> dict[str, Any]:
    """The connection's details, once it is in this state."""
    lab.wait_for_function("(state) => client.connection.state === state", arg=state)
    return dict(lab.evaluate("client.connection"))


def wait_for_price(lab: Page, price: float, metal: str = "gold") -> None:
    lab.wait_for_function("([metal, price]) => client.prices[metal]?.price === price", arg=[metal, price])


def wait_for_attempt(lab: Page, proxy: BadProxy, transport: Transport, count: int = 1) -> None:
    """Wait until the page has tried a transport so many times."""
    for _ in range(200):
        if proxy.seen.count(transport) >= count:
            return
        lab.wait_for_timeout(25)
    raise AssertionError(f"tried in vain: {proxy.seen}")


def move_on(lab: Page, milliseconds: int) -> None:
    lab.clock.run_for(milliseconds)


def events(lab: Page, type: str) -> list[Any]:
    return list(lab.evaluate("(type) => eventsOf(type)", type))


def network_changes(lab: Page) -> None:
    """Tell the page that its device is online again: a better transport may be open now."""
    lab.evaluate("dispatchEvent(new Event('online')), 0")


def check_all_came_once(lab: Page, market: Market) -> None:
    """Check all that the page was handed: no move is missing, none came twice, and no update went back."""
    wait_for_price(lab, market.prices["gold"])
    # A line that takes over may show the price before its answer has the moves up to it.
    lab.wait_for_function("(price) => moves().at(-1) === price", arg=market.moves[-1])
    updates = events(lab, "prices")
    seqs = [update["message"]["seq"] for update in updates]
    assert seqs == sorted(seqs)
    moves = [move["newPrice"] for update in updates for move in update["changes"]]
    assert moves == market.moves[-len(moves) :]
    first = next(update for update in updates if update["message"]["snapshot"])
    assert len(moves) == market.seq - first["message"]["seq"]


# --- what is blocked is gone round ---------------------------------------------------------------------------------


def let_the_time_limit_pass(lab: Page, proxy: BadProxy, transport: Transport) -> None:
    """Move the clock to where a client gives up a transport on which nothing comes."""
    wait_for_attempt(lab, proxy, transport)
    lab.wait_for_timeout(100)  # until an answer, if there is one, has arrived
    move_on(lab, 10_000)


@pytest.mark.parametrize("fault", FAULTS)
def test_where_websocket_is_blocked_the_messages_come_as_events(
    lab: Page, market: Market, proxy: BadProxy, fault: Fault
):
    proxy.faults["websocket"] = fault
    connect(lab)
    if fault in ("hang", "mute"):
        let_the_time_limit_pass(lab, proxy, "websocket")
    wait_for_transport(lab, "sse")
    wait_for_price(lab, market.publish())
    assert proxy.seen == ["websocket", "sse"]
    [told] = events(lab, "transport")
    assert told["transport"] == "sse"
    assert list(told["blocked"]) == ["websocket"]
    assert [event["state"] for event in events(lab, "connection")][-1] == "open"
    assert events(lab, "status")[0]["feed"] == "live"


@pytest.mark.parametrize("fault", ["forbid", "hang", "mute", "cut"])
def test_where_events_are_blocked_too_the_messages_come_by_polls(
    lab: Page, market: Market, proxy: BadProxy, fault: Fault
):
    proxy.faults.update(websocket="strip", sse=fault)
    connect(lab)
    if fault in ("hang", "mute"):
        let_the_time_limit_pass(lab, proxy, "sse")
    wait_for_transport(lab, "poll")
    move_on(lab, 1000)
    wait_for_price(lab, market.publish())
    assert proxy.seen[:3] == ["websocket", "sse", "poll"]
    assert list(events(lab, "transport")[0]["blocked"]) == ["websocket", "sse"]
    assert events(lab, "status")[0]["feed"] == "live"


def test_where_all_is_blocked_the_client_waits_and_begins_anew(lab: Page, proxy: BadProxy):
    proxy.faults.update(websocket="forbid", sse="forbid", poll="forbid")
    connect(lab)
    waiting = wait_for_state(lab, "waiting")
    assert (waiting["attempt"], waiting["delay"], waiting["code"]) == (1, 1000, 403)
    move_on(lab, 1000)
    wait_for_attempt(lab, proxy, "poll", 2)
    assert proxy.seen == ["websocket", "sse", "poll"] * 2


def test_a_server_that_is_away_is_asked_by_one_more_transport_and_no_other_takes_over(
    lab: Page, stream: StubStream, proxy: BadProxy
):
    proxy.faults.update(websocket="drop", sse="drop")
    connect(lab)
    assert wait_for_state(lab, "waiting")["code"] == 1006
    proxy.faults.clear()
    move_on(lab, 1000)
    wait_for_transport(lab, "websocket")
    assert proxy.seen == ["websocket", "sse", "websocket"]


def test_a_transport_that_has_worked_is_tried_twice_more_before_another(lab: Page, market: Market, proxy: BadProxy):
    connect(lab)
    wait_for_transport(lab, "websocket")
    proxy.faults["websocket"] = "forbid"
    proxy.end("websocket")
    for attempt in (1, 2):
        lab.wait_for_function("(n) => client.connection.attempt === n", arg=attempt)
        move_on(lab, 1000 * attempt)
    wait_for_transport(lab, "sse")
    assert proxy.seen == ["websocket", "websocket", "websocket", "sse"]
    wait_for_price(lab, market.publish())
    check_all_came_once(lab, market)


@pytest.mark.parametrize(
    ("transports", "seen"), [(["websocket"], ["websocket"]), (["websocket", "poll"], ["websocket", "poll"])]
)
def test_the_page_may_choose_the_transports(lab: Page, proxy: BadProxy, transports: list[str], seen: list[str]):
    proxy.faults.update(websocket="forbid", poll="forbid")
    connect(lab, transports=transports)
    wait_for_state(lab, "waiting")
    assert proxy.seen == seen


@pytest.mark.parametrize("transports", ["[]", "['websocket', 'websocket']", "['carrier pigeon']", "'sse'"])
def test_impossible_transports_are_rejected_at_once(lab: Page, transports: str):
    refusal = (
        f"() => {{ try {{ newClient({{ transports: {transports} }}) }} catch (error) {{ return String(error) }} }}"
    )
    assert lab.evaluate(refusal) == (
        "TypeError: transports must be an array of websocket, sse, poll, each at most once"
    )


@pytest.mark.parametrize(
    ("url", "api", "called"),
    [
        ("/ws/prices/", None, "/api/v1/stream/"),
        ("/", None, "/api/v1/stream/"),
        ("/shop/ws/prices/?x=1", None, "/shop/api/v1/stream/"),
        ("/ws/prices/", "/elsewhere/v1", "/elsewhere/v1/stream/"),
    ],
)
def test_the_api_is_beside_the_stream_or_where_the_page_says(lab: Page, url: str, api: str | None, called: str):
    with lab.expect_request(f"**{called}"):
        lab.evaluate("([url, api]) => newClientAt(url, { api, transports: ['sse'] }).connect()", [url, api])


# --- what the server refuses is not gone round ---------------------------------------------------------------------


class Refusing(Market):
    """A server that answers each request for events or a poll so."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes = b"{}") -> None:
        super().__init__()
        self.refusal = (status, headers, body)

    def stream(self, request: StubRequest) -> None:
        request.answer(*self.refusal)

    def poll(self, request: StubRequest) -> None:
        request.answer(*self.refusal)


PROBLEM = {"Content-Type": "application/problem+json"}


@pytest.mark.parametrize("market", [Refusing(401, PROBLEM, b'{"title": "Unauthorized"}')])
@pytest.mark.parametrize("by", ["sse", "poll"])
def test_a_missing_credential_is_no_block(lab: Page, proxy: BadProxy, market: Market, by: Transport):
    proxy.faults.update(websocket="forbid", sse="forbid" if by == "poll" else "strip")
    connect(lab, token="expired")
    closed = wait_for_state(lab, "closed")
    assert closed == {"state": "closed", "code": 401, "reason": "Unauthorized", "why": "unauthorized"}
    tried = list(proxy.seen)
    assert tried[-1] == by
    move_on(lab, 3_600_000)
    assert proxy.seen == tried
    lab.evaluate("client.authenticate('fresh')")
    wait_for_attempt(lab, proxy, "websocket", 2)


@pytest.mark.parametrize("market", [Refusing(403, PROBLEM, b'{"title": "Forbidden"}')])
def test_a_403_in_the_servers_words_is_final(lab: Page, proxy: BadProxy, market: Market):
    proxy.faults["websocket"] = "forbid"
    connect(lab)
    closed = wait_for_state(lab, "closed")
    assert closed == {"state": "closed", "code": 403, "reason": "Forbidden", "why": "refused"}
    assert proxy.seen == ["websocket", "sse"]


@pytest.mark.parametrize("by", ["sse", "poll"])
@pytest.mark.parametrize(
    ("market", "delay"),
    [
        (Refusing(429, {"Retry-After": "42"}), 42_000),
        (Refusing(503, {"Retry-After": "Sun, 01 Nov 2026 18:31:07 GMT"}), 7_000),
        (Refusing(503, {}), 1_000),
        (Refusing(503, {"Retry-After": "99999"}), 3_600_000),
    ],
    ids=["429", "503 until a time", "503", "503 for a day"],
)
def test_a_server_that_has_no_room_is_left_alone_for_as_long_as_it_says(
    lab: Page, proxy: BadProxy, market: Refusing, delay: int, by: Transport
):
    proxy.faults.update(websocket="forbid", sse="forbid" if by == "poll" else "strip")
    connect(lab)
    waiting = wait_for_state(lab, "waiting")
    assert (waiting["delay"], waiting["code"], waiting["why"]) == (delay, market.refusal[0], "refused")
    tried = list(proxy.seen)
    assert tried[-1] == by
    move_on(lab, delay - 1)
    assert proxy.seen == tried
    move_on(lab, 1)
    wait_for_attempt(lab, proxy, "websocket", 2)


def test_a_servers_last_word_counts_though_the_close_got_lost(
    lab: Page, market: Market, proxy: BadProxy, monkeypatch: pytest.MonkeyPatch
):
    def full(connection: StubConnection) -> None:
        connection.send(status())
        connection.send({"type": "error", "code": "at_capacity", "retry": "later", "afterMs": 42_000, "message": ""})
        connection.listen()

    monkeypatch.setattr(market, "websocket", full)
    connect(lab)
    wait_for_transport(lab, "websocket")
    lab.wait_for_timeout(100)
    proxy.end("websocket")
    waiting = wait_for_state(lab, "waiting")
    assert (waiting["delay"], waiting["code"], waiting["why"]) == (42_000, 1006, "refused")
    assert proxy.seen == ["websocket"]


@pytest.mark.parametrize("market", [Refusing(502, {"Content-Type": "text/html"})])
def test_a_gateway_without_a_server_behind_it_is_no_block(lab: Page, proxy: BadProxy, market: Market):
    proxy.faults["websocket"] = "forbid"
    connect(lab)
    assert wait_for_state(lab, "waiting")["code"] == 502
    assert proxy.seen == ["websocket", "sse"]


@pytest.mark.parametrize("market", [Refusing(200, {"Content-Type": "text/html"}, b"<h1>Sign in to the hotel</h1>")])
def test_a_page_in_place_of_the_stream_is_a_block(lab: Page, proxy: BadProxy, market: Market):
    proxy.faults["websocket"] = "forbid"
    connect(lab)
    wait_for_state(lab, "waiting")
    assert proxy.seen == ["websocket", "sse", "poll"]
    assert events(lab, "prices") == []


# --- events --------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_events(lab: Page, proxy: BadProxy) -> Page:
    """A page whose client for gold has its messages as events."""
    proxy.faults["websocket"] = "forbid"
    lab.evaluate("newClient({ token: 'secret' }).subscribe(['gold']); client.connect()")
    wait_for_transport(lab, "sse")
    return lab


def test_events_are_requested_with_the_token_and_the_subscription(by_events: Page, stream: StubStream):
    [request] = stream.requests
    assert request.headers["Authorization"] == "Bearer secret"
    assert "Last-Event-ID" not in request.headers
    assert request.path == "/api/v1/stream/?metals=gold"


def test_interval_and_candles_are_requested_of_events(lab: Page, proxy: BadProxy, stream: StubStream):
    proxy.faults["websocket"] = "forbid"
    connect(lab, interval=5000, candles=["1m", "1d"])
    wait_for_transport(lab, "sse")
    assert stream.requests[0].path == "/api/v1/stream/?candles=1m%2C1d&interval=5000"


def test_a_stream_that_breaks_off_goes_on_where_it_was(
    by_events: Page, market: Market, stream: StubStream, proxy: BadProxy
):
    wait_for_price(by_events, market.publish())
    proxy.end("sse")
    assert wait_for_state(by_events, "waiting")["reason"] == "The stream ended"
    market.publish()
    move_on(by_events, 1000)
    wait_for_transport(by_events, "sse")
    assert stream.requests[1].headers["Last-Event-ID"] == "first:2"
    wait_for_price(by_events, market.publish())
    check_all_came_once(by_events, market)
    assert proxy.seen == ["websocket", "sse", "sse"]  # it remembers what worked


def test_a_quiet_market_has_heartbeats_and_a_dead_line_is_left(by_events: Page, market: Market, proxy: BadProxy):
    market.heartbeat = 0.1
    wait_for_price(by_events, market.publish())
    for count in (2, 4):
        by_events.wait_for_function("(count) => eventsOf('heartbeat').length > count", arg=count)
        move_on(by_events, 5000)
    by_events.wait_for_function("eventsOf('heartbeat').length > 6")
    assert events(by_events, "heartbeat")[-1] == beat(2)
    market.heartbeat = 3600
    by_events.wait_for_timeout(200)
    for _ in range(24):
        move_on(by_events, 1000)
    assert by_events.evaluate("client.connected") is True
    move_on(by_events, 1000)
    assert wait_for_state(by_events, "waiting")["code"] == 4000


def test_a_metal_that_is_added_has_its_price_at_once_and_no_move_is_lost(
    by_events: Page, market: Market, stream: StubStream
):
    market.publish("silver")
    by_events.evaluate("client.subscribe(['silver'])")
    wait_for_price(by_events, market.prices["silver"], "silver")
    by_events.wait_for_function("client.transport === 'sse'")
    for metal in ("gold", "silver"):
        wait_for_price(by_events, market.publish(metal), metal)
    assert by_events.evaluate("moves()") == market.moves[-3:]
    assert by_events.evaluate("new Set(eventsOf('connection').map(({ state }) => state)).has('waiting')") is False
    assert [request.path.partition("?")[0] for request in stream.requests] == [
        "/api/v1/stream/",
        "/api/v1/prices/",
        "/api/v1/stream/",
    ]


def test_a_reader_who_clicks_wildly_does_not_storm_the_server(by_events: Page, market: Market, stream: StubStream):
    for _ in range(15):
        by_events.evaluate("client.subscribe(['silver']); client.unsubscribe(['silver'])")
        by_events.wait_for_timeout(20)
    assert len(stream.requests) <= 1 + 5 * 2  # the first, and five changes, each with a poll for the price
    before = len(stream.requests)
    by_events.evaluate("client.subscribe(['silver'])")
    market.publish("silver")
    move_on(by_events, 20_000)
    wait_for_price(by_events, market.publish())
    for _ in range(4):
        move_on(by_events, 10_000)
        wait_for_price(by_events, market.publish())
    wait_for_price(by_events, market.prices["silver"], "silver")
    assert len(stream.requests) > before


@pytest.mark.parametrize("blocked", [("websocket",), ("websocket", "sse")], ids=["by events", "by polls"])
def test_a_metal_that_is_added_before_the_line_has_opened_is_not_left_out(
    lab: Page, market: Market, proxy: BadProxy, blocked: tuple[str, ...]
):
    market.publish("silver")
    proxy.faults = dict.fromkeys(blocked, "forbid")
    lab.evaluate("""() => {
        newClient().subscribe(["gold"]);
        const { fetch } = globalThis;
        globalThis.fetch = (...request) => {
            const answer = fetch(...request);
            if (String(request[0]).includes("metals=gold") && !window.added) {
                window.added = true;
                client.subscribe(["silver"]);
            }
            return answer;
        };
        client.connect();
    }""")
    wait_for_price(lab, market.prices["silver"], "silver")
    move_on(lab, 1000)
    wait_for_price(lab, market.publish("silver"), "silver")
    wait_for_price(lab, market.prices["gold"])


def test_a_metal_that_is_put_away_comes_no_more(by_events: Page, market: Market):
    by_events.evaluate("client.unsubscribe(['*'])")
    market.publish()
    by_events.wait_for_timeout(200)
    by_events.evaluate("events.length = 0")
    market.publish()
    by_events.wait_for_timeout(200)
    assert events(by_events, "prices") == []


def test_events_of_which_only_the_beginning_comes_are_blocked(by_events: Page, market: Market, proxy: BadProxy):
    """A proxy may keep back what comes until it has as much as it likes."""
    move_on(by_events, 25_000)
    wait_for_transport(by_events, "poll")
    assert proxy.seen == ["websocket", "sse", "poll"]


# --- polls ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_polls(lab: Page, proxy: BadProxy) -> Page:
    """A page whose client for gold polls."""
    proxy.faults.update(websocket="forbid", sse="forbid")
    lab.evaluate("newClient({ token: 'secret' }).subscribe(['gold']); client.connect()")
    wait_for_transport(lab, "poll")
    return lab


def test_polls_go_on_from_the_last_answer(by_polls: Page, market: Market, stream: StubStream):
    for _ in range(3):
        move_on(by_polls, 1000)
        wait_for_price(by_polls, market.publish())
    first, second, third = [request for request in stream.requests if "wait=" in request.path][:3]
    assert first.path == "/api/v1/prices/?metals=gold&wait=1"
    assert second.path == "/api/v1/prices/?metals=gold&wait=25&epoch=first&since=1"
    assert third.path.endswith("since=2")
    assert second.headers["Authorization"] == "Bearer secret"
    assert second.headers["If-None-Match"] == 'W/"1 gold"'
    check_all_came_once(by_polls, market)
    assert len(events(by_polls, "status")) == 1


def test_a_poll_that_is_not_answered_is_given_up(by_polls: Page, market: Market, proxy: BadProxy):
    proxy.faults["poll"] = "hang"
    move_on(by_polls, 1000)
    wait_for_attempt(by_polls, proxy, "poll", 2)
    move_on(by_polls, 34_000)
    assert by_polls.evaluate("client.connected") is True
    move_on(by_polls, 1_000)
    assert wait_for_state(by_polls, "waiting")["code"] == 4000
    proxy.faults.clear()


def test_a_page_that_is_to_know_soon_of_a_dead_line_polls_as_often(lab: Page, market: Market, proxy: BadProxy):
    proxy.faults.update(websocket="forbid", sse="forbid")
    connect(lab, heartbeatInterval=5000, heartbeatTimeout=5000)
    wait_for_transport(lab, "poll")
    proxy.faults["poll"] = "hang"
    move_on(lab, 1000)
    wait_for_attempt(lab, proxy, "poll", 2)
    move_on(lab, 9_000)
    assert lab.evaluate("client.connected") is True
    move_on(lab, 1_000)
    assert wait_for_state(lab, "waiting")["code"] == 4000
    proxy.faults.clear()


def test_a_metal_that_is_added_to_a_poll_has_its_price_at_once(by_polls: Page, market: Market):
    market.publish("silver")
    move_on(by_polls, 1000)
    by_polls.evaluate("client.subscribe(['silver'])")
    wait_for_price(by_polls, market.prices["silver"], "silver")
    for metal in ("gold", "silver"):
        move_on(by_polls, 1000)
        wait_for_price(by_polls, market.publish(metal), metal)
    assert by_polls.evaluate("moves()") == market.moves[-3:]


def test_a_listener_may_close_between_the_parts_of_an_answer(by_polls: Page, market: Market, proxy: BadProxy):
    by_polls.evaluate("client.addEventListener('prices', () => client.close())")
    move_on(by_polls, 1000)
    market.publish()
    wait_for_state(by_polls, "closed")
    tried = len(proxy.seen)
    move_on(by_polls, 600_000)
    assert len(proxy.seen) == tried


# --- back to the better one ----------------------------------------------------------------------------------------


def test_a_better_transport_is_tried_again_ever_later_and_the_worse_one_stays_until_it_delivers(
    by_events: Page, market: Market, proxy: BadProxy
):
    proxy.faults["websocket"] = "mute"
    tries: list[int] = []
    for second in range(0, 4 * 60, 10):
        move_on(by_events, 10_000)
        by_events.wait_for_timeout(20)
        wait_for_price(by_events, market.publish())  # else the line were dead
        if proxy.seen.count("websocket") - 1 > len(tries):
            tries.append(second)
    assert tries == [50, 180]  # after one minute; and two after that one was given up, which took ten seconds
    assert [event["state"] for event in events(by_events, "connection")].count("open") == 1
    proxy.faults.clear()
    network_changes(by_events)
    wait_for_transport(by_events, "websocket")
    wait_for_price(by_events, market.publish())
    assert [event["transport"] for event in events(by_events, "transport")] == ["sse", "websocket"]
    assert [event["state"] for event in events(by_events, "connection")].count("open") == 1
    check_all_came_once(by_events, market)


def test_the_worse_line_ends_when_the_better_one_takes_over(by_events: Page, stream: StubStream, proxy: BadProxy):
    [events_request] = stream.requests
    assert not events_request.has_gone()
    proxy.faults.clear()
    network_changes(by_events)
    wait_for_transport(by_events, "websocket")
    for _ in range(200):
        if events_request.has_gone():
            return
        by_events.wait_for_timeout(25)
    raise AssertionError("the event stream is still open")


@pytest.mark.parametrize("blocked", [(), ("websocket",), ("websocket", "sse")], ids=["websocket", "events", "polls"])
@pytest.mark.parametrize("event", ["transport", "connection", "status"])
def test_a_listener_may_close_and_no_event_follows(lab: Page, proxy: BadProxy, blocked: tuple[str, ...], event: str):
    proxy.faults = dict.fromkeys(blocked, "forbid")
    lab.evaluate(
        """(event) => {
            newClient();
            client.addEventListener(event, ({ detail }) => {
                if (event !== "connection" || detail.state === "open") client.close();
            });
            client.connect();
        }""",
        event,
    )
    wait_for_state(lab, "closed")
    count = lab.evaluate("events.length")
    move_on(lab, 600_000)
    lab.wait_for_timeout(100)
    assert lab.evaluate("[events.length, events.at(-1).detail.why]") == [count, "page"]


def test_a_server_that_is_full_for_the_better_transport_keeps_the_other(
    by_events: Page, market: Market, proxy: BadProxy, monkeypatch: pytest.MonkeyPatch
):
    def full(connection: Any) -> None:
        connection.send({"type": "error", "code": "at_capacity", "retry": "later", "afterMs": 1000, "message": ""})
        connection.close(1008, "Server at capacity")

    monkeypatch.setattr(market, "websocket", full)
    proxy.faults.clear()
    network_changes(by_events)
    wait_for_attempt(by_events, proxy, "websocket", 2)
    by_events.wait_for_timeout(200)
    wait_for_price(by_events, market.publish())
    assert by_events.evaluate("[client.transport, client.connection.state]") == ["sse", "open"]


def test_nothing_is_missed_or_doubled_however_the_transport_changes(lab: Page, market: Market, proxy: BadProxy):
    lab.clock.resume()
    with market.publishing():
        connect(lab, reconnectDelay=10, heartbeatTimeout=300, connectTimeout=1000)
        wait_for_transport(lab, "websocket")
        for _ in range(3):
            proxy.faults["websocket"] = "forbid"
            proxy.end("websocket")
            wait_for_transport(lab, "sse")
            proxy.faults["sse"] = "mute"
            proxy.end("sse")
            wait_for_transport(lab, "poll")
            proxy.faults.pop("sse")
            network_changes(lab)
            wait_for_transport(lab, "sse")
            proxy.end("sse")  # and again by the same
            proxy.faults.pop("websocket")
            network_changes(lab)
            lab.wait_for_timeout(100)
            network_changes(lab)
            wait_for_transport(lab, "websocket")
            proxy.faults.update(websocket="forbid", sse="forbid")
            proxy.end("websocket")
            wait_for_transport(lab, "poll")
            proxy.faults.clear()
            network_changes(lab)
            wait_for_transport(lab, "websocket")
    wait_for_price(lab, market.publish())
    check_all_came_once(lab, market)
    assert market.seq > 100


def test_another_history_is_followed_over_another_transport(by_events: Page, market: Market, proxy: BadProxy):
    wait_for_price(by_events, market.publish())
    market.epoch, market.seq = "second", 0
    market.prices.clear()
    proxy.end("sse")
    wait_for_state(by_events, "waiting")
    market.publish()
    proxy.faults.update(sse="forbid")
    move_on(by_events, 1000)
    wait_for_transport(by_events, "poll")
    wait_for_price(by_events, 101)
    assert [update["message"]["epoch"] for update in events(by_events, "prices")] == ["first", "first", "second"]
    assert by_events.evaluate("moves()") == [102]


# --- what a session remembers --------------------------------------------------------------------------------------


def reopen(lab: Page, proxy: BadProxy, transport: Transport) -> None:
    """Open the page anew, and wait until it has the transport."""
    proxy.seen.clear()
    lab.goto(f"{proxy.http_url}/tests/pages/client.html")
    lab.wait_for_function("window.ready")
    connect(lab)
    wait_for_transport(lab, transport)


def test_the_next_page_of_a_session_begins_with_what_worked(by_events: Page, proxy: BadProxy):
    reopen(by_events, proxy, "sse")
    assert proxy.seen == ["sse"]
    proxy.faults.clear()
    network_changes(by_events)
    wait_for_transport(by_events, "websocket")
    reopen(by_events, proxy, "websocket")
    assert proxy.seen == ["websocket"]


def test_what_worked_once_and_is_blocked_now_is_forgotten(by_polls: Page, proxy: BadProxy):
    proxy.faults = {"poll": "forbid"}
    proxy.seen.clear()
    by_polls.goto(f"{proxy.http_url}/tests/pages/client.html")
    by_polls.wait_for_function("window.ready")
    connect(by_polls)
    wait_for_state(by_polls, "waiting")
    move_on(by_polls, 1000)
    wait_for_transport(by_polls, "websocket")
    assert proxy.seen == ["poll", "websocket"]


def test_a_browser_without_a_memory_finds_out_each_time(lab: Page, proxy: BadProxy):
    lab.add_init_script("Object.defineProperty(globalThis, 'sessionStorage', { get() { throw new Error('no') } })")
    proxy.faults["websocket"] = "forbid"
    for _ in range(2):
        reopen(lab, proxy, "sse")
        assert proxy.seen == ["websocket", "sse"]


def test_each_of_two_tabs_finds_its_own_way(by_events: Page, market: Market, proxy: BadProxy, browser: Browser):
    with new_page(browser) as other:
        proxy.faults.clear()
        open_test_page(other, proxy.http_url, "client.html")
        connect(other)
        wait_for_transport(other, "websocket")
        price = market.publish()
        wait_for_price(other, price)
        wait_for_price(by_events, price)
        assert by_events.evaluate("client.transport") == "sse"
