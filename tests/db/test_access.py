"""Every entry point of the product, tried in each role and compared with the tables of docs/access.md."""

import asyncio
import datetime as dt
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, get_args
from uuid import UUID

import pytest
from celery.app.task import Task
from channels.testing import WebsocketCommunicator
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote as quoted
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models, transaction
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from accounts import tokens
from accounts.models import SignIn, Token
from infra.asgi import Application
from infra.fixed_window import FixedWindowCounter
from locks import lifecycle
from locks.lifecycle import Wanted
from locks.models import LockSettings, PriceLock
from locks.rules import Side
from prices import schedule
from prices.audit import StaffChange
from prices.domain.quotes import Metal
from prices.models import (
    ApprovalLimit,
    Configuration,
    FallbackPrice,
    HeldPrice,
    ListedMetal,
    Premium,
    Price,
    ProposedEdit,
    ProviderState,
    SanityBand,
    SignificantChange,
)
from prices.publishing import ingest
from prices.sources import registry
from prices.staff.changes import one_change
from signing import keys
from streaming import auth, event_stream, protocol, rest
from streaming.admission import Gate
from streaming.auth import Authenticator, Credential, Holders
from streaming.consumers import PriceConsumer
from streaming.event_stream import EventStream
from streaming.hub import Hub
from streaming.limits import ConnectionLimiter
from streaming.poll import WaitingPoll
from swarna.celery import app as celery
from tests.support.asgi import AsgiRequest, not_for_django, rules_of
from tests.support.desk import FormFields, edited, proposed_edit
from tests.support.hub import World, rarely, world
from tests.support.product import ROOT
from tests.support.quotes import NOW, quote

__all__ = ["rarely", "world"]  # fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts", "attempts_of_nobody")]

_PERMISSIONS = {"view", "add", "change", "delete"}
# Roles that migrations make: members of these groups.
GROUPS = ["viewer", "price editor", "approver", "operator", "administrator"]
ROLES = ["stranger", "user", "staff", "view", "add", "change", "delete", *GROUPS, "superuser"]
_PASSWORD = "correct horse battery"


# --- the table -----------------------------------------------------------------------------------------------------


@cache
def table(heading: str) -> list[dict[str, str]]:
    """The rows of all tables of a section of the page, by the names of their columns."""
    section = (ROOT / "docs/access.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found, columns = [], None
    for line in section.splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if columns is None:
            columns = cells
        elif not set(line) <= set("|- "):
            found.append(dict(zip(columns, cells, strict=True)))
    return found


def may(role: str, who: str, model: str = "") -> bool:
    """Return True if a role is among those that a cell of the table names; a permission in it is on the model."""
    word = re.split(r"[ ,]", who)[0]
    if who == "all" or who.startswith("all,"):
        return True
    if word == "user":
        return role != "stranger"
    if word == "staff":
        return role not in ("stranger", "user")
    if word in _PERMISSIONS:
        needed = set(who.split(" and ")) if " and " in who else {word}
        held = permissions(role, model)
        return needed <= held | ({"view"} if "change" in held else set())
    assert who in ("nobody", "—"), who
    return False


def permissions(role: str, model: str) -> set[str]:
    """The permissions of a role on a model."""
    if role in GROUPS:
        cell = OF_ROLES[model][role]
        return _PERMISSIONS if cell == "all" else set(cell.split(", ")) - {"—"}
    return _PERMISSIONS if role == "superuser" else {role} & _PERMISSIONS


OF_ROLES = {row["model"]: row for row in table("Roles") if "model" in row}
MODELS = {row["model"]: row for row in table("Pages of each model in the admin") if "model" in row}
PAGES = {
    row["address under `/admin/<app>/<model>/`"]: row
    for row in table("Pages of each model in the admin")
    if "GET, HEAD" in row
}
REST = {row["address under `/api/v1/`"].strip("`"): row for row in table("REST")}
OF_MESSAGES = {row["message"]: row["who"] for row in table("The stream") if "message" in row}
ADDRESSES = {row["address"].strip("`"): row for row in table("Pages")}


# --- the entry points ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    """An address that resolves, as the table writes it."""

    pattern: str

    def to(self, **named: str) -> str:
        """Its address, with these values for its parameters."""
        return re.sub("<([^>]+)>", lambda match: named[match[1]], self.pattern)


def endpoints(patterns: Any = None, before: str = "/") -> Iterator[Endpoint]:
    """All addresses that Django resolves."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(entry, URLResolver):
            yield from endpoints(entry.url_patterns, before + _written(entry.pattern))
        elif isinstance(entry, URLPattern) and entry.name is None and str(entry.pattern) in ("^api/", "(?P<url>.*)$"):
            continue  # where nothing is: see the tests of the API's and of the admin's
        else:
            yield Endpoint(before + _written(entry.pattern))


def _written(pattern: Any) -> str:
    text = str(pattern).replace("<path:object_id>", "<id>")
    text = re.sub(r"^\^?\(\?P<(\w+)>.*?\)/\$$", r"<\1>/", text)
    text = text.replace("^([^/]+)/history/([^/]+)/$", "<id>/history/<version>/")
    return re.sub("<(?:[a-z]+:)?([a-z_]+)>", r"<\1>", text)


def label(model: type[models.Model]) -> str:
    return model._meta.label_lower


def test_every_address_is_in_the_table_and_nothing_else() -> None:
    of_models = {
        "/admin/" + name.replace(".", "/") + "/" + ("" if page == "(the list)" else page.strip("`"))
        for name in MODELS
        for page in PAGES
    }
    written = set(ADDRESSES) | {f"/api/v1/{address}" for address in REST} | of_models
    there = {endpoint.pattern for endpoint in endpoints()}
    assert there <= written
    assert written - of_models <= there
    assert {page for page in PAGES if not any(endpoint.endswith(page.strip("`")) for endpoint in there)} <= {
        "(the list)"
    }


def test_every_model_of_the_admin_is_in_the_table_and_nothing_else() -> None:
    assert {label(model) for model in admin.site._registry} == set(MODELS)


def test_every_role_has_the_permissions_of_the_table_and_no_others() -> None:
    """Permissions on models without pages do not count. One that is no model's has a row by its own name."""
    assert [row["role"] for row in table("Roles") if "role" in row] == GROUPS
    assert {group.name.lower() for group in Group.objects.all()} == set(GROUPS)
    everything = {_name(permission) for permission in Permission.objects.select_related("content_type")}
    others = {name for name in everything if not re.search(r"\.(view|add|change|delete)_", name)}
    of_others = {row["permission"]: row for row in table("Roles") if "permission" in row}
    assert (set(OF_ROLES), set(of_others)) == (set(MODELS), others)
    with_pages = {model.replace(".", f".{action}_") for model in MODELS for action in _PERMISSIONS}
    for role in GROUPS:
        group = Group.objects.get(name=role.capitalize())
        given = {_name(permission) for permission in group.permissions.select_related("content_type")}
        written = {model.replace(".", f".{action}_") for model in MODELS for action in permissions(role, model)}
        written |= {name for name, row in of_others.items() if row[role] == "yes"}
        assert given & (with_pages | others) == written, role


def _name(permission: Permission) -> str:
    return f"{permission.content_type.app_label}.{permission.codename}"


def test_every_message_of_the_stream_is_in_the_table_and_nothing_else() -> None:
    commands = {command.__name__.lower() for command in get_args(protocol.Command)}
    assert set(OF_MESSAGES) == set(MESSAGES) == commands


def test_every_task_is_in_the_table_and_nothing_else() -> None:
    celery.loader.import_default_modules()
    assert {row["task"] for row in table("Tasks")} == {name for name in celery.tasks if not name.startswith("celery.")}


# --- roles, and the effects of their requests ----------------------------------------------------------------------


class Effects:
    """The writes of a request to the database, except to sessions, and the tasks that it started."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        of_sessions = re.search("django_session|accounts_signin", sql)
        if re.match(r"\s*(INSERT|UPDATE|DELETE|WITH)\b", sql, re.IGNORECASE) and not of_sessions:
            self.seen.append(sql)
        return execute(sql, parameters, many, context)


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Effects]:
    effects = Effects()
    monkeypatch.setattr(Task, "apply_async", lambda task, *given, **options: effects.seen.append(task.name))
    with connection.execute_wrapper(effects):
        yield effects


@contextmanager
def undone() -> Iterator[None]:
    """As if nothing had been done in the block."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def send(client: Client, method: str, address: str, fields: Mapping[str, Any], effects: Effects) -> tuple[Any, bool]:
    """The answer to a request, and whether it had any effect; all of it undone."""
    effects.seen.clear()
    cookies = copy(client.cookies)
    with undone():
        if address.startswith("/api/"):
            headers = {"Idempotency-Key": "once"}
            response = client.generic(
                method, address, json.dumps(fields), content_type="application/json", headers=headers
            )
        elif method == "POST":
            response = client.post(address, fields)
        else:
            response = client.generic(method, address)
    client.cookies = cookies
    return response, bool(effects.seen)


def is_denied(response: Any) -> bool:
    """Return True if a response denies access; a 404 does not."""
    sent = response["Location"] if response.status_code == 302 else ""
    to_the_index = sent == "/admin/" and response.wsgi_request.path != "/admin/login/"
    return to_the_index or sent.startswith("/admin/login/") or response.status_code in (401, 403, 405)


def each_role(model: type[models.Model]) -> dict[str, Client]:
    """A client of each role; one of a single permission has it on this model, and the user who is not staff has all."""
    kind = ContentType.objects.get_for_model(model, for_concrete_model=False)
    clients = {}
    for role in ROLES:
        clients[role] = Client()
        if role == "stranger":
            continue
        who = User.objects.create_user(
            role, password=_PASSWORD, is_staff=role != "user", is_superuser=role == "superuser"
        )
        if role in _PERMISSIONS:
            who.user_permissions.set(Permission.objects.filter(content_type=kind, codename__startswith=f"{role}_"))
            assert who.user_permissions.count() == 1
        if role == "user":
            who.user_permissions.set(Permission.objects.all())
        if role in GROUPS:
            who.groups.add(Group.objects.get(name=role.capitalize()))
        clients[role].force_login(who)
    return clients


# --- the admin, model by model -------------------------------------------------------------------------------------

# What is written into each model's forms: "add" into an empty one, "change" into one that shows a row.
FORMS: dict[str, dict[str, dict[str, Any]]] = {
    "prices.approvallimit": {
        "add": {"role": lambda: Group.objects.create(name="clerks").pk, "percent": "5"},
        "change": {"percent": "7"},
    },
    "prices.configuration": {"change": {"update_interval_ms": "5000"}},
    "prices.fallbackprice": {
        "add": {"metal": "gold", "currency": "USD", "price": "137", "confirm": "on"},
        "change": {"price": "9300", "confirm": "on"},
        "all": {"gold-price": "1,34,000", "gold-unit": "10gram", "reason": "the association's rate"},
    },
    "locks.locksettings": {"change": {"ttl_seconds": "600"}},
    "prices.listedmetal": {"change": {"display_name": "Gold 24K"}},
    "prices.premium": {
        "add": {"metal": "gold", "multiplier": "2.5", "effective_from_0": "2026-09-25", "confirm": "on"},
        "change": {"multiplier": "2.5", "confirm": "on"},
    },
    "prices.proposededit": {"change": {"_approve": "Approve"}},
    "prices.providerstate": {"change": {"tolerance_percent": "3"}},
    "prices.sanityband": {
        "add": {"metal": "silver", "currency": "INR", "lowest": "100", "highest": "200"},
        "change": {"highest": "60000"},
    },
    "accounts.token": {"add": {"user": "user", "days": "7"}},
    "auth.user": {
        "add": {"username": "new", "usable_password": "true", "password1": _PASSWORD, "password2": _PASSWORD},
        "change": {"first_name": "Asha"},
    },
    "auth.group": {"add": {"name": "clerks"}, "change": {"name": "cashiers"}},
    "django_celery_beat.periodictask": {
        "add": {
            "interval": lambda: IntervalSchedule.objects.all()[0].pk,
            "name": "new",
            "task": "prices.tasks.keep_history",
            "args": "[]",
            "kwargs": "{}",
            "headers": "{}",
        },
        "change": {"priority": "3", "args": "[]", "kwargs": "{}", "headers": "{}"},
    },
    "django_celery_beat.intervalschedule": {"add": {"every": "7", "period": "days"}, "change": {"every": "9"}},
    "django_celery_beat.crontabschedule": {
        "add": {"minute": "7", "hour": "*", "day_of_month": "*", "month_of_year": "*", "day_of_week": "*"},
        "change": {"minute": "9", "hour": "*", "day_of_month": "*", "month_of_year": "*", "day_of_week": "*"},
    },
    "django_celery_beat.solarschedule": {
        "add": {"event": "sunset", "latitude": "19", "longitude": "73"},
        "change": {"latitude": "20"},
    },
    "django_celery_beat.clockedschedule": {
        "add": {"clocked_time_0": "2027-01-01", "clocked_time_1": "08:00:00"},
        "change": {"clocked_time_0": "2027-01-02"},
    },
}


def row_of(model: type[models.Model]) -> models.Model:
    """A row of a model, for the taking."""
    now = timezone.now()
    makers: dict[type[models.Model], Callable[[], Any]] = {
        ApprovalLimit: lambda: ApprovalLimit.objects.create(role=Group.objects.create(name="tellers"), percent=2),
        Configuration: Configuration.load,
        FallbackPrice: lambda: FallbackPrice.objects.get(metal="gold"),
        HeldPrice: lambda: _quarantined(now),
        ListedMetal: lambda: ListedMetal.objects.get(name="gold"),
        LockSettings: _lock_settings,
        PriceLock: lambda: _lock(User.objects.create_user("till")),
        Premium: lambda: Premium.objects.create(metal_id="gold", multiplier=Decimal("1.06"), effective_from=NOW),
        Price: lambda: Price.objects.filter(metal="gold")[0],
        ProposedEdit: lambda: proposed_edit(User.objects.create_user("editor")),
        ProviderState: _source,
        SanityBand: lambda: SanityBand.objects.create(metal_id="gold", lowest=Decimal(9000), highest=Decimal(50000)),
        SignificantChange: SignificantChange.objects.first,
        Token: lambda: tokens.issue(User.objects.create_user("owner"))[0],
        SignIn: lambda: SignIn.objects.get(token=tokens.issue(User.objects.create_user("owner"))[0]),
        User: lambda: User.objects.create_user("somebody"),
        Group: lambda: Group.objects.create(name="bakers"),
        PeriodicTask: lambda: PeriodicTask.objects.get(name=schedule.TASK_NAME),
        IntervalSchedule: lambda: IntervalSchedule.objects.create(every=8, period="days"),
        CrontabSchedule: lambda: CrontabSchedule.objects.create(minute="8"),
        SolarSchedule: lambda: SolarSchedule.objects.create(event="sunrise", latitude=19, longitude=73),
        ClockedSchedule: lambda: ClockedSchedule.objects.create(clocked_time=NOW),
    }
    row: models.Model = makers[model]()
    assert isinstance(row, model)
    return row


def _lock_settings() -> LockSettings:
    """The settings, of which staff have saved a version."""
    row = LockSettings.load()
    with one_change():
        row.save()
    return row


def _lock(user: User) -> PriceLock:
    with transaction.atomic():
        return lifecycle.grant(Wanted(Metal.GOLD, "gram", "24k", Side.SELL), user=user)


def _source() -> ProviderState:
    """A source of which staff have saved a version."""
    source = registry.in_order()[0]
    with one_change():
        source.save()
    return source


def _quarantined(now: dt.datetime) -> HeldPrice | None:
    ingest.offer([quote("gold", "20000", at=now)], now=now)
    return HeldPrice.objects.first()


@pytest.fixture
def published() -> None:
    """Two prices of gold, the second a significant move; and the rows that the deployment's first request writes."""
    registry.in_order()
    keys.current()
    now = timezone.now() - dt.timedelta(minutes=1)
    for price in ("13000", "13500"):
        ingest.record([quote("gold", price, at=now)], now=now)
        now += dt.timedelta(seconds=1)


@dataclass(frozen=True)
class Place:
    """A model's pages, and a row of it."""

    model: type[models.Model]
    row: models.Model

    @property
    def at(self) -> str:
        return f"/admin/{label(self.model).replace('.', '/')}/"

    @property
    def pages(self) -> list[Endpoint]:
        return [endpoint for endpoint in endpoints() if endpoint.pattern.startswith(self.at)]

    def to(self, endpoint: Endpoint) -> str:
        version = self.row.history.first().pk if "<version>" in endpoint.pattern else ""  # type: ignore[attr-defined]
        return endpoint.to(id=str(quoted(self.row.pk)), version=str(version))

    def who(self, endpoint: Endpoint, method: str) -> str:
        """The cell of the table."""
        page = endpoint.pattern.removeprefix(self.at)
        asked = PAGES[f"`{page}`" if page else "(the list)"]["GET, HEAD" if method == "GET" else method]
        for_others, *for_own = MODELS[label(self.model)].get(asked, asked).split("; ")
        return for_others if page else [for_others, *for_own][-1]  # a list may be of one's own; the row is another's

    def allows(self, role: str, who: str) -> bool:
        """Return True if a role is among those that a cell of the table names."""
        return may(role, who, label(self.model))

    def tricks(self, endpoint: Endpoint, role: str) -> list[dict[str, str]]:
        """Other posts by users who have access but may not save, which the admin takes for another page or form."""
        if not endpoint.pattern.endswith(("/change/", "<version>/")) or not may(role, "staff"):
            return []
        may_add = self.allows(role, MODELS[label(self.model)]["add"])
        return [{"_popup": "1"} if may_add else {"_popup": "1", "_saveasnew": "1"}]

    def _looked_at(self, superuser: Client) -> dict[str, str]:
        """The fields of a duty change whose preview was seen."""
        at = f"{self.at}duty/"
        typed = FormFields(superuser.get(at).content).values | {"multiplier_silver": "1.02"}
        return FormFields(superuser.post(at, typed).content).values | {"_save": "Save"}

    def filled_in(self, endpoint: Endpoint, superuser: Client) -> dict[str, Any]:
        """The fields of a valid post."""
        page = endpoint.pattern.removeprefix(self.at)
        if page == "<id>/delete/":
            return {"post": "yes"}
        if page == "<id>/password/":
            return {"usable_password": "true", "password1": _PASSWORD, "password2": _PASSWORD}
        if page == "duty/":
            return self._looked_at(superuser)
        if page == "<id>/decide/":
            return {"decision": "approve"}
        if page == "<id>/switch/":
            return {"to": "off"}
        forms = FORMS.get(label(self.model), {})
        if page == "all/":
            return FormFields(superuser.get(self.to(endpoint)).content).values | forms["all"] | {"_save": "Save"}
        if page == "add/":
            shown = FormFields(superuser.get(self.to(endpoint)).content).values if "add" in forms else {}
            given = {name: value() if callable(value) else value for name, value in forms.get("add", {}).items()}
            return shown | given | {"_save": "Save"}
        shown = FormFields(superuser.get(f"{self.at}{quoted(self.row.pk)}/change/").content).values
        return shown | forms.get("change", {}) | {"_save": "Save"}


@pytest.fixture(params=sorted(MODELS))
def place(request: pytest.FixtureRequest, published: None) -> Place:
    model = apps.get_model(request.param)
    return Place(model, row_of(model))


def test_pages_are_shown_to_the_roles_of_the_table_and_showing_them_changes_nothing(
    place: Place, effects: Effects
) -> None:
    clients = each_role(place.model)
    for endpoint in place.pages:
        for role, client in clients.items():
            who = place.who(endpoint, "GET")
            response, had_effect = send(client, "GET", place.to(endpoint), {}, effects)
            assert is_denied(response) is not place.allows(role, who), (endpoint, role, response.status_code)
            assert not had_effect, (endpoint, role, effects.seen)


@pytest.mark.parametrize(
    "audited",
    [ApprovalLimit, Configuration, FallbackPrice, ListedMetal, LockSettings, Premium, ProviderState, SanityBand],
)
def test_a_history_that_cannot_be_is_not_found(client: Client, audited: type[models.Model]) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    at = f"/admin/{label(audited).replace('.', '/')}"
    for page in ("x/history/", "_00/history/", "x/history/1/", "1/history/x/", f"1/history/{'9' * 30}/"):
        assert client.get(f"{at}/{page}").status_code == 404, page


def test_posts_have_effects_only_for_the_roles_of_the_table(place: Place, effects: Effects) -> None:
    clients = each_role(place.model)
    for endpoint in place.pages:
        if endpoint.pattern == place.at:
            continue
        fields = place.filled_in(endpoint, clients["superuser"])
        for role, client in clients.items():
            expected = place.allows(role, place.who(endpoint, "POST"))
            for trick in ({},) if expected else ({}, *place.tricks(endpoint, role)):
                response, had_effect = send(client, "POST", place.to(endpoint), fields | trick, effects)
                said = response.status_code, getattr(response.context, "get", lambda _: None)("errors")
                assert had_effect is expected, (endpoint, role, said, effects.seen)


def test_the_list_takes_actions_and_edits_only_of_the_roles_of_the_table(place: Place, effects: Effects) -> None:
    clients = each_role(place.model)
    desk = admin.site.get_model_admin(place.model)
    boss = RequestFactory().get(place.at)
    boss.user = User.objects.get(username="superuser")
    row = MODELS[label(place.model)]
    written = {
        name: who
        for part in row["actions"].split(";")
        if part
        for names, who in [part.split(":")]
        for name in re.findall(r"\w+", names)
    }
    assert set(desk.get_actions(boss)) == set(written)
    # Each of them does something to a row in one state or in the other.
    states = [{"enabled": True}, {"enabled": False}] if hasattr(place.row, "enabled") else [{}]
    for action, who in written.items():
        fields = {"action": action, "_selected_action": [str(place.row.pk)], "post": "yes"}
        has_effect = dict.fromkeys(ROLES, False)
        for state in states:
            if state:
                place.model._default_manager.filter(pk=place.row.pk).update(**state)
            for role, client in clients.items():
                has_effect[role] |= send(client, "POST", place.at, fields, effects)[1]
        assert has_effect == {role: place.allows(role, who.strip()) for role in ROLES}, action
    if getattr(desk, "list_editable", ()):
        fields = edited(clients["superuser"].get(place.at).content, **{str(place.row.pk): {"position": "7"}})
        for role, client in clients.items():
            assert send(client, "POST", place.at, fields, effects)[1] is place.allows(role, row["change"]), role


# What the undo of each kind of change does.
UNDOES = {"add": "delete", "change": "change", "delete": "add"}
CHANGES = [
    (model, done)
    for model, row in MODELS.items()
    for done in UNDOES
    if hasattr(apps.get_model(model), "history") and row[done] != "nobody"
]


@pytest.mark.parametrize(("place", "done"), CHANGES, indirect=["place"])
def test_a_change_is_undone_by_the_roles_that_may_do_what_its_undo_does(
    place: Place, done: str, effects: Effects
) -> None:
    clients = each_role(place.model)
    page = Endpoint(f"{place.at}{'add' if done == 'add' else f'<id>/{done}'}/")
    clients["superuser"].post(place.to(page), place.filled_in(page, clients["superuser"]))
    undo = f"/admin/changes/{StaffChange.objects.latest('pk').pk}/undo/"
    who = MODELS[label(place.model)][UNDOES[done]]
    for role, client in clients.items():
        may_view = place.allows(role, "view")
        assert (client.get(undo).status_code == 200) is may_view, role
        had_effect = send(client, "POST", undo, {"confirm": "on"}, effects)[1]
        assert had_effect is (may_view and place.allows(role, who)), (role, effects.seen)


def test_no_page_of_the_admin_knows_another_method(place: Place, effects: Effects) -> None:
    client = each_role(place.model)["superuser"]
    for endpoint in place.pages:
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
            response, had_effect = send(client, method, place.to(endpoint), {}, effects)
            assert (response.status_code, had_effect) == (405, False), (endpoint, method)


# --- other pages, and REST -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", sorted(ADDRESSES))
def test_other_pages_are_for_the_roles_of_the_table(address: str, published: None, effects: Effects) -> None:
    kind = str(ContentType.objects.get_for_model(Premium).pk)
    path = Endpoint(address).to(content_type_id=kind, id="1", app_label="prices", seq="1", name="units", metal="gold")
    clients = each_role(Premium)
    for role, client in clients.items():
        for method in ("GET", "HEAD", "POST"):
            who = ADDRESSES[address]["POST" if method == "POST" else "GET, HEAD"]
            response, had_effect = send(client, method, path, {}, effects)
            if method != "POST" or who != "nobody":
                assert is_denied(response) is not may(role, who), (role, method, response.status_code)
            assert not had_effect, (role, method, effects.seen)
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):  # what a superuser cannot do, nobody can
        assert not send(clients["superuser"], method, path, {}, effects)[1], (method, effects.seen)


# What is sent by each method that is not only for looking.
BODIES: dict[str, dict[str, Any]] = {
    "PATCH config/": {"updateIntervalMs": 5000},
    "PATCH fallback-prices/<metal>/": {"price": 9300, "confirm": True},
    "PATCH proposals/<number>/": {"decision": "reject"},
    "POST auth/token/": {"username": "user", "password": _PASSWORD},
    "POST locks/": {"metal": "gold", "unit": "gram", "purity": "24k", "side": "sell"},
}


@pytest.mark.parametrize("address", sorted(REST))
def test_rest_is_for_the_roles_of_the_table(address: str, published: None, effects: Effects) -> None:
    row = REST[address]
    of_model = [word for who in row.values() for word in who.split() if word in MODELS]
    model = of_model[0] if of_model else "prices.premium"
    clients = each_role(apps.get_model(model))
    number = proposed_edit(User.objects.create_user("editor")).pk
    for role, client in clients.items():
        owner = User.objects.filter(username=role).first()
        key = tokens.issue(owner)[0].token_key if owner and "auth/token" in address else "swarna_00000000"
        lock = str(_lock(owner).key) if owner and "locks/<id>" in address else str(UUID(int=0))
        path = Endpoint(f"/api/v1/{address}").to(metal="gold", key=key, number=str(number), id=lock, seq="1")
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"):
            looks = method in ("GET", "HEAD", "OPTIONS")
            who = row["GET, HEAD"] if looks else row.get(method, "—")
            if method == "OPTIONS" and who == "—":
                continue
            response, had_effect = send(client, method, path, BODIES.get(f"{method} {address}", {}), effects)
            assert is_denied(response) is not may(role, who, model), (role, method, response.status_code)
            assert had_effect is (may(role, who, model) and not looks), (role, method, effects.seen)


# --- the stream ----------------------------------------------------------------------------------------------------

MESSAGES: dict[str, dict[str, Any]] = {
    "subscribe": {"metals": ["gold"]},
    "unsubscribe": {"metals": ["gold"]},
    "ping": {},
}


class Stream:
    """The stream of one process. Logins, by role, were looked up before: an event loop may not query."""

    def __init__(self, hub: Hub, logins: Mapping[str, Credential], found: Holders, *, required: bool) -> None:
        async def look_up(credentials: Collection[Credential]) -> Holders:
            return {each: found[each] for each in credentials if each in found}

        self._logins = logins
        authenticator = Authenticator(look_up=look_up, required=required, recheck=3600)
        gate = Gate(authenticator, ConnectionLimiter(0), hub.metrics)
        rates = FixedWindowCounter(None, "", dt.timedelta(minutes=1))
        self._consumer = PriceConsumer.as_asgi(hub=hub, gate=gate, user_rates=rates)
        self._events = EventStream(not_for_django, hub, gate, rules_of(hub))
        self._polls = WaitingPoll(not_for_django, hub, gate, rules_of(hub))

    async def serves(self, way: str, role: str) -> bool:
        """Return True if a role is served prices in this way. By WebSocket, its messages are tried too."""
        match way:
            case "WebSocket":
                return await self._by_websocket(role)
            case "Server-Sent Events":
                return await self._by_http(self._events, event_stream.PATH, "", role)
            case "a waiting poll":
                return await self._by_http(self._polls, rest.PATH, "wait=1", role)
        raise ValueError(way)

    async def _by_websocket(self, role: str) -> bool:
        headers = {"host": "localhost", "origin": "http://localhost", **self._cookie(role)}
        visitor = WebsocketCommunicator(
            self._consumer, "/", headers=[(name.encode(), value.encode()) for name, value in headers.items()]
        )
        await visitor.connect()
        is_served: bool = (await visitor.receive_json_from())["type"] == "priceUpdate"
        for name, fields in MESSAGES.items() if is_served else ():
            await visitor.send_json_to({"type": name, "id": name, **fields})
            while (answer := await visitor.receive_json_from()).get("id") != name:
                pass
            assert (answer["type"] != "error") is may(role, OF_MESSAGES[name]), (role, answer)
        await visitor.disconnect()
        return is_served

    async def _by_http(self, application: Application, path: str, query: str, role: str) -> bool:
        request = AsgiRequest(application, path, query, {"sec-fetch-site": "same-origin", **self._cookie(role)})
        async with asyncio.timeout(8):
            while not request.sent:
                await asyncio.sleep(0.001)
        request.gone.set()
        await request.task
        return bool(request.sent[0]["status"] == 200)

    def _cookie(self, role: str) -> dict[str, str]:
        return {"cookie": f"sessionid={self._logins[role].key}"} if role in self._logins else {}


@pytest.fixture
def logins(published: None) -> dict[str, Credential]:
    """The logins of each role but a stranger's."""
    clients = each_role(Premium).items()
    return {
        role: Credential("session", client.cookies["sessionid"].value) for role, client in clients if client.cookies
    }


@pytest.fixture
def found(logins: dict[str, Credential]) -> Holders:
    return auth.holders(logins.values())


@pytest.mark.parametrize("required", [False, True])
async def test_the_stream_is_for_the_roles_of_the_table(
    logins: dict[str, Credential], found: Holders, rarely: World, required: bool
) -> None:
    assert len(found) == len(ROLES) - 1
    rarely.write(quote(price="100"))
    await rarely.hub.first_reading(within=8)
    stream = Stream(rarely.hub, logins, found, required=required)
    for row in table("The stream"):
        for role in ROLES if "by" in row else ():
            way, who = row["by"].partition(", ")[0], row["with `WS_AUTH_REQUIRED`" if required else "who"]
            assert await stream.serves(way, role) is may(role, who), (way, role)
