"""Roles of staff: Django groups that `migrate` makes. What administrators change in them stays."""

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any, Final

from django.apps import AppConfig
from django.apps import apps as current_apps
from django.db import DEFAULT_DB_ALIAS, transaction

_VIEW: Final = ("prices.view_*", "locks.view_*")
# The permissions of each role, by its first name. docs/access.md says what they come to, page by page.
ROLES: Final[dict[str, Collection[str]]] = {
    "Viewer": _VIEW,
    "Price editor": (
        *_VIEW,
        "prices.add_fallbackprice",
        "prices.change_fallbackprice",
        "prices.add_premium",
        "prices.change_premium",
        "prices.delete_premium",
        "locks.change_pricelock",
    ),
    "Approver": (
        *_VIEW,
        "prices.change_heldprice",
        "prices.change_proposededit",
        "prices.add_sanityband",
        "prices.change_sanityband",
        "prices.delete_sanityband",
    ),
    "Operator": (
        *_VIEW,
        "prices.change_configuration",
        "prices.change_listedmetal",
        "prices.change_providerstate",
        "locks.change_pricelock",
        "locks.change_locksettings",
        "accounts.view_token",
        "accounts.add_token",
        "accounts.delete_token",
        "django_celery_beat.*",
    ),
    "Administrator": ("prices.*", "locks.*", "accounts.*", "auth.*", "django_celery_beat.*"),
}


def role_of(username: str) -> str:
    """The names of a user's roles, with commas between them; `Staff` for a user without any."""
    roles = current_apps.get_model("accounts", "Role").objects.filter(group__user__username=username)
    names = set(roles.values_list("name", flat=True))
    return ", ".join(name for name in ROLES if name in names) or "Staff"


def give_new_permissions(
    sender: AppConfig, using: str = DEFAULT_DB_ALIAS, apps: Any = current_apps, **options: Any
) -> None:
    """Make the roles that are missing, and give each those of the app's permissions that it was never given.

    It follows each `migrate`, once the permissions of the app `sender` exist. So a role gains a permission that a new
    version brings, and one that an administrator took away, or a group that one deleted or renamed, stays so.
    """
    patterns = {name: [each for each in given if each.startswith(f"{sender.label}.")] for name, given in ROLES.items()}
    try:
        Permission, Role = apps.get_model("auth", "Permission"), apps.get_model("accounts", "Role")  # noqa: N806  (classes)
    except LookupError:
        return  # the database is of a version before roles
    if not any(patterns.values()):
        return
    of_app = Permission.objects.using(using).filter(content_type__app_label=sender.label)
    permissions = {f"{sender.label}.{each.codename}": each for each in of_app}
    with transaction.atomic(using=using):
        roles = {role.name: role for role in Role.objects.using(using).select_related("group")}
        for name, of_role in patterns.items():
            meant = {each for each in permissions if any(fnmatchcase(each, pattern) for pattern in of_role)}
            role = roles.get(name)
            if role is None and meant:
                role = Role.objects.using(using).create(name=name, group=_new_group(name, using, apps), given=[])
            if role is None or role.group is None or meant <= set(role.given):
                continue
            role.group.permissions.add(*(permissions[each] for each in meant - set(role.given)))
            role.given = sorted(meant.union(role.given))
            role.save(using=using)


def _new_group(name: str, using: str, apps: Any) -> Any:
    """A group for a role. The members of one that has the name already were not chosen for this role."""
    groups = apps.get_model("auth", "Group").objects.using(using)
    return groups.create(name=f"{name} of Swarna" if groups.filter(name=name).exists() else name)
