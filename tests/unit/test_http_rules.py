"""The API's rules for requests that are answered before Django."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from accounts import tokens
from infra.fixed_window import FixedWindowCounter
from infra.redaction import TOKEN_PREFIX
from prices.api.serializers import PricesQuerySerializer
from streaming.admission import Gate, Guest
from streaming.api import StreamQuerySerializer
from streaming.auth import Authenticator, Credential
from streaming.http_rules import Answer, Rules, has_version, headers_of, parameters
from streaming.limits import ConnectionLimiter
from streaming.metrics import Metrics

MINUTE = dt.timedelta(minutes=1)
TOKEN = f"{TOKEN_PREFIX}{'0a1b2c3d' * 8}"
SHOP = "https://shop.example"


def rules(*, limit: int = 2, user_limit: int = 3, any_origin: bool = False) -> Rules:
    return Rules(
        hosts=["prices.example"],
        proxies=[],
        rate_limit=limit,
        user_rate_limit=user_limit,
        rate_window=MINUTE,
        users=FixedWindowCounter(None, "", MINUTE),
        spread_ms=lambda: 4200,
        any_origin=any_origin,
        origins=[SHOP],
        exposed=["ETag", "Retry-After"],
    )


def scope(address: str = "192.0.2.1", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "client": [address, 5], "headers": list(headers)}


def test_an_address_may_make_so_many_requests() -> None:
    limited = rules()
    assert [limited.too_many(scope()) for _ in range(2)] == [None, None]
    refused = limited.too_many(scope())
    assert refused is not None
    assert refused.status == 429
    assert 1 <= int(dict(refused.headers)[b"retry-after"]) <= 60
    assert limited.too_many(scope("192.0.2.2")) is None
    assert all(rules(limit=0).too_many(scope()) is None for _ in range(100))


@pytest.fixture
async def gate() -> Gate:
    """A gate for those alone who are somebody; two may come from an address."""

    async def look_up(credentials: Collection[Credential]) -> Mapping[Credential, int]:
        good = Credential("token", tokens.digest(TOKEN) or "")
        return {credential: 7 for credential in credentials if credential == good}

    auth = Authenticator(look_up=look_up, required=True, recheck=20)
    return Gate(auth, ConnectionLimiter(2), Metrics())


async def nothing(*reason: object) -> None:
    """End nobody."""


async def test_a_user_may_make_more_requests_than_an_address_and_not_any_number(gate: Gate) -> None:
    limited, asked = rules(), scope("192.0.2.1", (b"authorization", f"Bearer {TOKEN}".encode()))
    for _ in range(3):
        guest = await limited.admit(gate, asked, nothing)
        assert isinstance(guest, Guest)
        guest.leave()
    refused = await limited.admit(gate, asked, nothing)
    assert isinstance(refused, Answer)
    assert refused.status == 429
    assert gate.limiter.counts == {}


async def test_a_request_without_a_good_credential_counts_too(gate: Gate) -> None:
    limited, statuses = rules(), []
    for _ in range(3):
        refused = await limited.admit(gate, scope("192.0.2.1", (b"authorization", b"Bearer none")), nothing)
        assert isinstance(refused, Answer)
        statuses.append(refused.status)
    assert statuses == [401, 401, 429]
    assert isinstance(await limited.admit(gate, scope("192.0.2.2"), nothing, public=True), Guest)


async def test_a_client_that_goes_while_its_credential_is_looked_up_gives_up_its_place(gate: Gate) -> None:
    asked = scope("192.0.2.1", (b"authorization", f"Bearer {TOKEN}".encode()))
    admitting = asyncio.ensure_future(rules().admit(gate, asked, nothing))
    await asyncio.sleep(0)
    assert sum(gate.limiter.counts.values()) == 1
    admitting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await admitting
    assert gate.limiter.counts == {}


async def test_one_client_too_many_of_an_address_is_told_when_to_come_back(gate: Gate) -> None:
    limited = rules(limit=0)
    guests = [await limited.admit(gate, scope(), nothing, public=True) for _ in range(3)]
    assert [type(guest) for guest in guests] == [Guest, Guest, Answer]
    refused = guests[-1]
    assert isinstance(refused, Answer)
    assert (refused.status, dict(refused.headers)[b"retry-after"]) == (503, b"5")
    assert b"2" in refused.body  # how many there may be


@pytest.mark.parametrize(
    ("origin", "any_origin", "allowed"),
    [
        (None, True, None),
        (SHOP.encode(), False, SHOP.encode()),
        (SHOP.encode(), True, b"*"),
        (b"https://evil.example", False, None),
        (b"null", False, None),
        (b"\xff", False, None),
    ],
)
def test_pages_of_allowed_origins_alone_may_read(origin: bytes | None, any_origin: bool, allowed: bytes | None) -> None:
    headers = dict(rules(any_origin=any_origin).for_origin(origin))
    assert headers.get(b"access-control-allow-origin") == allowed
    assert headers.get(b"access-control-expose-headers") == (allowed and b"ETag, Retry-After")


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        (b"prices.example", True),
        (b"PRICES.example:3001", True),
        (b"evil.example", False),
        (b"", False),
        (b"\xff", False),
    ],
)
def test_a_request_is_answered_under_our_own_names_alone(host: bytes, ours: bool) -> None:
    assert rules().is_plain(scope(), {b"host": host}) is ours
    assert not rules().is_plain({**scope(), "method": "POST"}, {b"host": host})


def test_headers_that_come_twice_are_joined_so_that_neither_hides_the_other() -> None:
    twice = scope(
        "", (b"host", b"prices.example"), (b"accept", b"a/b"), (b"host", b"evil.example"), (b"accept", b"*/*")
    )
    assert headers_of(twice) == {b"host": b"prices.example,evil.example", b"accept": b"a/b,*/*"}
    assert not rules().is_plain(twice, headers_of(twice))


def test_a_request_without_a_host_is_for_the_address_that_it_came_to() -> None:
    assert headers_of({"headers": [], "server": ["127.0.0.1", 3001]}) == {b"host": b"127.0.0.1"}
    assert headers_of({"headers": [], "server": None}) == {}


@pytest.mark.parametrize(
    ("if_none_match", "has"),
    [
        (None, False),
        (b'W/"a"', True),
        (b'"a"', True),
        (b' "b" , W/"a" ', True),
        (b"*", True),
        (b'"b"', False),
        (b"a", False),
        (b"", False),
    ],
)
def test_a_version_is_compared_weakly(if_none_match: bytes | None, has: bool) -> None:
    assert has_version(if_none_match, b'W/"a"') is has


@pytest.mark.parametrize(
    "query",
    [
        b"metals=mud",
        b"metals=gold&metals=silver",
        b"colour=red",
        b"token=x",
        b"metals=%ff",
        b"&".join(b"x%d=" % number for number in range(2000)),
    ],
)
def test_a_query_with_a_mistake_has_no_parameters(query: bytes) -> None:
    assert parameters(query, StreamQuerySerializer) is None


def test_a_good_query_has_its_parameters_as_the_stream_takes_them() -> None:
    given = parameters(b"metals=XAU,silver&candles=1m&interval=0&lastEventId=e:5&format=json", StreamQuerySerializer)
    assert given is not None
    del given["format"]
    assert given == {
        "metals": frozenset({"gold", "silver"}),
        "candles": frozenset({"1m"}),
        "interval": 0,
        "lastEventId": ("e", 5),
    }
    assert parameters(b"lastEventId=nonsense", StreamQuerySerializer) == {"lastEventId": None}
    poll = parameters(b"wait=25&epoch=e&since=5&metals=*", PricesQuerySerializer)
    assert poll is not None
    assert (poll["wait"], poll["since"], poll["epoch"], len(poll["metals"])) == (25, 5, "e", 4)
