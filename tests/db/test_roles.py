"""Roles: what migrations make of them, what administrators may change in them, and when they count."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.apps.registry import Apps
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management.sql import emit_post_migrate_signal
from django.test import Client
from django_celery_beat.models import PeriodicTask
from pytest_django import DjangoAssertNumQueries

from accounts import roles, tokens
from accounts.models import Role
from prices import schedule
from prices.models import FallbackPrice, HeldPrice, Price
from prices.publishing import ingest
from tests.support.desk import FormFields
from tests.support.quotes import NOW, quote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts")]


def migrate() -> None:
    """Do as `manage.py migrate` does at its end, which has nothing else to do here."""
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")


def of(group: Group) -> set[str]:
    return {permission.codename for permission in group.permissions.all()}


def permission(codename: str) -> Permission:
    found: Permission = Permission.objects.get(content_type__app_label="prices", codename=codename)
    return found


# --- what migrations make ------------------------------------------------------------------------------------------


def test_what_an_administrator_changed_in_a_role_stays() -> None:
    editor = Group.objects.get(name="Price editor")
    editor.permissions.remove(permission("delete_premium"))
    editor.permissions.add(permission("change_heldprice"))
    before = of(editor)
    migrate()
    assert of(editor) == before


@pytest.fixture
def override(monkeypatch: pytest.MonkeyPatch) -> Permission:
    """A permission that a new version has, and means for approvers."""
    monkeypatch.setitem(roles.ROLES, "Approver", (*roles.ROLES["Approver"], "prices.override"))
    kind = ContentType.objects.get_for_model(FallbackPrice)
    made: Permission = Permission.objects.create(content_type=kind, codename="override", name="Can override")
    return made


def test_a_new_permission_is_given_once_and_no_other_with_it(override: Permission) -> None:
    approver = Group.objects.get(name="Approver")
    approver.permissions.remove(permission("change_heldprice"))
    before = of(approver)
    migrate()
    assert of(approver) == before | {"override"}
    assert "override" not in of(Group.objects.get(name="Price editor"))
    approver.permissions.remove(override)
    migrate()
    assert of(approver) == before


def test_a_role_that_was_renamed_goes_on_and_one_that_was_deleted_is_not_made_again(override: Permission) -> None:
    Group.objects.filter(name="Approver").update(name="Seniors")
    Group.objects.get(name="Viewer").delete()
    migrate()
    assert "override" in of(Group.objects.get(name="Seniors"))
    assert not Group.objects.filter(name__in=["Approver", "Viewer"]).exists()


def test_a_group_of_a_roles_name_keeps_its_members_from_a_role_that_was_not_meant_for_them() -> None:
    Role.objects.all().delete()
    Group.objects.all().delete()
    clerks = Group.objects.create(name="Viewer")
    migrate()
    assert of(clerks) == set()
    assert "view_price" in of(Group.objects.get(name="Viewer of Swarna"))


def test_every_pattern_means_a_permission() -> None:
    every = {f"{each.content_type.app_label}.{each.codename}" for each in Permission.objects.all()}
    given = set().union(*(role.given for role in Role.objects.all()))
    for pattern in set().union(*roles.ROLES.values()):
        fitting = {name for name in every if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name)}
        assert fitting, pattern
        assert fitting <= given, pattern


def test_a_database_from_before_roles_is_left_alone() -> None:
    roles.give_new_permissions(apps.get_app_config("prices"), apps=Apps())


def test_nothing_is_written_where_nothing_is_new(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    migrate()
    with django_assert_num_queries(4):  # permissions, roles, and the transaction around them
        roles.give_new_permissions(apps.get_app_config("prices"))


# --- when they count -----------------------------------------------------------------------------------------------


@pytest.fixture
def editor() -> User:
    made = User.objects.create_user("asha", is_staff=True)
    made.groups.add(Group.objects.get(name="Price editor"))
    return made


@pytest.fixture
def gold() -> str:
    """The page of gold's fallback."""
    return f"/admin/prices/fallbackprice/{FallbackPrice.objects.get(metal='gold').pk}/change/"


def price_of_gold() -> Any:
    return FallbackPrice.objects.get(metal="gold").price


def test_a_role_that_is_taken_away_while_signed_in_saves_nothing_any_more(
    client: Client, editor: User, gold: str
) -> None:
    client.force_login(editor)
    fields = FormFields(client.get(gold).content).values | {"price": "9300", "confirm": "on"}
    before = price_of_gold()
    editor.groups.clear()
    assert client.post(gold, fields).status_code == 403
    assert price_of_gold() == before
    editor.groups.add(Group.objects.get(name="Viewer"))
    assert client.get(gold).status_code == 200  # to read
    assert client.post(gold, fields).status_code == 403
    assert price_of_gold() == before
    editor.groups.add(Group.objects.get(name="Price editor"))
    assert client.post(gold, fields).status_code == 302
    assert price_of_gold() == 9300


@pytest.mark.parametrize("credential", ["login", "token"])
def test_a_role_that_is_taken_away_counts_no_more_by_rest(client: Client, editor: User, credential: str) -> None:
    if credential == "login":
        client.force_login(editor)
    else:
        client = Client(headers={"Authorization": f"Bearer {tokens.issue(editor)[1]}"})

    def edit() -> int:
        body = {"price": 9300, "confirm": True}
        address = "/api/v1/fallback-prices/gold/"
        status: int = client.patch(address, body, content_type="application/json").status_code
        return status

    before = price_of_gold()
    editor.groups.clear()
    assert edit() == 403
    assert price_of_gold() == before
    editor.groups.add(Group.objects.get(name="Price editor"))
    assert edit() == 200


def test_a_role_that_is_taken_away_decides_nothing_any_more(client: Client) -> None:
    approver = User.objects.create_user("ravi", is_staff=True)
    approver.groups.add(Group.objects.get(name="Approver"))
    client.force_login(approver)
    ingest.record([quote("gold", "13000", at=NOW)], now=NOW)
    ingest.offer([quote("gold", "20000", at=NOW)], now=NOW)
    quarantined = HeldPrice.objects.get()
    decision = {"action": "approve", "_selected_action": [str(quarantined.pk)]}
    approver.groups.set([Group.objects.get(name="Viewer")])
    client.post("/admin/prices/heldprice/", decision)
    quarantined.refresh_from_db()
    assert quarantined.decision == HeldPrice.Decision.PENDING
    assert not Price.objects.filter(price=20000).exists()


def test_staff_who_are_staff_no_longer_are_sent_to_the_login(client: Client, editor: User, gold: str) -> None:
    client.force_login(editor)
    User.objects.update(is_staff=False)
    assert client.get(gold)["Location"].startswith("/admin/login/")


# --- what is out of sight ------------------------------------------------------------------------------------------


def names_on(page: Any) -> set[str]:
    """The models that a page of the admin lists."""
    return {model["object_name"] for app in page.context["available_apps"] for model in app["models"]}


@pytest.mark.parametrize(
    ("role", "sees"),
    [("Viewer", False), ("Price editor", False), ("Approver", False), ("Operator", True), ("Administrator", True)],
)
def test_the_schedule_is_out_of_sight_of_whoever_has_no_need_of_it(client: Client, role: str, sees: bool) -> None:
    user = User.objects.create_user("asha", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
    listed = names_on(client.get("/admin/"))
    assert ("PeriodicTask" in listed) is sees
    assert not {"IntervalSchedule", "CrontabSchedule", "SolarSchedule", "ClockedSchedule"} & listed
    assert (client.get("/admin/django_celery_beat/").status_code == 200) is sees


def test_a_tasks_page_leads_to_its_schedule(boss: Client) -> None:
    task = PeriodicTask.objects.get(name=schedule.TASK_NAME)
    page = boss.get(f"/admin/django_celery_beat/periodictask/{task.pk}/change/").content.decode()
    for kind in ("interval", "crontab", "solar", "clocked"):
        assert f"/admin/django_celery_beat/{kind}schedule/add/" in page
    assert boss.get(f"/admin/django_celery_beat/intervalschedule/{task.interval_id}/change/").status_code == 200
