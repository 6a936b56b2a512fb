"""The audit of what staff change: a version of a row for each save of it, and the change that the version belongs to.

`prices/staff/changes.py` opens changes. A save outside of any, as by a command, is a change of its own.
"""

from collections.abc import Collection
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone
from simple_history.models import HistoricalRecords


class StaffChange(models.Model):
    """All that was saved at once, in one row or in several: when, by whom, and why.

    Nobody (`by`) is a command, such as the installation's `seed`, or a user who has been deleted since.
    """

    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=200, blank=True)
    undoes = models.OneToOneField("self", models.PROTECT, null=True, related_name="undone_by")
    receipts = models.TextField(
        default="",
        db_default="",
        editable=False,
        help_text="Copies of the receipts of the prices that it published first, as a list in JSON.",
    )

    # True once a version belongs to it.
    is_used = False

    class Meta:
        verbose_name = "change"
        ordering = ["-pk"]
        default_permissions = ()  # a change is for those who may view its rows

    def __str__(self) -> str:
        return f"change {self.pk}"


# The change that versions belong to which are saved now.
open_change: ContextVar[StaffChange | None] = ContextVar("open_change", default=None)


def user_of_request() -> User | None:
    """The user of the request that is being answered; None outside of requests, and for anybody not logged in."""
    user = getattr(getattr(HistoricalRecords.context, "request", None), "user", None)
    return user if user is not None and user.is_authenticated else None


class Version(models.Model):
    """A row as it was saved, in the history of its model.

    A version without a change tells what a row was that had been written without one, before staff changed it.
    """

    change = models.ForeignKey(StaffChange, models.PROTECT, null=True, editable=False, related_name="+")
    history_user: Any

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        if self._state.adding:
            self.change = open_change.get() or StaffChange.objects.create(by=self.history_user)
            self.change.is_used = True
        super().save(*args, **options)


class StaffHistory(HistoricalRecords):
    """The history of a model that staff change.

    `fields`: those that versions have; None: all. `only_in_changes`: of a model that the product writes too, whose own
    saves are no versions.
    """

    def __init__(self, *, fields: Collection[str] | None = None, only_in_changes: bool = False) -> None:
        super().__init__(bases=[Version])
        self.fields = fields
        self.only_in_changes = only_in_changes

    def finalize(self, sender: Any, **options: Any) -> None:
        if sender is not self.cls:
            return
        if self.fields is not None:
            self.excluded_fields = [field.name for field in sender._meta.fields if field.name not in self.fields]
        super().finalize(sender, **options)
        models.signals.pre_save.connect(self.pre_save, sender=sender, weak=False)

    def pre_save(
        self, instance: Any, raw: bool = False, update_fields: Collection[str] | None = None, **options: Any
    ) -> None:
        """Keep the row as it is, if it was written without a version: the next one is to tell what was changed."""
        if raw or instance._state.adding or not self._is_recorded(update_fields):
            return
        before = self.cls._default_manager.filter(pk=instance.pk).first()
        if before is None:
            return
        versions = getattr(instance, self.manager_name)
        newest = versions.order_by("-history_id").first()
        names = [field.attname for field in self.fields_included(self.cls)]
        if newest is None or any(getattr(newest, name) != getattr(before, name) for name in names):
            before._history_user = None
            versions.bulk_history_create([before], update=True)  # this does not call Version.save

    def post_save(self, instance: Any, created: bool, using: str | None = None, **options: Any) -> None:
        if self._is_recorded(options.get("update_fields")):
            super().post_save(instance, created, using=using, **options)

    def post_delete(self, instance: Any, using: str | None = None, **options: Any) -> None:
        if self._is_recorded(None):
            super().post_delete(instance, using=using, **options)

    def get_history_user(self, instance: Any) -> Any:
        change = open_change.get()
        if change is None or hasattr(instance, "_history_user"):
            return super().get_history_user(instance)
        return change.by

    def _is_recorded(self, update_fields: Collection[str] | None) -> bool:
        """Return True if a save of these fields, or of all, makes a version."""
        if self.only_in_changes and open_change.get() is None:
            return False
        tracked = {field.name for field in self.fields_included(self.cls)}
        return update_fields is None or not tracked.isdisjoint(update_fields)
