"""Sessions that are ended end at once for a real web process, which looks for itself only every half minute."""

import time
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from websockets.sync.client import connect

from accounts.models import SignIn
from tests.support.event_source import EventClient
from tests.support.server import Server
from tests.support.stream_client import end_of, exchange, receive

# Seconds on a busy machine. The web process would notice by itself after thirty.
AT_ONCE = 10


@pytest.fixture(scope="module")
def members(run_server: Callable[..., Server]) -> Server:
    server = run_server(WS_AUTH_REQUIRED="true", WS_AUTH_RECHECK="30s")
    server.publish(gold="100")
    return server


@pytest.fixture
def in_time() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < AT_ONCE


def test_streams_of_a_login_end_at_once_when_it_is_ended_on_the_desk_and_others_stay(
    members: Server, asha: User, session: str, token: str, in_time: None
) -> None:
    cookie = {"Cookie": f"sessionid={session}"}

    def end_it() -> None:
        User.objects.filter(pk=asha.pk).update(is_staff=True)
        desk = Client()
        desk.force_login(User.objects.get(pk=asha.pk))
        sign_in = SignIn.objects.get(session=session)
        desk.post(f"/admin/accounts/signin/{sign_in.pk}/delete/", {"post": "yes"})

    with (
        connect(members.ws_url, additional_headers=cookie | {"Origin": members.http_url}) as board,
        connect(members.ws_url, additional_headers={"Authorization": f"Bearer {token}"}) as screen,
        EventClient(members, Sec_Fetch_Site="same-origin", **cookie) as events,
    ):
        receive(board, "priceUpdate")
        assert events.next().type == "priceUpdate"
        members.do(end_it)
        assert end_of(board) == (1008, "Unauthorized")
        assert events.next("error").message["code"] == "unauthorized"
        assert exchange(screen, type="ping")["type"] == "pong"


def test_streams_of_a_token_end_at_once_when_it_is_ended(
    members: Server, asha: User, token: str, in_time: None
) -> None:
    bearer = f"Bearer {token}"
    with (
        connect(members.ws_url, additional_headers={"Authorization": bearer}) as screen,
        EventClient(members, Authorization=bearer) as events,
    ):
        receive(screen, "priceUpdate")
        assert events.next().type == "priceUpdate"
        members.do(lambda: SignIn.objects.get(token__user=asha).end())
        assert end_of(screen) == (1008, "Unauthorized")
        assert events.next("error").message["code"] == "unauthorized"
