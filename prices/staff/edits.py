"""Staff's edits by REST: through the very forms of the admin, so that both doors have the same rules and audit."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db import models, transaction
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.settings import api_settings

from prices.staff.forms import AuditedForm


class AsInTheAdmin(BasePermission):
    """Staff's permissions as the admin asks for them on the pages of the view's `desk_model`: to view it, and to change
    it where the method is not only for looking.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        model: type[models.Model] = view.desk_model
        desk = admin.site.get_model_admin(model)
        looks = request.method in SAFE_METHODS
        self.message = (
            f"This is for staff who may {'view' if looks else 'change'} {model._meta.verbose_name}: "
            "ask whoever gives out permissions."
        )
        if not admin.site.has_permission(request._request):
            return False
        return desk.has_view_permission(request._request) if looks else desk.has_change_permission(request._request)


def save(request: Request, row: models.Model, changes: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Save changes to a row as the admin's form does, and as its page tells everybody of it.

    `names` are the form's fields by their name in the API. Raises ValidationError by the latter. Within a transaction
    that has the row locked: the form holds the fields that stay, too.
    """
    assert transaction.get_connection().in_atomic_block
    desk = admin.site.get_model_admin(type(row))
    as_it_is = desk.form(instance=row)
    stays = {name: as_it_is.get_initial_for_field(field, name) for name, field in as_it_is.fields.items()}
    # By these a form knows what was changed where a field has a moving default, such as the time that it is.
    data = stays | {as_it_is.add_initial_prefix(name): value for name, value in stays.items()}
    data |= {"version": None} | {names[name]: value for name, value in changes.items()}
    form = desk.form(data, instance=row)
    assert isinstance(form, AuditedForm)
    form.to_confirm = 'send "confirm": true'
    if not form.is_valid():
        raise ValidationError(_in_the_apis_names(form.errors, names))
    saved = form.save(commit=False)
    desk.save_model(request._request, saved, form, True)
    message = desk.construct_change_message(request._request, form, [])  # type: ignore[arg-type]  # the stubs ask for an AdminForm, Django for a form
    desk.log_change(request._request, saved, message)


def _in_the_apis_names(errors: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, list[str]]:
    of_api = {ours: theirs for theirs, ours in names.items()} | {"__all__": api_settings.NON_FIELD_ERRORS_KEY}
    return {of_api.get(field, field): [str(message) for message in messages] for field, messages in errors.items()}
