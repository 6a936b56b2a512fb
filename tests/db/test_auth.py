"""A client's identity: its credentials, and the end of clients with credentials that become invalid."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Collection
from ipaddress import ip_network
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import tokens
from accounts.models import Token
from infra.redaction import TOKEN_PREFIX
from streaming.auth import Authenticator, Credential, End, Identity, RejectedError, holders, presented
from streaming.protocol import Close

TOKEN = f"{TOKEN_PREFIX}{'0a1b2c3d' * 8}"
OTHER = f"{TOKEN_PREFIX}{'ffffffff' * 8}"
OF_TOKEN = Credential("token", tokens.digest(TOKEN) or "")
KEY = "0123456789abcdefghijklmnopqrstuv"
OF_SESSION = Credential("session", KEY)
COOKIE = f"theme=dark; sessionid={KEY}"


def scope(*headers: tuple[str, str], subprotocols: Collection[str] = (), scheme: str = "ws") -> dict[str, Any]:
    """A handshake at ws://localhost:3001/."""
    sent = [("host", "localhost:3001"), *headers]
    return {
        "type": "websocket",
        "path": "/",
        "scheme": scheme,
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent],
        "subprotocols": list(subprotocols),
        "client": ["127.0.0.1", 51234],
        "server": ["127.0.0.1", 3001],
    }


def from_page(origin: str, cookie: str = COOKIE, **options: Any) -> dict[str, Any]:
    """A handshake of a browser that shows a page of this origin."""
    return scope(("origin", origin), ("cookie", cookie), **options)


# --- what is presented ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "brought",
    [
        scope(("authorization", f"Bearer {TOKEN}")),
        scope(("authorization", f"Token {TOKEN}")),
        scope(("authorization", f"bearer   {TOKEN} ")),
        scope(("authorization", TOKEN)),
        scope(("authorization", f" {TOKEN} ")),
        scope(subprotocols=["swarnaai-v1", f"swarnaai.bearer.{TOKEN}"]),
        scope(subprotocols=[f"swarnaai.bearer.{TOKEN}"]),
        scope(subprotocols=["swarnaai-v1", TOKEN]),
        scope(("authorization", f"Bearer {TOKEN}"), subprotocols=[f"swarnaai.bearer.{TOKEN}"]),
        scope(("authorization", f"Bearer {TOKEN}"), ("origin", "http://localhost:3001"), ("cookie", COOKIE)),
        scope(("authorization", ""), ("authorization", f"Bearer {TOKEN}")),
    ],
)
def test_a_token_is_found_where_it_may_be(brought: dict[str, Any]) -> None:
    assert presented(brought) == OF_TOKEN


@pytest.mark.parametrize(
    "brought",
    [
        scope(("authorization", "Bearer")),
        scope(("authorization", "Bearer ")),
        scope(("authorization", f"Bearer {TOKEN[:-1]}")),
        scope(("authorization", f"Bearer {TOKEN}0")),
        scope(("authorization", f"Bearer {TOKEN.upper()}")),
        scope(("authorization", f"Bearer {TOKEN}, Bearer {TOKEN}")),
        scope(("authorization", "Bearer \xff\x00")),
        scope(("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {OTHER}")),
        scope(("authorization", f"Bearer {TOKEN}"), subprotocols=[f"swarnaai.bearer.{OTHER}"]),
        scope(subprotocols=["swarnaai.bearer."]),
        scope(subprotocols=["swarnaai.bearer.x"]),
        scope(subprotocols=["swarnaai-v1", TOKEN[:-1]]),
        scope(("authorization", TOKEN[:-1])),
        scope(("authorization", f"{TOKEN}, {TOKEN}")),
        scope(("authorization", f"Bearer Bearer {TOKEN}")),
        # Of no kind that we know: who presents something means to be somebody.
        scope(("authorization", "Basic YTpi")),
        scope(("authorization", f"Basic {TOKEN}")),
        scope(("authorization", f"ApiKey {TOKEN}")),
        scope(("authorization", "x")),
        scope(("authorization", "Basic YTpi"), ("authorization", f"Bearer {TOKEN}")),
        scope(("authorization", "Basic YTpi"), ("origin", "http://localhost:3001"), ("cookie", COOKIE)),
        # However good the login beside it is.
        scope(("authorization", "Bearer x"), ("origin", "http://localhost:3001"), ("cookie", COOKIE)),
    ],
)
def test_an_invalid_token_is_rejected_without_a_query(brought: dict[str, Any]) -> None:
    with pytest.raises(RejectedError) as refused:
        presented(brought)
    assert refused.value.close is Close.UNAUTHORIZED


@pytest.mark.parametrize(
    "brought",
    [
        scope(),
        scope(("authorization", "")),
        scope(("authorization", " ")),
        scope(subprotocols=["swarnaai-v1", "swarnaai.other"]),
        scope(("origin", "http://localhost:3001")),
        scope(("origin", "http://localhost:3001"), ("cookie", "theme=dark")),
        scope(("origin", "http://localhost:3001"), ("cookie", "sessionid=")),
        scope(("origin", "http://localhost:3001"), ("cookie", "sessionid='; drop")),
        scope(("origin", "http://localhost:3001"), ("cookie", "sessionid=\xff\xff")),
    ],
)
def test_an_unknown_credential_counts_as_none(brought: dict[str, Any]) -> None:
    assert presented(brought) is None


@pytest.mark.parametrize(
    ("brought", "ours"),
    [
        (from_page("http://localhost:3001"), True),
        (from_page("https://localhost:3001", scheme="wss"), True),
        (from_page("https://localhost:3001"), False),
        (from_page("http://localhost:3001", scheme="wss"), False),
        (from_page("http://localhost"), False),
        (from_page("http://localhost:3002"), False),
        (from_page("http://evil.example"), False),
        (from_page("http://localhost:3001.evil.example"), False),
        (from_page("null"), False),
        (from_page(""), False),
        (from_page("http://["), False),
        (scope(("cookie", COOKIE)), False),  # no page of a browser's: only those bring cookies unasked
        (from_page("https://prices.example"), True),
        (from_page("http://prices.example"), False),
        (from_page("https://prices.example:8443"), False),
        (from_page("https://shop.gold.example"), True),
        (from_page("https://gold.example"), True),  # as Django has it
        (from_page("http://shop.gold.example"), False),
        (from_page("https://evilgold.example"), False),
    ],
)
def test_a_login_counts_from_our_own_pages_alone(settings: Settings, brought: dict[str, Any], ours: bool) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://prices.example", "https://*.gold.example"]
    assert presented(brought) == (OF_SESSION if ours else None)


def read(*headers: tuple[str, str]) -> dict[str, Any]:
    """A browser's GET of the stream, or of a poll, with its cookie."""
    return scope(("cookie", COOKIE), *headers, scheme="http") | {"type": "http"}


@pytest.mark.parametrize(
    ("brought", "ours"),
    [
        (read(("sec-fetch-site", "same-origin")), True),  # a browser names no origin where it reads from that
        (read(("origin", "http://localhost:3001")), True),
        (read(("origin", "https://prices.example"), ("sec-fetch-site", "same-site")), True),
        (read(), False),
        (read(("sec-fetch-site", "none")), False),  # typed into the address bar, or opened by another program
        (read(("sec-fetch-site", "same-site")), False),
        (read(("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")), False),
        (from_page("http://evil.example") | {"type": "websocket"}, False),
        (scope(("cookie", COOKIE), ("sec-fetch-site", "same-origin")), False),  # the origin of a WebSocket is named
    ],
)
def test_a_login_counts_for_what_our_own_pages_read(settings: Settings, brought: dict[str, Any], ours: bool) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://prices.example"]
    assert presented(brought) == (OF_SESSION if ours else None)


async def test_what_is_public_needs_no_credential_but_a_presented_token_has_to_be_good() -> None:
    async def look_up(credentials: Collection[Credential]) -> dict[Credential, int]:
        return {}

    auth = Authenticator(look_up=look_up, required=True, recheck=20)
    assert await auth.identify(scope(), public=True) is None
    assert await auth.identify(from_page("http://localhost:3001"), public=True) is None
    with pytest.raises(RejectedError) as refused:
        await auth.identify(scope(("authorization", f"Bearer {TOKEN}")), public=True)
    assert refused.value.close is Close.UNAUTHORIZED


def test_behind_a_trusted_proxy_with_https_only_pages_by_https_are_our_own(settings: Settings) -> None:
    by_https = from_page("https://localhost:3001")
    by_https["headers"].append((b"x-forwarded-proto", b"https"))
    assert presented(by_https) is None
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]
    assert presented(by_https) == OF_SESSION
    assert presented(from_page("https://localhost:3001")) is None


def test_a_host_that_is_not_ours_makes_no_origin_ours(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["prices.example"]
    assert presented(from_page("http://localhost:3001")) is None


def test_our_rules_for_origins_are_those_of_django(settings: Settings) -> None:
    from django.middleware.csrf import CsrfViewMiddleware
    from django.test import RequestFactory

    settings.CSRF_TRUSTED_ORIGINS = ["https://prices.example", "https://*.gold.example"]
    for origin in (
        *("http://localhost:3001", "https://localhost:3001", "https://prices.example", "https://shop.gold.example"),
        *("https://gold.example", "https://evilgold.example", "http://shop.gold.example", "null", "http://["),
    ):
        request = RequestFactory().get("/", headers={"host": "localhost:3001", "origin": origin})
        of_django = CsrfViewMiddleware(lambda request: None)._origin_verified(request)  # type: ignore[arg-type,attr-defined]  # Django's own
        assert (presented(from_page(origin)) is not None) == of_django, origin


def test_a_credential_is_not_printed() -> None:
    identity = Identity(1, OF_SESSION)
    assert KEY not in f"{identity} {identity!r} {OF_SESSION!s}"


# --- whose it is ---------------------------------------------------------------------------------------------------


def session_of(user: User) -> Credential:
    browser = Browser()
    browser.force_login(user)
    return Credential("session", browser.cookies["sessionid"].value)


def token_of(user: User) -> Credential:
    return Credential("token", tokens.issue(user)[0].pk)


@pytest.fixture
def asha(db: None) -> User:
    return User.objects.create(username="asha")


def test_a_token_and_a_login_are_somebodys_and_others_nobodys(asha: User) -> None:
    ravi = User.objects.create(username="ravi")
    token, session = token_of(asha), session_of(ravi)
    strangers = [OF_TOKEN, OF_SESSION, Credential("token", session.key), Credential("session", token.key)]
    assert holders([token, session, *strangers]) == {token: asha.pk, session: ravi.pk}
    assert holders([]) == {}


def test_thousands_are_looked_up_in_a_few_queries(
    asha: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    Token.objects.bulk_create(tokens.make(asha, dt.timedelta(days=1))[0] for _ in range(1000))
    of_tokens = [Credential("token", digest) for digest in Token.objects.values_list("pk", flat=True)]
    of_sessions = [session_of(asha) for _ in range(10)]
    with django_assert_num_queries(4):
        assert holders([*of_tokens, *of_sessions]) == dict.fromkeys([*of_tokens, *of_sessions], asha.pk)


def expire(user: User) -> None:
    Token.objects.update(expiry=timezone.now())
    Session.objects.update(expire_date=timezone.now())


def revoke(user: User) -> None:
    Token.objects.all().delete()
    Session.objects.all().delete()


def deactivate(user: User) -> None:
    User.objects.update(is_active=False)


def delete(user: User) -> None:
    user.delete()


def change_password(user: User) -> None:
    user.set_password("another")
    user.save()


@pytest.mark.parametrize("happening", [expire, revoke, deactivate, delete])
def test_neither_is_valid_after(asha: User, happening: Callable[[User], None]) -> None:
    credentials = [token_of(asha), session_of(asha)]
    assert len(holders(credentials)) == 2
    happening(asha)
    assert holders(credentials) == {}


def test_a_changed_password_ends_logins_and_not_tokens(asha: User) -> None:
    token, session = token_of(asha), session_of(asha)
    change_password(asha)
    assert holders([token, session]) == {token: asha.pk}


def test_a_login_outlives_a_change_of_the_secret_as_django_lets_it(asha: User, settings: Settings) -> None:
    session = session_of(asha)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret"
    assert holders([session]) == {session: asha.pk}
    settings.SECRET_KEY_FALLBACKS = []
    assert holders([session]) == {}


def test_a_session_without_a_login_is_nobodys(db: None) -> None:
    browser = Browser()
    store = browser.session
    store["basket"] = "gold"
    store.save()
    assert holders([Credential("session", store.session_key or "")]) == {}


def test_a_login_by_a_backend_that_is_no_more_is_nobodys(asha: User, settings: Settings) -> None:
    session = session_of(asha)
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
    assert holders([session]) == {}


# --- at the handshake, and after -----------------------------------------------------------------------------------


class Accounts:
    """A database of credentials that a test can change, hold up and take away; and who was ended."""

    def __init__(self) -> None:
        self.users = {OF_TOKEN: 1, OF_SESSION: 2}
        self.broken = False
        self.queried: list[set[Credential]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.ended: asyncio.Queue[str] = asyncio.Queue()

    async def look_up(self, credentials: Collection[Credential]) -> dict[Credential, int]:
        self.queried.append(set(credentials))
        await self.open.wait()
        if self.broken:
            raise OSError("the database is away")
        return {each: user for each, user in self.users.items() if each in credentials}

    async def next_ended(self) -> str:
        """The name of the connection that is ended next."""
        async with asyncio.timeout(10):
            return await self.ended.get()

    async def have_been_queried(self, times: int) -> None:
        """Wait until they have been queried so many times."""
        async with asyncio.timeout(10):
            while len(self.queried) < times:
                await asyncio.sleep(0.01)

    def connection(self, name: str) -> End:
        """A function that ends the connection of this name."""

        async def end(close: Close, detail: str) -> None:
            assert close is Close.UNAUTHORIZED
            assert "Come back with another" in detail
            self.ended.put_nowait(name)

        return end

    def auth(self, *, required: bool = False, recheck: float = 0.01) -> Authenticator:
        return Authenticator(look_up=self.look_up, required=required, recheck=recheck)


@pytest.fixture
async def accounts() -> AsyncIterator[Accounts]:
    yield Accounts()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


WITH_TOKEN = scope(("authorization", f"Bearer {TOKEN}"))
WITH_OTHER = scope(("authorization", f"Bearer {OTHER}"))
WITH_SESSION = from_page("http://localhost:3001")


async def test_a_client_without_a_credential_is_served_without_a_wait(accounts: Accounts) -> None:
    identifying = accounts.auth().identify(scope())
    with pytest.raises(StopIteration) as done:
        identifying.send(None)
    assert done.value.value is None
    assert accounts.queried == []


async def test_a_client_without_a_required_credential_is_rejected(accounts: Accounts) -> None:
    with pytest.raises(RejectedError, match="Unauthorized"):
        await accounts.auth(required=True).identify(scope())
    assert accounts.queried == []


@pytest.mark.parametrize("required", [True, False])
async def test_a_client_with_a_valid_credential_is_known(accounts: Accounts, required: bool) -> None:
    auth = accounts.auth(required=required)
    assert await auth.identify(WITH_TOKEN) == Identity(1, OF_TOKEN)
    assert await auth.identify(WITH_SESSION) == Identity(2, OF_SESSION)
    with pytest.raises(RejectedError, match="Unauthorized"):
        await auth.identify(WITH_OTHER)


async def test_an_invalid_login_counts_as_none_and_is_rejected_where_one_is_required(accounts: Accounts) -> None:
    accounts.users.clear()
    assert await accounts.auth().identify(WITH_SESSION) is None
    with pytest.raises(RejectedError, match="Unauthorized"):
        await accounts.auth(required=True).identify(WITH_SESSION)


async def test_while_the_database_is_away_a_token_is_to_come_again_and_a_login_counts_as_none(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    accounts.broken = True
    auth = accounts.auth()
    for _ in range(3):
        with pytest.raises(RejectedError, match="Internal error"):
            await auth.identify(WITH_TOKEN)
    assert await auth.identify(WITH_SESSION) is None
    with pytest.raises(RejectedError, match="Internal error"):
        await accounts.auth(required=True).identify(WITH_SESSION)
    accounts.broken = False
    assert await auth.identify(WITH_TOKEN)
    lines = [record.message for record in caplog.records]
    assert lines[0] == "credentials cannot be checked, trying again: the database is away"
    assert lines[-1] == "credentials can be checked again"
    assert len(lines) == 3  # one of them is the other authenticator's


async def test_a_storm_is_looked_up_in_two_queries(accounts: Accounts) -> None:
    auth = accounts.auth()
    accounts.open.clear()
    first = asyncio.create_task(auth.identify(WITH_TOKEN))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert accounts.queried == [{OF_TOKEN}]
    storm = [asyncio.create_task(auth.identify(each)) for each in (WITH_TOKEN, WITH_SESSION) * 500]
    await asyncio.sleep(0)
    storm[0].cancel()  # a client that went away
    accounts.open.set()
    assert await first == Identity(1, OF_TOKEN)
    assert (
        await asyncio.gather(*storm[1:])
        == [Identity(2, OF_SESSION)]
        + [
            Identity(1, OF_TOKEN),
            Identity(2, OF_SESSION),
        ]
        * 499
    )
    assert accounts.queried == [{OF_TOKEN}, {OF_TOKEN, OF_SESSION}]


async def test_the_connections_of_a_credential_that_becomes_invalid_are_ended_and_no_others(
    accounts: Accounts,
) -> None:
    auth = accounts.auth()
    of_token, of_session = await auth.identify(WITH_TOKEN), await auth.identify(WITH_SESSION)
    assert of_token is not None
    assert of_session is not None
    gone = accounts.connection("gone")
    for name in ("desk", "phone"):
        auth.watch(of_token, accounts.connection(name))
    auth.watch(of_token, gone)
    auth.watch(of_session, accounts.connection("board"))
    auth.forget(of_token, gone)
    del accounts.users[OF_TOKEN]
    assert {await accounts.next_ended(), await accounts.next_ended()} == {"desk", "phone"}
    await accounts.have_been_queried(len(accounts.queried) + 3)
    assert accounts.ended.empty()
    assert accounts.queried[-1] == {OF_SESSION}


async def test_a_credential_that_has_become_another_users_is_invalid(accounts: Accounts) -> None:
    auth = accounts.auth()
    client = await auth.identify(WITH_SESSION)
    assert client is not None
    auth.watch(client, accounts.connection("board"))
    accounts.users[OF_SESSION] = 3
    assert await accounts.next_ended() == "board"


async def test_a_lost_database_closes_no_connection_until_it_is_back_with_a_revocation(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    auth = accounts.auth()
    client = await auth.identify(WITH_TOKEN)
    assert client is not None
    auth.watch(client, accounts.connection("desk"))
    accounts.broken = True
    accounts.users.clear()
    await accounts.have_been_queried(5)
    assert accounts.ended.empty()
    assert caplog.text.count("credentials cannot be checked") == 1
    accounts.broken = False
    assert await accounts.next_ended() == "desk"


async def test_one_that_cannot_be_ended_is_logged_and_delays_no_other(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    never = asyncio.Event()

    async def stall(close: Close, detail: str) -> None:
        await never.wait()

    async def fail(close: Close, detail: str) -> None:
        raise OSError("broken")

    auth = accounts.auth()
    client = await auth.identify(WITH_TOKEN)
    assert client is not None
    for end in (stall, fail, accounts.connection("desk")):
        auth.watch(client, end)
    accounts.users.clear()
    assert await accounts.next_ended() == "desk"
    other = Identity(2, OF_SESSION)
    auth.watch(other, accounts.connection("board"))
    assert await accounts.next_ended() == "board"
    assert "could not be ended" in caplog.text


async def test_a_users_connections_are_ended_at_once_when_we_are_told_that_their_credential_may_have_ended(
    accounts: Accounts,
) -> None:
    auth = accounts.auth(recheck=3600)
    of_token, of_session = await auth.identify(WITH_TOKEN), await auth.identify(WITH_SESSION)
    assert of_token is not None
    assert of_session is not None
    auth.watch(of_token, accounts.connection("desk"))
    auth.watch(of_session, accounts.connection("board"))
    accounts.queried.clear()
    accounts.users.clear()
    auth.recheck(of_token.user)
    assert await accounts.next_ended() == "desk"
    assert accounts.ended.empty()
    assert accounts.queried == [set(), {OF_TOKEN}]


async def test_a_client_whose_token_was_found_just_before_it_was_revoked_is_ended_too(accounts: Accounts) -> None:
    found_before = asyncio.Event()

    async def look_up(credentials: Collection[Credential]) -> dict[Credential, int]:
        found = {each: user for each, user in accounts.users.items() if each in credentials}
        if found:
            await found_before.wait()
        return found

    auth = Authenticator(look_up=look_up, required=True, recheck=3600)

    async def connect() -> None:
        identity = await auth.identify(WITH_TOKEN)
        assert identity is not None
        auth.watch(identity, accounts.connection("desk"))

    connecting = asyncio.create_task(connect())
    await asyncio.sleep(0.01)
    del accounts.users[OF_TOKEN]
    auth.recheck(1)
    await asyncio.sleep(0.01)
    found_before.set()
    await connecting
    assert await accounts.next_ended() == "desk"


async def test_the_use_of_credentials_is_recorded_once_in_five_minutes_and_its_failure_is_of_no_consequence(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    noted: asyncio.Queue[set[Credential]] = asyncio.Queue()

    async def note_use(credentials: Collection[Credential]) -> None:
        noted.put_nowait(set(credentials))
        raise OSError("the database is away")

    auth = Authenticator(look_up=accounts.look_up, note_use=note_use, required=False, recheck=0.01)
    client = await auth.identify(WITH_TOKEN)
    assert client is not None
    auth.watch(client, accounts.connection("desk"))
    async with asyncio.timeout(10):
        assert await noted.get() == {OF_TOKEN}
    await accounts.have_been_queried(len(accounts.queried) + 5)
    assert noted.empty()
    assert "the use of credentials could not be recorded: the database is away" in caplog.text
    accounts.users.clear()
    assert await accounts.next_ended() == "desk"


async def test_no_query_is_made_once_all_have_left(accounts: Accounts) -> None:
    auth = accounts.auth()
    client = Identity(1, OF_TOKEN)
    end = accounts.connection("desk")
    auth.watch(client, end)
    sweeping = auth._sweeping
    assert sweeping is not None
    auth.forget(client, end)
    await sweeping
    assert accounts.queried == []
    assert auth._watched == {}
    auth.watch(client, end)
    del accounts.users[OF_TOKEN]
    assert await accounts.next_ended() == "desk"


def test_an_unwatched_credential_can_be_forgotten() -> None:
    auth = Accounts().auth()
    end = Accounts().connection("nobody")
    auth.forget(None, end)
    auth.forget(Identity(1, OF_TOKEN), end)
