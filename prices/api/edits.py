"""Staff's edits by REST: the permissions, forms and audit of the admin."""

from collections.abc import Mapping
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import construct_change_message
from django.db import models, transaction
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.settings import api_settings

from prices.staff.forms import AuditedForm
from prices.staff.permissions import may


class StaffPermission(BasePermission):
    """Allows staff who may view the view's `staff_model`, and change it unless the method is safe."""

    def has_permission(self, request: Request, view: Any) -> bool:
        model: type[models.Model] = view.staff_model
        action = "view" if request.method in SAFE_METHODS else "change"
        self.message = (
            f"This is for staff who may {action} {model._meta.verbose_name}: get that permission from an administrator."
        )
        return may(request.user, action, model)


def save(
    request: Request,
    form_class: type[AuditedForm],
    row: models.Model,
    changes: Mapping[str, Any],
    names: Mapping[str, str],
) -> None:
    """Save changes to a row through the admin's form, and log them as the admin does.

    `names` maps the names of the API to the form's fields. Raises ValidationError with the API's names. Must be called
    in a transaction that has locked the row, since the form saves the unchanged fields too.
    """
    assert transaction.get_connection().in_atomic_block
    unchanged = form_class(instance=row)
    kept = {name: unchanged.get_initial_for_field(field, name) for name, field in unchanged.fields.items()}
    # Where a default moves, as the current time does, a form finds changes by hidden initial values.
    data = kept | {unchanged.add_initial_prefix(name): value for name, value in kept.items()}
    data |= {"version": None} | {names[name]: value for name, value in changes.items()}
    form = form_class(data, instance=row)
    form.to_confirm = 'send "confirm": true'
    if not form.is_valid():
        raise ValidationError(_by_api_name(form.errors, names))
    message = construct_change_message(form, [], add=False)  # type: ignore[arg-type]  # the stubs know no ModelForm here
    assert request.user.is_authenticated
    LogEntry.objects.log_actions(request.user.pk, [form.save()], CHANGE, message, single_object=True)


def _by_api_name(errors: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, list[str]]:
    api_names = {field: name for name, field in names.items()} | {"__all__": api_settings.NON_FIELD_ERRORS_KEY}
    return {api_names.get(field, field): [str(message) for message in messages] for field, messages in errors.items()}
