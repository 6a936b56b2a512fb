"""The staff's desk in a browser without a screen, as fixtures."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client, override_settings
from pytest_django import DjangoCaptureOnCommitCallbacks

from prices.domain.quotes import Publication
from prices.models import FallbackPrice, ProposedEdit
from prices.staff import approvals
from prices.staff.forms import FallbackPriceForm
from streaming import publish
from tests.support.databases import seed
from tests.support.world import forget_prices


class Broadcasts:
    """The messages broadcast to web processes."""

    def __init__(self) -> None:
        self.publications: list[Publication] = []
        self.reloads = 0

    def reload(self) -> None:
        self.reloads += 1


@pytest.fixture
def broadcasts(monkeypatch: pytest.MonkeyPatch, db: None) -> Broadcasts:
    """A database with metals, fallback prices and a schedule, and without any publication."""
    broadcasts = Broadcasts()
    monkeypatch.setattr(publish, "publication", broadcasts.publications.append)
    monkeypatch.setattr(publish, "reload", broadcasts.reload)
    seed()
    forget_prices()
    broadcasts.publications.clear()
    return broadcasts


def user(name: str, *, permissions: str | None = None, **options: Any) -> User:
    """A user with the permissions on prices whose codename matches."""
    made: User = User.objects.create(username=name, **options)
    if permissions:
        fitting = Permission.objects.filter(content_type__app_label="prices", codename__regex=permissions)
        made.user_permissions.set(fitting)
    return made


def proposed_edit(editor: User, price: str = "9800") -> ProposedEdit:
    """An edit of gold's fallback price that waits for another person than this editor."""
    gold = FallbackPrice.objects.get(metal="gold")
    form = FallbackPriceForm.with_changes(gold, {"price": price, "confirm": True})
    assert form.is_valid()
    with override_settings(APPROVAL_ABOVE_PERCENT=Decimal(0)), transaction.atomic():
        proposal = approvals.submit([form], by=editor)
    assert proposal is not None
    return proposal


@pytest.fixture
def staff() -> User:
    return user("asha", is_staff=True, permissions=".*")


@pytest.fixture
def desk(staff: User) -> Client:
    """A browser in which a member of staff has logged in."""
    client = Client()
    client.force_login(staff)
    return client


@pytest.fixture
def boss() -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(user("boss", is_staff=True, is_superuser=True))
    return client


class FormFields(HTMLParser):
    """The fields that a browser would post of a page's forms, hidden ones included."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._select = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        name, value = given.get("name"), given.get("value") or ""
        if tag == "select":
            self._select = name or ""
        elif tag == "option" and self._select and "selected" in given:
            self.values[self._select] = value
        elif tag == "input" and name and given.get("type") == "checkbox":
            if "checked" in given:
                self.values[name] = value or "on"
        elif tag == "input" and name and given.get("type") not in ("submit", "button"):
            self.values[name] = value


@pytest.fixture
def save(desk: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Callable[..., Any]:
    """Open a form, change some of its fields, and save it as a browser does; returns the response."""

    def save(address: str, **changed: str) -> Any:
        fields = FormFields(desk.get(address).content).values | changed
        with django_capture_on_commit_callbacks(execute=True):
            return desk.post(address, fields)

    return save


def edited(page: bytes, **rows: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a browser posts to save a list, after some fields of some rows were changed."""
    values: dict[str, Any] = dict(FormFields(page).values)
    for name, changed in rows.items():
        its_name = next(key for key, value in values.items() if key.endswith("-name") and value == name)
        values |= {its_name.removesuffix("name") + field: value for field, value in changed.items()}
    return {"_save": "Save"} | {field: value for field, value in values.items() if value is not False}


def saved(response: Any) -> bool:
    return bool(response.status_code == 302)


def errors(response: Any) -> dict[str, list[str]]:
    """The errors of a form that was not saved, by field."""
    assert response.status_code == 200
    return {field: list(messages) for field, messages in response.context["adminform"].form.errors.items()}
