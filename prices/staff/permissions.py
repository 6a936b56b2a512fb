"""Permissions of staff, the same in the admin and by REST."""

from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import AnonymousUser, User
from django.db import models


def may(user: User | AnonymousUser, action: str, model: type[models.Model]) -> bool:
    """Return True for active staff with the permission to `view` or `change` a model; `change` includes `view`."""
    names = {get_permission_codename(each, model._meta) for each in (action, "change")}
    return user.is_active and user.is_staff and any(user.has_perm(f"{model._meta.app_label}.{name}") for name in names)
