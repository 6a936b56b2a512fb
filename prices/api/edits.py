"""Staff's edits by REST: the permissions, forms and audit of the admin."""

import re
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import construct_change_message
from django.db import models, transaction
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.settings import api_settings

from infra.rest import strict
from infra.rest.strict import StrictSerializer
from prices.models import ProposedEdit
from prices.staff.approvals import submit
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
    request: Request, row: models.Model, body: type[StrictSerializer], form_class: type[AuditedForm]
) -> ProposedEdit | None:
    """Save the changes that a request's body makes to a row, through the admin's form, and log them as the admin does.

    Returns the proposal where they wait for another person's approval. `body` has the form's fields, in the API's
    spelling. Raises ValidationError with that. Must be called in a transaction that has locked the row, since the form
    saves the unchanged fields too.
    """
    assert transaction.get_connection().in_atomic_block
    fields = {name: re.sub("([A-Z])", r"_\1", name).lower() for name in body().get_fields()}
    form = form_class.with_changes(row, {fields[name]: value for name, value in strict.body(request, body).items()})
    form.to_confirm = 'send "confirm": true'
    if not form.is_valid():
        names = {field: name for name, field in fields.items()} | {"__all__": api_settings.NON_FIELD_ERRORS_KEY}
        raise ValidationError({names.get(field, field): [*map(str, errors)] for field, errors in form.errors.items()})
    message = construct_change_message(form, [], add=False)  # type: ignore[arg-type]  # the stubs know no ModelForm here
    assert request.user.is_authenticated
    proposal = submit([form], by=request.user, site=request.build_absolute_uri("/")[:-1])
    if proposal is None:
        LogEntry.objects.log_actions(request.user.pk, [row], CHANGE, message, single_object=True)
    return proposal
