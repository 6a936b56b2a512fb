"""The client library in a real browser, against a server that misbehaves in every way a server can."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import new_page
from tests.support.pages import SERVER_GONE, open_test_page
from tests.support.stub_stream import StubConnection, StubStream, move, price_update, quote, status, subscribed


@pytest.fixture
def stream() -> Iterator[StubStream]:
    with StubStream() as stream:
        yield stream


@pytest.fixture
def lab(stream: StubStream, page: Page) -> Page:
    """A page with the library, whose clock moves only when the test says so."""
    page.clock.install(time="2026-11-01T18:30:00Z")
    open_test_page(page, stream.http_url, "client.html")
    page.clock.pause_at("2026-11-01T18:31:00Z")
    return page


@pytest.fixture(scope="module")
def refusing(browser: Browser) -> Iterator[Page]:
    """A page with the library, for calls that are refused at once: the next finds the page as the first one did."""
    with StubStream() as stream, new_page(browser) as page:
        open_test_page(page, stream.http_url, "client.html")
        yield page


def connect(lab: Page, options: dict[str, Any] | None = None) -> None:
    lab.evaluate("(options) => newClient(options).connect()", options or {})


def wait_for_state(lab: Page, state: str) -> dict[str, Any]:
    """The connection's details, once it is in this state."""
    lab.wait_for_function("(state) => client.connection.state === state", arg=state)
    return dict(lab.evaluate("client.connection"))


def wait_for_events(lab: Page, type: str, count: int = 1) -> list[Any]:
    """The details of all events of a type, once there are `count`."""
    lab.wait_for_function("([type, count]) => eventsOf(type).length >= count", arg=[type, count])
    return list(lab.evaluate("(type) => eventsOf(type)", type))


def move_on(lab: Page, milliseconds: float) -> None:
    lab.clock.run_for(int(milliseconds))


def lose(lab: Page, connection: StubConnection) -> None:
    connection.close(1011, "Internal error")
    wait_for_state(lab, "waiting")


def all_said(lab: Page, connection: StubConnection) -> list[dict[str, Any]]:
    """All that the client sent, which is certain only once it has hung up."""
    lab.evaluate("client.close()")
    connection.wait_until_closed()
    return connection.received


def retry(lab: Page, stream: StubStream) -> StubConnection:
    """The connection that a waiting client opens next."""
    move_on(lab, lab.evaluate("client.connection.delay"))
    return stream.connection()


def moves(lab: Page) -> list[float]:
    """The new prices of all moves that were passed to the page so far."""
    return list(lab.evaluate("moves()"))


def prices_shown(lab: Page, metal: str = "gold") -> list[float]:
    """A metal's prices in the order in which the page was handed them."""
    return list(lab.evaluate("(metal) => eventsOf('prices').map(({ data }) => data[metal]?.price)", metal))


# --- prices --------------------------------------------------------------------------------------------------------


def test_prices_changes_and_the_whole_message_reach_the_page(lab: Page, stream: StubStream):
    update = price_update(7, gold=quote(13221.39), changes=[move("gold", 13080, 13221.39)])
    stream.greeting = [update]
    connect(lab)
    [event] = wait_for_events(lab, "prices")
    assert event == {"data": update["data"], "changes": update["changes"], "candles": {}, "message": update}
    assert lab.evaluate("client.prices") == update["data"]
    assert stream.connection().subprotocol == "swarnaai-v1"


def test_the_status_is_known_while_there_is_a_connection(lab: Page, stream: StubStream):
    stream.greeting = [status("fallback", market="closed")]
    connect(lab)
    [event] = wait_for_events(lab, "status")
    assert event == lab.evaluate("client.status") == stream.greeting[0]
    stream.connection().close(1011)
    wait_for_state(lab, "waiting")
    assert lab.evaluate("client.status") is None


def test_an_update_older_than_the_current_prices_is_dropped(lab: Page, stream: StubStream):
    connect(lab)
    stream.connection().send(
        price_update(7, gold=quote(700)), price_update(6, gold=quote(600)), price_update(8, gold=quote(800))
    )
    updates = wait_for_events(lab, "prices", 2)
    assert [update["message"]["seq"] for update in updates] == [7, 8]


@pytest.mark.parametrize("seq", [3, 7], ids=["an older seq", "the same seq"])
def test_a_snapshot_is_taken_whatever_its_seq(lab: Page, stream: StubStream, seq: int):
    connect(lab)
    stream.connection().send(
        price_update(7, gold=quote(700)), price_update(seq, gold=quote(700, stale=True), snapshot=True)
    )
    assert wait_for_events(lab, "prices", 2)[1]["data"]["gold"]["stale"] is True


def test_the_seeds_own_server_sends_no_seq_and_is_understood(lab: Page, stream: StubStream):
    connect(lab)
    seed_quote = {"price": 5420.5, "change": 25.3, "changePercent": 0.47, "high": 5435, "low": 5380}
    stream.connection().send({"type": "priceUpdate", "data": {"gold": seed_quote}})
    [event] = wait_for_events(lab, "prices")
    assert (event["data"], event["changes"]) == ({"gold": seed_quote}, [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '"priceUpdate"',
        '{"type":"priceUpdate"}',
        '{"type":"priceUpdate","data":[1]}',
        '{"type":"priceUpdate","data":{"gold":null}}',
        '{"type":"priceUpdate","data":{},"changes":[null]}',
    ],
)
def test_an_unreadable_message_is_reported_and_the_connection_stays_open(lab: Page, stream: StubStream, text: str):
    connect(lab)
    connection = stream.connection()
    connection.send(text, {"type": "of a later version"}, price_update(1, gold=quote(100)))
    wait_for_events(lab, "prices")
    assert [event["code"] for event in wait_for_events(lab, "error")] == ["unreadable_message"]
    assert lab.evaluate("client.connected") is True


def test_what_a_later_version_adds_is_passed_on_and_breaks_nothing(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    known = price_update(1, gold=quote(100, carbon=3), rhodium=quote(9000)) | {"later": []}
    connection.send(status(feed="delayed", market="auction", metals={"gold": "delayed"}), known)
    (prices,) = wait_for_events(lab, "prices")
    assert (prices["data"]["gold"]["carbon"], prices["data"]["rhodium"]["price"]) == (3, 9000)
    assert lab.evaluate("[client.status.feed, client.status.market]") == ["delayed", "auction"]


def test_a_rejection_by_the_server_reaches_the_page(lab: Page, stream: StubStream):
    connect(lab)
    problem = {"type": "error", "code": "unknown_metal", "message": 'Unknown metal "tin".'}
    stream.connection().send(problem)
    assert wait_for_events(lab, "error") == [problem]


def test_the_servers_clock_is_estimated_by_its_latest_message_but_not_by_a_snapshot(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100), snapshot=True, timestamp="2026-11-01T11:00:00.000Z")]
    connect(lab)
    wait_for_events(lab, "prices")
    assert lab.evaluate("client.serverTime - Date.now()") == 0
    connection = stream.connection()
    connection.wait_for("ping")
    connection.send({"type": "pong", "timestamp": "2026-11-01T18:41:00.000Z"})
    lab.wait_for_function("client.serverTime - Date.now() === 10 * 60 * 1000")


@pytest.mark.parametrize("wrong", ["2026-10-31T18:31:00Z", "2026-11-01T17:31:00Z", "2026-11-02T18:31:00Z"])
def test_the_servers_clock_goes_on_where_the_readers_steps(lab: Page, stream: StubStream, wrong: str):
    connect(lab)
    connection = stream.connection()
    connection.wait_for("ping")
    connection.send({"type": "pong", "timestamp": "2026-11-01T18:41:00.000Z"})
    told = "Math.round(client.serverTime - Date.parse('2026-11-01T18:41:00.000Z'))"
    lab.wait_for_function(f"{told} === 0")
    lab.clock.set_system_time(wrong)
    assert lab.evaluate(told) == 0


def test_a_servers_clock_that_is_put_back_is_followed(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    for time in ("18:41:00", "17:41:00"):
        connection.send({"type": "pong", "timestamp": f"2026-11-01T{time}.000Z"})
        lab.wait_for_function(f"Math.round(client.serverTime - Date.parse('2026-11-01T{time}.000Z')) === 0")
    # What waited for the end of an interval, say, tells nothing.
    connection.send(price_update(1, gold=quote(100), timestamp="2026-11-01T17:40:00.000Z"))
    wait_for_events(lab, "prices")
    assert lab.evaluate("Math.round(client.serverTime - Date.parse('2026-11-01T17:41:00.000Z'))") == 0


def test_between_frequent_updates_a_ping_checks_whether_the_servers_clock_was_set_back(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    connection.wait_for("ping")
    connection.send({"type": "pong", "timestamp": "2026-11-02T00:01:00.000Z"})  # in local time, read as UTC
    for seq in (1, 2):
        move_on(lab, 20_000)
        connection.send(price_update(seq, gold=quote(100), timestamp="2026-11-01T18:31:00.000Z"))
        wait_for_events(lab, "prices", seq)
    connection.wait_for("ping", 2)
    connection.send({"type": "pong", "timestamp": "2026-11-01T18:31:40.000Z"})
    lab.wait_for_function("Math.round(client.serverTime - Date.parse('2026-11-01T18:31:40.000Z')) === 0")
    assert [message["type"] for message in all_said(lab, connection)] == ["ping", "subscribe", "ping"]


# --- which metals --------------------------------------------------------------------------------------------------


def test_a_subscription_before_connecting_is_sent_once_connected(lab: Page, stream: StubStream):
    lab.evaluate("newClient().subscribe(['gold', 'silver']); client.connect()")
    assert stream.connection().wait_for("subscribe")["metals"] == ["gold", "silver"]


def test_a_client_without_a_subscription_sends_none(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    wait_for_state(lab, "open")
    assert all_said(lab, connection) == [{"type": "ping"}]


def test_for_its_heartbeats_it_subscribes_to_what_it_has_from_where_it_is(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    connection.send(price_update(7, gold=quote(700), epoch="first", snapshot=True))
    asked = connection.wait_for("subscribe")
    assert asked == {"type": "subscribe", "metals": ["*"], "since": 7, "epoch": "first", "id": "resume"}
    assert connection.heartbeat == 30_000
    connection.send(
        subscribed("gold", id="resume") | {"heartbeat": 30_000},
        price_update(8, gold=quote(800), epoch="first", changes=[move("gold", 700, 800)]),
    )
    wait_for_events(lab, "prices", 2)
    assert moves(lab) == [800]
    assert [message["type"] for message in all_said(lab, connection)] == ["ping", "subscribe"]


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ("subscribe(['gold'])", [("subscribe", ["gold"])]),
        ("subscribe(['gold']); client.subscribe(['silver'])", [("subscribe", ["gold", "silver"])]),
        ("subscribe(['gold', 'silver']); client.unsubscribe(['gold'])", [("subscribe", ["silver"])]),
        ("subscribe(['gold']); client.unsubscribe(['gold'])", [("unsubscribe", ["*"])]),
        ("unsubscribe(['gold'])", [("unsubscribe", ["gold"])]),
        ("unsubscribe(['gold']); client.subscribe(['gold'])", [("subscribe", ["gold"])]),
        ("unsubscribe(['*']); client.subscribe(['gold'])", [("subscribe", ["gold"])]),
        ("subscribe(['gold']); client.subscribe(['*'])", [("subscribe", ["*"])]),
        (
            "subscribe(['gold']); client.subscribe(['*']); client.unsubscribe(['tin'])",
            [("subscribe", ["*"]), ("unsubscribe", ["tin"])],
        ),
    ],
)
def test_after_a_reconnect_the_choice_is_made_again(
    lab: Page, stream: StubStream, choices: str, told: list[tuple[str, list[str]]]
):
    connect(lab)
    stream.connection().wait_for("ping")
    lab.evaluate(f"client.{choices}; 0")
    stream.stop()
    wait_for_state(lab, "waiting")
    stream.start()
    move_on(lab, 1000)
    connection = stream.connection()
    connection.wait_for(told[-1][0])
    assert [(message["type"], message["metals"]) for message in connection.received if "metals" in message] == told


def test_a_metal_that_is_not_subscribed_is_not_passed_on(lab: Page, stream: StubStream):
    lab.evaluate("newClient().subscribe(['gold', 'tin']); client.connect()")
    stream.connection().send(
        price_update(
            1,
            gold=quote(100),
            silver=quote(2),
            tin=quote(1),
            changes=[move("gold", 99, 100), move("silver", 1, 2)],
        )
    )
    [event] = wait_for_events(lab, "prices")
    assert list(event["data"]) == ["gold", "tin"]
    assert [change["metal"] for change in event["changes"]] == ["gold"]
    lab.evaluate("client.unsubscribe(['tin'])")
    assert lab.evaluate("Object.keys(client.prices)") == ["gold"]


def test_a_reader_who_clicks_wildly_stays_within_the_rate_limit(lab: Page, stream: StubStream):
    connect(lab, {"heartbeatTimeout": 90_000})
    connection = stream.connection()
    connection.wait_for("ping")
    for _ in range(10):
        lab.evaluate("client.subscribe(['gold', 'silver']); client.unsubscribe(['gold'])")
    lab.evaluate("client.subscribe(['tin'])")
    move_on(lab, 59_999)
    connection.wait_for("subscribe", 3)
    assert len(connection.received) <= 10
    move_on(lab, 1)
    assert set(connection.wait_for("subscribe", 4)["metals"]) == {"silver", "tin"}
    assert connection.wait_for("unsubscribe", 3)["metals"] == ["gold"]


@pytest.mark.parametrize("metals", ["undefined", "'gold'", "[]", "[1]", "['gold', null]"])
def test_a_subscription_that_is_not_a_list_of_names_is_rejected(refusing: Page, metals: str):
    refusal = f"""() => {{
        try {{ newClient().subscribe({metals}) }} catch (error) {{ return error instanceof TypeError }}
    }}"""
    assert refusing.evaluate(refusal) is True


# --- what was missed -----------------------------------------------------------------------------------------------


@pytest.fixture
def away(lab: Page, stream: StubStream) -> Page:
    """A page whose client for gold saw the update 7, and then lost its connection."""
    lab.evaluate("newClient().subscribe(['gold']); client.connect()")
    connection = stream.connection()
    connection.send(subscribed("gold"), price_update(7, gold=quote(700)))
    wait_for_events(lab, "prices")
    lose(lab, connection)
    return lab


def snapshot(seq: int, **quotes: Any) -> dict[str, Any]:
    return price_update(seq, **quotes, snapshot=True)


RESUMED = subscribed("gold", id="resume")


def test_missed_moves_are_passed_on_once_after_the_first_snapshot(away: Page, stream: StubStream):
    stream.greeting = [snapshot(9, gold=quote(900))]
    connection = retry(away, stream)
    asked = connection.wait_for("subscribe")
    assert (asked["metals"], asked["since"]) == (["gold"], 7)
    # The state is worth showing at once; the moves that led to it come with the answer.
    wait_for_events(away, "prices", 2)
    missed = [move("gold", 700, 800), move("gold", 800, 900)]
    connection.send(RESUMED, price_update(9, gold=quote(900), changes=missed))
    assert wait_for_events(away, "prices", 3)[2]["changes"] == missed
    assert (prices_shown(away), moves(away)) == ([700, 900, 900], [800, 900])


def test_a_move_that_overtakes_the_answer_is_not_handed_out_twice(away: Page, stream: StubStream):
    stream.greeting = [snapshot(8, gold=quote(800)), price_update(9, gold=quote(900), changes=[move("gold", 800, 900)])]
    connection = retry(away, stream)
    connection.send(
        RESUMED,
        price_update(9, gold=quote(900), changes=[move("gold", 700, 800), move("gold", 800, 900)]),
        price_update(10, gold=quote(1000), changes=[move("gold", 900, 1000)]),
    )
    wait_for_events(away, "prices", 5)
    assert (prices_shown(away), moves(away)) == ([700, 800, 900, 900, 1000], [800, 900, 1000])


@pytest.mark.parametrize(
    ("answer", "next_update"),
    [
        (RESUMED, snapshot(9, gold=quote(900))),
        (
            {"type": "error", "code": "unknown_metal", "message": "", "id": "resume"},
            price_update(10, gold=quote(900), changes=[]),
        ),
    ],
    ids=["a snapshot instead", "an error"],
)
def test_a_move_that_the_answer_does_not_repeat_is_not_lost(
    away: Page, stream: StubStream, answer: dict[str, Any], next_update: dict[str, Any]
):
    stream.greeting = [snapshot(8, gold=quote(800)), price_update(9, gold=quote(900), changes=[move("gold", 800, 900)])]
    retry(away, stream).send(answer, next_update)
    wait_for_events(away, "prices", 4)
    assert moves(away) == [900]


def test_where_nothing_was_missed_the_next_move_comes_as_ever(away: Page, stream: StubStream):
    stream.greeting = [snapshot(7, gold=quote(700))]
    connection = retry(away, stream)
    connection.send(RESUMED, price_update(8, gold=quote(800), changes=[move("gold", 700, 800)]))
    wait_for_events(away, "prices", 3)
    assert moves(away) == [800]


def test_a_connection_lost_before_the_answer_leaves_the_same_since(away: Page, stream: StubStream):
    stream.greeting = [snapshot(8, gold=quote(800)), price_update(9, gold=quote(900), changes=[move("gold", 800, 900)])]
    connection = retry(away, stream)
    wait_for_events(away, "prices", 3)
    lose(away, connection)
    # This server has not heard of the newest publication yet, but of a move that the page has not.
    stream.greeting = [snapshot(8, gold=quote(800))]
    connection = retry(away, stream)
    assert connection.wait_for("subscribe")["since"] == 7
    connection.send(
        RESUMED,
        price_update(8, gold=quote(800), changes=[move("gold", 700, 800)]),
        price_update(9, gold=quote(900), changes=[move("gold", 800, 900)]),
    )
    wait_for_events(away, "prices", 5)
    assert (prices_shown(away), moves(away)) == ([700, 800, 900, 900, 900], [800, 900])


def test_an_unsubscribed_metal_delays_no_moves(away: Page, stream: StubStream):
    connection = retry(away, stream)
    connection.wait_for("subscribe")
    away.evaluate("client.unsubscribe(['*'])")
    lose(away, connection)
    connection = retry(away, stream)
    connection.wait_for("unsubscribe")
    wait_for_state(away, "open")
    away.evaluate("client.subscribe(['gold'])")
    connection.send(snapshot(9, gold=quote(900)), price_update(10, gold=quote(1000), changes=[move("gold", 900, 1000)]))
    wait_for_events(away, "prices", 3)
    assert moves(away) == [1000]


def test_a_server_that_lags_behind_does_not_take_prices_back(away: Page, stream: StubStream):
    stream.greeting = [snapshot(6, gold=quote(600))]
    retry(away, stream).send(price_update(8, gold=quote(800)))
    wait_for_events(away, "prices", 2)
    assert prices_shown(away) == [700, 800]


def test_the_prices_of_a_server_whose_database_was_restored_replace_newer_ones(away: Page, stream: StubStream):
    stream.greeting = [snapshot(3, gold=quote(300))]
    connection = retry(away, stream)
    connection.send(
        RESUMED,
        snapshot(3, gold=quote(300)),
        price_update(4, gold=quote(400), changes=[move("gold", 300, 400)]),
    )
    wait_for_events(away, "prices", 3)
    assert (prices_shown(away), moves(away)) == ([700, 300, 400], [400])
    lose(away, connection)
    assert retry(away, stream).wait_for("subscribe")["since"] == 4


@pytest.fixture
def away_from_first(lab: Page, stream: StubStream) -> Page:
    """As `away`, from a server that said which epoch 7 is of."""
    lab.evaluate("newClient().subscribe(['gold']); client.connect()")
    connection = stream.connection()
    connection.send(subscribed("gold"), price_update(7, gold=quote(700), epoch="first"))
    wait_for_events(lab, "prices")
    lose(lab, connection)
    return lab


def test_moves_of_two_histories_are_not_joined(away_from_first: Page, stream: StubStream):
    """The server's database was put back, and has outgrown what the page saw."""
    stream.greeting = [snapshot(9, gold=quote(500), epoch="second")]
    connection = retry(away_from_first, stream)
    asked = connection.wait_for("subscribe")
    assert (asked["since"], asked["epoch"]) == (7, "first")
    connection.send(
        RESUMED,
        snapshot(9, gold=quote(500), epoch="second"),
        price_update(10, gold=quote(600), changes=[move("gold", 500, 600)], epoch="second"),
    )
    wait_for_events(away_from_first, "prices", 3)
    # Until the answer nobody knew which server was behind.
    assert (prices_shown(away_from_first), moves(away_from_first)) == ([700, 500, 600], [600])
    lose(away_from_first, connection)
    asked = retry(away_from_first, stream).wait_for("subscribe")
    assert (asked["since"], asked["epoch"]) == (10, "second")


def test_a_history_that_begins_while_connected_is_followed_though_its_numbers_are_smaller(
    lab: Page, stream: StubStream
):
    stream.greeting = [snapshot(7, gold=quote(700), epoch="first")]
    connect(lab)
    connection = stream.connection()
    connection.wait_for("subscribe")
    connection.send(
        RESUMED,
        snapshot(3, gold=quote(300), epoch="second"),
        price_update(4, gold=quote(400), changes=[move("gold", 300, 400)], epoch="second"),
    )
    wait_for_events(lab, "prices", 3)
    assert (prices_shown(lab), moves(lab)) == ([700, 300, 400], [400])


def test_an_update_that_comes_twice_brings_its_moves_once(lab: Page, stream: StubStream):
    update = price_update(7, gold=quote(700), changes=[move("gold", 600, 700)])
    stream.greeting = [update, update]
    connect(lab)
    wait_for_events(lab, "prices", 2)
    assert moves(lab) == [700]


def test_a_metal_added_while_away_is_subscribed_with_the_rest(away: Page, stream: StubStream):
    stream.greeting = [snapshot(9, gold=quote(900), silver=quote(9))]
    away.evaluate("client.subscribe(['silver'])")
    connection = retry(away, stream)
    asked = connection.wait_for("subscribe")
    assert (asked["metals"], asked["since"]) == (["gold", "silver"], 7)
    missed = [move("gold", 700, 900), move("silver", 8, 9)]
    connection.send(RESUMED, price_update(9, gold=quote(900), silver=quote(9), changes=missed))
    wait_for_events(away, "prices", 3)
    assert (moves(away), prices_shown(away, "silver")) == ([900, 9], [None, 9, 9])
    assert [message["type"] for message in all_said(away, connection)] == ["ping", "subscribe"]


def test_a_metal_added_while_away_is_not_left_without_a_price(away: Page, stream: StubStream):
    # A server that has only just started greets with nothing, and resumes with nothing where no publication was missed.
    away.evaluate("client.subscribe(['silver'])")
    connection = retry(away, stream)
    connection.wait_for("subscribe")
    connection.send(RESUMED)
    asked = connection.wait_for("subscribe", 2)
    assert (asked["metals"], "since" in asked) == (["gold", "silver"], False)


def test_a_client_that_never_chose_resumes_with_all_metals_and_may_still_choose(lab: Page, stream: StubStream):
    stream.greeting = [price_update(7, gold=quote(700), silver=quote(7))]
    connect(lab)
    wait_for_events(lab, "prices")
    lose(lab, stream.connection())
    connection = retry(lab, stream)
    asked = connection.wait_for("subscribe")
    assert (asked["metals"], asked["since"]) == (["*"], 7)
    wait_for_state(lab, "open")
    lab.evaluate("client.subscribe(['gold']); client.subscribe(['silver'])")
    connection.wait_for("subscribe", 3)
    told = [(message["type"], message["metals"]) for message in connection.received if "metals" in message]
    assert told == [
        ("subscribe", ["*"]),
        ("unsubscribe", ["*"]),
        ("subscribe", ["gold"]),
        ("subscribe", ["silver"]),
    ]


def test_where_updates_have_no_seq_there_is_nothing_to_resume_from(lab: Page, stream: StubStream):
    stream.greeting = [{"type": "priceUpdate", "data": {"gold": quote(100)}}]
    connect(lab)
    wait_for_events(lab, "prices")
    lose(lab, stream.connection())
    connection = retry(lab, stream)
    connection.wait_for("ping")
    lab.evaluate("client.subscribe(['gold'])")
    assert connection.wait_for("subscribe") == {"type": "subscribe", "metals": ["gold"]}
    assert [message["type"] for message in connection.received] == ["ping", "subscribe"]


# --- how often -----------------------------------------------------------------------------------------------------


def test_the_interval_is_sent_with_every_subscribe_and_confirmed(lab: Page, stream: StubStream):
    connect(lab, {"interval": 5000})
    connection = stream.connection()
    assert connection.wait_for("subscribe") == {"type": "subscribe", "metals": ["*"], "interval": 5000}
    assert lab.evaluate("client.interval") is None
    answer = subscribed("gold", "silver", interval=6000)
    connection.send(answer)
    assert wait_for_events(lab, "subscribed") == [answer]
    assert lab.evaluate("client.interval") == 6000
    lab.evaluate("client.subscribe(['*'])")
    assert connection.wait_for("subscribe", 2)["interval"] == 5000
    lose(lab, connection)
    assert lab.evaluate("client.interval") is None


@pytest.mark.parametrize("interval", ["-1", "1.5", "NaN", "Infinity", "'5000'"])
def test_an_invalid_interval_is_rejected_at_once(refusing: Page, interval: str):
    refusal = f"() => {{ try {{ newClient({{ interval: {interval} }}) }} catch (error) {{ return String(error) }} }}"
    assert refusing.evaluate(refusal) == "TypeError: interval must be whole milliseconds, 0 or more"


# --- candles -------------------------------------------------------------------------------------------------------


def test_candles_are_requested_with_every_subscribe_and_passed_on_with_their_update(lab: Page, stream: StubStream):
    connect(lab, {"candles": ["1m"]})
    connection = stream.connection()
    assert connection.wait_for("subscribe") == {"type": "subscribe", "metals": ["*"], "candles": ["1m"]}
    minute = {"start": "2026-11-01T18:31:00.000Z", "close": 13221.39, "closed": False}
    connection.send(price_update(7, gold=quote(13221.39)) | {"candles": {"gold": {"1m": [minute]}}})
    assert wait_for_events(lab, "prices")[0]["candles"] == {"gold": {"1m": [minute]}}
    lab.evaluate("client.subscribe(['gold'])")
    assert connection.wait_for("subscribe", 2)["candles"] == ["1m"]


def test_candles_of_metals_that_are_not_wanted_and_of_older_updates_are_not_handed_out(lab: Page, stream: StubStream):
    lab.evaluate("newClient({ candles: ['1m'] }).subscribe(['gold']); client.connect()")
    drawn = {"candles": {"gold": {"1m": [{"close": 1}]}, "silver": {"1m": [{"close": 2}]}}}
    stream.connection().send(
        price_update(7, gold=quote(700)) | drawn,
        price_update(6, gold=quote(600), changes=[move("gold", 1, 2)]) | drawn,
        price_update(8, gold=quote(800)),
    )
    first, *later = wait_for_events(lab, "prices", 2)
    assert first["candles"] == {"gold": {"1m": [{"close": 1}]}}
    assert [event["candles"] for event in later] == [{}]


@pytest.mark.parametrize("candles", ["'1m'", "[60]", "{}"])
def test_invalid_candles_are_rejected_at_once(refusing: Page, candles: str):
    refusal = f"() => {{ try {{ newClient({{ candles: {candles} }}) }} catch (error) {{ return String(error) }} }}"
    assert refusing.evaluate(refusal) == 'TypeError: candles must be an array of intervals, such as ["1m"]'


# --- the credential ------------------------------------------------------------------------------------------------


def test_a_token_is_offered_as_a_subprotocol(lab: Page, stream: StubStream):
    connect(lab, {"token": "a1.B2-c3_~"})
    connection = stream.connection()
    assert connection.offered == ["swarnaai-v1", "swarnaai.bearer.a1.B2-c3_~"]
    assert connection.subprotocol == "swarnaai-v1"


@pytest.mark.parametrize("token", ["", "two words", "a,b", "a/b=", "naïve", 'quo"ted', 17])
def test_a_token_that_cannot_be_sent_is_rejected_without_repeating_it(refusing: Page, token: Any):
    errors = refusing.evaluate(
        """(token) => {
            const errors = [];
            try { newClient({ token }) } catch (error) { errors.push(String(error)) }
            try { newClient().authenticate(token) } catch (error) { errors.push(String(error)) }
            return errors;
        }""",
        token,
    )
    assert len(errors) == 2
    for error in errors:
        assert error.startswith("TypeError: token must be made of letters, digits and ")
        assert not token or str(token) not in error


def test_without_a_credential_that_is_good_there_is_no_retry(lab: Page, stream: StubStream):
    connect(lab, {"token": "expired"})
    stream.connection().close(1008, "Unauthorized")
    closed = wait_for_state(lab, "closed")
    assert closed == {"state": "closed", "code": 1008, "reason": "Unauthorized", "why": "unauthorized"}
    lab.evaluate("dispatchEvent(new Event('online')); client.authenticate('expired')")
    move_on(lab, 3_600_000)
    assert lab.evaluate("client.connection.state") == "closed"
    assert not stream.has_connection()


@pytest.mark.parametrize(
    ("token", "offered"), [("fresh", ["swarnaai-v1", "swarnaai.bearer.fresh"]), (None, ["swarnaai-v1"])]
)
def test_with_another_credential_it_connects_again(
    lab: Page, stream: StubStream, token: str | None, offered: list[str]
):
    connect(lab, {"token": "expired"})
    stream.connection().close(1008, "Unauthorized")
    wait_for_state(lab, "closed")
    lab.evaluate("(token) => client.authenticate(token)", token)
    wait_for_state(lab, "open")
    assert stream.connection().offered == offered


def test_a_token_renewed_in_time_is_used_when_the_old_one_ends(lab: Page, stream: StubStream):
    connect(lab, {"token": "old"})
    connection = stream.connection()
    wait_for_state(lab, "open")
    lab.evaluate("client.authenticate('new')")
    connection.close(1008, "Unauthorized")
    assert stream.connection().offered[1] == "swarnaai.bearer.new"
    wait_for_state(lab, "open")
    assert [event["state"] for event in wait_for_events(lab, "connection")] == [
        "connecting",
        "open",
        "connecting",
        "open",
    ]


# --- the heartbeat -------------------------------------------------------------------------------------------------


def test_silence_is_broken_by_a_ping_and_any_answer_will_do(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    for seq in range(1, 4):
        connection.wait_for("ping", seq)
        connection.send(price_update(seq, gold=quote(100)))
        wait_for_events(lab, "prices", seq)
        move_on(lab, 30_000)
    assert wait_for_state(lab, "open") == {"state": "open"}


def test_a_server_that_talks_is_not_pinged(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    for seq in range(1, 6):
        connection.send(price_update(seq, gold=quote(100), timestamp=lab.evaluate("new Date().toISOString()")))
        wait_for_events(lab, "prices", seq)
        move_on(lab, 29_999)
    said = [message["type"] for message in all_said(lab, connection)]
    assert said == ["ping", "subscribe"]  # that open the conversation


def test_a_silent_server_is_replaced_at_once_by_a_new_connection(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100))]
    connect(lab)
    wait_for_events(lab, "prices")
    connection = stream.connection()
    move_on(lab, 30_000)
    connection.wait_for("ping", 2)
    move_on(lab, 9_999)
    assert lab.evaluate("client.connected") is True
    move_on(lab, 1)
    lost = lab.evaluate("client.connection")
    assert (lost["state"], lost["code"], lost["reason"]) == ("waiting", 4000, "The server fell silent")
    assert lab.evaluate("client.connected") is False
    connection.wait_until_closed()
    move_on(lab, 1000)
    wait_for_state(lab, "open")


def promise_heartbeats(lab: Page, connection: StubConnection) -> None:
    """Greet, and confirm the subscription, as a server does that sends heartbeats."""
    connection.send(price_update(1, gold=quote(100)))
    connection.wait_for("subscribe")
    connection.send(subscribed("gold", id="resume") | {"heartbeat": connection.heartbeat})
    wait_for_events(lab, "subscribed")


HEARTBEAT = {"type": "heartbeat", "epoch": "first", "seq": 1, "feed": "live", "timestamp": "2026-11-01T18:31:00.000Z"}


def test_a_server_that_promised_heartbeats_is_not_pinged_and_lives_by_them(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    promise_heartbeats(lab, connection)
    for count in range(1, 5):
        move_on(lab, 30_000)
        connection.send(HEARTBEAT)
        assert wait_for_events(lab, "heartbeat", count)[-1] == HEARTBEAT
    assert lab.evaluate("client.connected") is True
    assert [message["type"] for message in all_said(lab, connection)] == ["ping", "subscribe"]


def test_a_line_without_its_heartbeats_is_dead_and_another_one_is_opened(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    promise_heartbeats(lab, connection)
    move_on(lab, 30_000)
    connection.send(HEARTBEAT)
    wait_for_events(lab, "heartbeat")
    move_on(lab, 39_999)
    assert lab.evaluate("client.connected") is True
    move_on(lab, 1)
    lost = wait_for_state(lab, "waiting")
    assert (lost["code"], lost["reason"]) == (4000, "The server fell silent")
    retry(lab, stream)
    wait_for_state(lab, "open")


def test_a_line_that_brings_only_its_beginning_is_blocked(lab: Page, stream: StubStream, expected_errors: list[str]):
    expected_errors.append("404")
    connect(lab)
    connection = stream.connection()
    promise_heartbeats(lab, connection)
    move_on(lab, 40_000)
    wait_for_state(lab, "waiting")
    assert [request.path for request in stream.requests] == ["/api/v1/stream/", "/api/v1/prices/?wait=1"]


@pytest.mark.parametrize(("interval", "asked"), [(5000, 5000), (100, 1000), (1000.4, 1000), (90_000, 60_000)])
def test_the_heartbeat_is_one_that_servers_agree_to(lab: Page, stream: StubStream, interval: float, asked: int):
    lab.evaluate("(options) => newClient(options).subscribe(['gold'])", {"heartbeatInterval": interval})
    lab.evaluate("client.connect()")
    connection = stream.connection()
    connection.wait_for("subscribe")
    assert connection.heartbeat == asked


def test_the_servers_clock_is_known_by_its_heartbeats_too(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    for time in ("18:41:00", "17:41:00"):
        connection.send(HEARTBEAT | {"timestamp": f"2026-11-01T{time}.000Z"})
        lab.wait_for_function(f"Math.round(client.serverTime - Date.parse('2026-11-01T{time}.000Z')) === 0")


def test_an_update_alone_does_not_tell_the_servers_time_as_the_first_may_be_hours_old(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    connection.send(price_update(1, gold=quote(100), timestamp="2026-11-01T15:00:00.000Z"))
    wait_for_events(lab, "prices")
    assert not lab.evaluate("client.isTimed")
    connection.send(HEARTBEAT | {"timestamp": "2026-11-01T18:00:00.000Z"})
    wait_for_events(lab, "heartbeat")
    connection.send(price_update(2, gold=quote(100), timestamp="2026-11-01T18:00:01.000Z"))
    wait_for_events(lab, "prices", 2)
    assert lab.evaluate("Math.round(client.serverTime)") == lab.evaluate("Date.parse('2026-11-01T18:00:01.000Z')")


def test_after_a_sleep_in_which_the_steady_clock_stopped_the_servers_time_is_unknown_until_it_is_told(
    lab: Page, stream: StubStream
):
    connect(lab)
    connection = stream.connection()
    connection.send(HEARTBEAT | {"timestamp": "2026-11-01T18:31:00.000Z"})
    lab.wait_for_function("client.isTimed")
    lab.clock.set_system_time("2026-11-01T18:31:08Z")
    assert not lab.evaluate("client.isTimed")
    connection.send(HEARTBEAT | {"timestamp": "2026-11-01T18:31:07.000Z"})
    lab.wait_for_function("client.isTimed && Math.round(client.serverTime) === Date.parse('2026-11-01T18:31:07Z')")


def test_a_device_that_slept_for_long_leaves_its_connection_before_it_shows_old_prices_as_live(
    lab: Page, stream: StubStream
):
    connect(lab)
    connection = stream.connection()
    connection.send(price_update(1, gold=quote(100)))
    wait_for_events(lab, "prices")
    # The clock on the wall went on while no timer ran, and nobody says so.
    lab.clock.set_system_time("2026-11-01T19:30:00Z")
    move_on(lab, 1000)
    assert wait_for_events(lab, "connection", 3)[2] == {"state": "connecting", "attempt": 0}
    connection.wait_until_closed()
    stream.connection()


def test_a_device_that_wakes_up_checks_its_connection(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100))]
    connect(lab)
    wait_for_events(lab, "prices")
    lab.clock.set_system_time("2026-11-01T18:31:35Z")
    lab.evaluate("dispatchEvent(new Event('online')); dispatchEvent(new Event('online'))")
    stream.connection().wait_for("ping", 2)
    move_on(lab, 10_000)
    assert wait_for_state(lab, "waiting")["code"] == 4000


def test_a_device_that_goes_offline_does_not_look_connected_for_long(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100))]
    connect(lab)
    wait_for_events(lab, "prices")
    connection = stream.connection()
    connection.wait_for("ping")
    connection.send(subscribed("gold") | {"heartbeat": 30_000})
    wait_for_events(lab, "subscribed")
    move_on(lab, 5_000)
    connection.send(price_update(2, gold=quote(101)))
    wait_for_events(lab, "prices", 2)
    move_on(lab, 26_000)
    lab.evaluate("dispatchEvent(new Event('offline'))")
    connection.wait_for("ping", 2)
    move_on(lab, 10_000)
    assert wait_for_state(lab, "waiting")["code"] == 4000


def test_a_page_that_comes_into_view_again_and_again_does_not_use_up_its_messages(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    for seen in range(1, 8):
        connection.send({"type": "error", "code": "marker", "message": ""})
        wait_for_events(lab, "error", seen)
        move_on(lab, 9_900 if seen == 7 else 10_100)
        lab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert len(all_said(lab, connection)) <= 4


def test_a_page_that_the_reader_leaves_is_not_connected_and_goes_on_on_the_way_back(lab: Page, stream: StubStream):
    connect(lab)
    left = stream.connection()
    left.send(price_update(1, gold=quote(100)))
    wait_for_events(lab, "prices")
    lab.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    assert lab.evaluate("[client.connected, client.prices.gold.price]") == [False, 100]
    left.wait_until_closed()
    lab.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    assert stream.connection().wait_for("subscribe")["since"] == 1


def test_a_page_that_is_left_for_good_does_not_come_back(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    wait_for_state(lab, "open")
    lab.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: false }))")
    assert lab.evaluate("client.connected") is True
    lab.evaluate("client.close()")
    connection.wait_until_closed()
    lab.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    assert lab.evaluate("client.connection.why") == "page"
    assert not stream.has_connection()


def test_a_connection_that_never_opens_is_given_up(stream: StubStream, page: Page, expected_errors: list[str]):
    expected_errors.append(SERVER_GONE)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        page.clock.install()
        open_test_page(page, stream.http_url, "client.html")
        page.evaluate(
            "(port) => newClientAt(`ws://127.0.0.1:${port}/`, { transports: ['websocket'] }).connect()",
            deaf.getsockname()[1],
        )
        page.clock.run_for(10_000)
        lost = wait_for_state(page, "waiting")
        assert (lost["attempt"], lost["reason"]) == (1, "The server did not answer")


# --- losing and finding the server ---------------------------------------------------------------------------------


def test_waits_double_until_the_retries_are_used_up(lab: Page, stream: StubStream, expected_errors: list[str]):
    expected_errors.append(SERVER_GONE)
    connect(lab, {"maxReconnectAttempts": 5})
    stream.connection()
    stream.stop()
    for attempt in range(1, 6):
        lab.wait_for_function(
            "(n) => client.connection.state === 'waiting' && client.connection.attempt === n", arg=attempt
        )
        delay = 1000 * 2 ** (attempt - 1)
        waiting = lab.evaluate("client.connection")
        assert waiting["delay"] == delay
        assert waiting["retryAt"] == lab.evaluate("Date.now()") + delay
        move_on(lab, delay - 1)
        assert lab.evaluate("client.connection.state") == "waiting"
        move_on(lab, 1)
    closed = wait_for_state(lab, "closed")
    assert (closed["why"], closed["code"]) == ("gave up", 1006)


def test_delays_attempts_and_their_limits_are_options(lab: Page, stream: StubStream, expected_errors: list[str]):
    expected_errors.append(SERVER_GONE)
    connect(lab, {"reconnectDelay": 100, "maxReconnectDelay": 150, "maxReconnectAttempts": 2})
    stream.connection()
    stream.stop()
    wait_for_state(lab, "waiting")
    move_on(lab, 100)
    lab.wait_for_function("client.connection.attempt === 2 && client.connection.state === 'waiting'")
    assert lab.evaluate("client.connection.delay") == 150
    move_on(lab, 150)
    wait_for_state(lab, "closed")


def test_an_option_that_is_left_undefined_has_its_default(lab: Page, stream: StubStream):
    lab.evaluate("newClient({ reconnectDelay: undefined, interval: undefined, token: undefined }).connect()")
    connection = stream.connection()
    assert connection.offered == ["swarnaai-v1"]
    lose(lab, connection)
    assert lab.evaluate("client.connection.delay") == 1000


def test_jitter_only_lengthens_a_wait_and_by_no_more_than_its_share(lab: Page, stream: StubStream):
    delays = []
    for _ in range(10):
        connect(lab, {"jitter": 0.5})
        stream.connection().close(1011)
        delays.append(wait_for_state(lab, "waiting")["delay"])
        lab.evaluate("client.close()")
    assert all(1000 <= delay <= 1500 for delay in delays)
    assert len(set(delays)) > 1


@pytest.mark.parametrize("event", ["online", "visibilitychange"])
def test_a_client_that_gave_up_resumes_when_the_device_comes_back(
    lab: Page, stream: StubStream, expected_errors: list[str], event: str
):
    expected_errors.append(SERVER_GONE)
    connect(lab, {"maxReconnectAttempts": 0})
    stream.connection().close(1011, "Internal error")
    assert wait_for_state(lab, "closed")["reason"] == "Internal error"
    lab.evaluate("(event) => (event === 'online' ? window : document).dispatchEvent(new Event(event))", event)
    wait_for_state(lab, "open")


@pytest.mark.parametrize("event", ["online", "visibilitychange"])
def test_a_retry_is_not_waited_for_when_the_device_comes_back_unless_the_server_closed(
    lab: Page, stream: StubStream, expected_errors: list[str], event: str
):
    expected_errors.append(SERVER_GONE)
    come_back = "(event) => (event === 'online' ? window : document).dispatchEvent(new Event(event))"
    connect(lab)
    stream.connection().close(1011, "Internal error")
    assert wait_for_state(lab, "waiting")["attempt"] == 1
    lab.evaluate(come_back, event)
    assert lab.evaluate("client.connection.state") == "waiting"
    stream.stop()
    move_on(lab, 1000)
    lab.wait_for_function("client.connection.attempt === 2 && client.connection.state === 'waiting'")
    stream.start()
    lab.evaluate(come_back, event)
    assert wait_for_state(lab, "open")


def test_a_server_that_accepts_and_closes_is_not_hammered(lab: Page, stream: StubStream):
    connect(lab)
    for attempt in range(1, 5):
        stream.connection().close(1011, "Internal error")
        lab.wait_for_function(
            "(n) => client.connection.state === 'waiting' && client.connection.attempt === n", arg=attempt
        )
        move_on(lab, lab.evaluate("client.connection.delay"))
    connection = stream.connection()
    connection.send(price_update(1, gold=quote(100)))
    wait_for_events(lab, "prices")
    connection.close(1011)
    assert wait_for_state(lab, "waiting")["attempt"] == 1


@pytest.mark.parametrize("reason", ["Server at capacity", "Rate limit exceeded"])
def test_a_rejection_is_final_and_says_why(lab: Page, stream: StubStream, reason: str):
    connect(lab)
    stream.connection().close(1008, reason)
    assert wait_for_state(lab, "closed") == {"state": "closed", "code": 1008, "reason": reason, "why": "refused"}
    lab.evaluate("dispatchEvent(new Event('online'))")
    move_on(lab, 3_600_000)
    assert lab.evaluate("client.connection.state") == "closed"
    assert not stream.has_connection()


def refuse(connection: StubConnection, code: str, reason: str, **fields: Any) -> None:
    """Close as a server does that says in an error what its client is to do."""
    connection.send({"type": "error", "code": code, "message": "In words.", **fields})
    connection.close(1008, reason)


@pytest.mark.parametrize(
    ("code", "reason"), [("at_capacity", "Server at capacity"), ("rate_limited", "Rate limit exceeded")]
)
def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(
    lab: Page, stream: StubStream, code: str, reason: str
):
    connect(lab)
    refuse(stream.connection(), code, reason, retry="later", afterMs=42_000)
    waiting = wait_for_state(lab, "waiting")
    del waiting["retryAt"]
    assert waiting == {
        "state": "waiting",
        "attempt": 1,
        "delay": 42_000,
        "code": 1008,
        "reason": reason,
        "why": "refused",
    }
    assert lab.evaluate("eventsOf('error')") == []  # the connection's event says it all
    move_on(lab, 41_999)
    assert not stream.has_connection()
    move_on(lab, 1)
    wait_for_state(lab, "open")
    assert stream.requests == []  # no other transport was tried


def test_a_server_that_says_later_again_and_again_is_asked_ever_less_often(lab: Page, stream: StubStream):
    connect(lab, {"maxReconnectAttempts": 2})
    for delay in (1000, 2000):
        refuse(stream.connection(), "at_capacity", "Server at capacity", retry="later", afterMs=500)
        lab.wait_for_function("(delay) => client.connection.delay === delay", arg=delay)
        move_on(lab, delay)
    refuse(stream.connection(), "at_capacity", "Server at capacity", retry="later", afterMs=500)
    assert wait_for_state(lab, "closed")["why"] == "gave up"


@pytest.mark.parametrize(
    ("code", "reason", "why"),
    [("unauthorized", "Unauthorized", "unauthorized"), ("of_a_later_version", "Forbidden", "refused")],
)
def test_a_server_that_says_never_is_not_asked_again(lab: Page, stream: StubStream, code: str, reason: str, why: str):
    connect(lab, {"token": "expired"})
    refuse(stream.connection(), code, reason, retry="never")
    assert wait_for_state(lab, "closed") == {"state": "closed", "code": 1008, "reason": reason, "why": why}
    move_on(lab, 3_600_000)
    assert not stream.has_connection()
    lab.evaluate("client.authenticate('fresh')")
    assert (lab.evaluate("client.connection.state") == "closed") is (why == "refused")


# A page may have signed in by its session's cookie meanwhile.
@pytest.mark.parametrize("reason", ["Server at capacity", "Unauthorized"])
def test_after_a_rejection_the_page_may_connect_again(lab: Page, stream: StubStream, reason: str):
    connect(lab)
    stream.connection().close(1008, reason)
    wait_for_state(lab, "closed")
    lab.evaluate("client.connect()")
    wait_for_state(lab, "open")


@pytest.mark.parametrize(
    ("restart", "delay"),
    [
        ('{"type":"restart","afterMs":12345}', 12_345),
        ('{"type":"restart","afterMs":0}', 0),
        ('{"type":"restart","afterMs":-1}', 1000),
        ('{"type":"restart","afterMs":"soon"}', 1000),
        ('{"type":"restart","afterMs":null}', 1000),
        ('{"type":"restart"}', 1000),
        ('{"type":"restart","afterMs":1e12}', 300_000),
        ('{"type":"restart","afterMs":1e999}', 1000),
    ],
)
def test_a_restarting_server_is_left_alone_for_as_long_as_it_says(
    lab: Page, stream: StubStream, restart: str, delay: int
):
    # Where retries are not wanted, this one still is: nothing has failed.
    connect(lab, {"maxReconnectAttempts": 0})
    connection = stream.connection()
    connection.send(restart)
    connection.close(1012, "Service restart")
    lab.wait_for_function("waits().length > 0")
    [waiting] = lab.evaluate("waits()")
    del waiting["retryAt"]
    assert waiting == {
        "state": "waiting",
        "attempt": 0,
        "delay": delay,
        "code": 1012,
        "reason": "Service restart",
        "why": "restart",
    }
    move_on(lab, delay)
    wait_for_state(lab, "open")


def test_a_restart_without_a_valid_time_is_handled_like_any_loss(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    connection.send('{"type":"restart","afterMs":NaN}')
    connection.close(1012, "Service restart")
    waiting = wait_for_state(lab, "waiting")
    assert (waiting["attempt"], waiting["delay"], "why" in waiting) == (1, 1000, False)
    assert [event["code"] for event in wait_for_events(lab, "error")] == ["unreadable_message"]


def test_a_server_that_is_not_back_when_it_said_costs_the_first_attempt(
    lab: Page, stream: StubStream, expected_errors: list[str]
):
    expected_errors.append(SERVER_GONE)
    stream.greeting = [price_update(1, gold=quote(100))]
    connect(lab)
    wait_for_events(lab, "prices")
    connection = stream.connection()
    connection.send({"type": "restart", "afterMs": 20_000})
    connection.close(1012, "Service restart")
    wait_for_state(lab, "waiting")
    stream.stop()
    move_on(lab, 20_000)
    lab.wait_for_function("client.connection.attempt === 1 && client.connection.state === 'waiting'")
    waiting = lab.evaluate("client.connection")
    assert (waiting["delay"], "why" in waiting) == (1000, False)


def test_a_server_that_does_nothing_but_restart_is_not_hammered(lab: Page, stream: StubStream):
    connect(lab)
    waits = []
    for count in range(1, 5):
        connection = stream.connection()
        if count == 4:
            connection.send(price_update(1, gold=quote(100)))
        connection.send({"type": "restart", "afterMs": 500})
        connection.close(1012, "Service restart")
        lab.wait_for_function("(count) => waits().length === count", arg=count)
        waits = lab.evaluate("waits()")
        move_on(lab, waits[-1]["delay"])
    assert [(wait["attempt"], wait["delay"]) for wait in waits] == [(0, 500), (1, 1000), (2, 2000), (0, 500)]


def test_the_page_may_end_a_wait(lab: Page, stream: StubStream):
    connect(lab)
    stream.connection().close(1011)
    wait_for_state(lab, "waiting")
    lab.evaluate("client.connect()")
    wait_for_state(lab, "open")
    stream.connection()
    move_on(lab, 5000)
    assert not stream.has_connection()


# --- closing -------------------------------------------------------------------------------------------------------


def test_close_ends_everything_and_may_be_called_again(lab: Page, stream: StubStream):
    connect(lab)
    connection = stream.connection()
    connection.wait_for("ping")
    lab.evaluate("client.close(); client.close()")
    connection.wait_until_closed()
    assert connection.close_code == 1000
    closed = [event for event in wait_for_events(lab, "connection") if event["state"] == "closed"]
    assert [event["why"] for event in closed] == ["page"]
    lab.evaluate("dispatchEvent(new Event('online'))")
    move_on(lab, 3_600_000)
    assert not stream.has_connection()


@pytest.mark.parametrize("state", ["connecting", "open", "waiting", "closed"])
def test_a_listener_may_close_in_any_state(lab: Page, stream: StubStream, expected_errors: list[str], state: str):
    expected_errors.append(SERVER_GONE)
    lab.evaluate(
        """(state) => {
            newClient({ maxReconnectAttempts: state === "closed" ? 0 : 5 }).subscribe(["gold"]);
            client.addEventListener("connection", ({ detail }) => detail.state === state && client.close());
            client.connect();
        }""",
        state,
    )
    if state in ("waiting", "closed"):
        stream.connection().close(1011)
    lab.wait_for_function("client.connection.why === 'page'")
    move_on(lab, 3_600_000)
    assert lab.evaluate("client.connection.state") == "closed"


def test_a_client_that_was_never_connected_closes_without_an_event(lab: Page):
    assert lab.evaluate("newClient().close(); events") == []


# --- the address ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["`ws://${location.host}/`", "location.origin", "'/ws/prices/'", "new URL(location)"]
)
def test_an_address_may_be_of_the_web_or_relative_to_the_page(lab: Page, address: str):
    lab.evaluate(f"newClientAt({address}).connect()")
    wait_for_state(lab, "open")


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/", "http://"])
def test_an_invalid_address_is_rejected_at_once(refusing: Page, address: str):
    refused = "(address) => { try { newClientAt(address) } catch (error) { return error.name } }"
    assert refusing.evaluate(refused, address) in ("SyntaxError", "TypeError")
