"""Base classes and options of the admin's pages."""

from collections.abc import Sequence
from typing import Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from simple_history.admin import SimpleHistoryAdmin
from simple_history.models import is_historic

from prices.models import ProposedEdit
from prices.staff.approvals import approvers, submit
from prices.staff.changes import one_change
from prices.staff.forms import AuditedForm, save_fields
from prices.staff.permissions import may

# For `formfield_overrides`: refuse ambiguous input. A browser's number field drops a comma, so that 0,5 would be 5; and
# 01/12/2026 is the first of December in India, but the twelfth of January to Django.
ONE_MEANING: Final[Any] = {
    models.DecimalField: {
        "widget": forms.TextInput(attrs={"inputmode": "decimal"}),
        "error_messages": {"invalid": "Enter a number without commas, and with a point before its decimals."},
    },
    models.DateTimeField: {
        "input_date_formats": ["%Y-%m-%d"],
        "error_messages": {"invalid_date": "Write the date as 2026-12-31."},
    },
}


class ReadOnlyAdmin(admin.ModelAdmin):
    """Pages of rows that only the product itself writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReasonActionForm(ActionForm):
    """The choice of an action, with why it is done."""

    reason = forms.CharField(required=False, max_length=200, label="Reason:")

    @staticmethod
    def reason_in(request: HttpRequest) -> str:
        """The reason in a posted page; a list may have this form above it and beneath."""
        written: list[str] = request.POST.getlist("reason")
        # PostgreSQL stores no NUL.
        return next(filter(None, written), "").replace("\0", "").strip()[:200]


class AuditedAdmin(SimpleHistoryAdmin):
    """Pages of an audited model. Its history is read-only: the page of changes undoes one (prices/admin/changes.py).

    The library's page of an old version would save it on POST, for anybody with the permission to view.
    """

    # The library's template has a style attribute, which our content security policy ignores.
    object_history_list_template = "admin/prices/history.html"
    readonly_after_adding: Sequence[str] = ()

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        _check_id(self.model, unquote(object_id))
        page: HttpResponse = super().history_view(request, object_id, extra_context)
        return page

    def get_history_queryset(self, *args: Any) -> QuerySet:
        versions: QuerySet = super().get_history_queryset(*args)
        return versions.select_related("history_user", "change")

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        key = unquote(object_id)  # which the library does not do
        _check_id(self.model, key)
        _check_id(self.model.history.model, version_id)
        page: HttpResponse = super().history_form_view(request, key, version_id, extra_context)
        return page

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Make one change of all rows that are saved in the list."""
        page: HttpResponse
        if "_save" in request.POST and self.has_change_permission(request):
            with one_change(reason=ReasonActionForm.reason_in(request)):
                page = super().changelist_view(request, extra_context)
        else:
            page = super().changelist_view(request, extra_context)
        return page

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save a row with its effects (prices/staff/forms.py); the audit names the request's user."""
        if isinstance(form, AuditedForm):
            form.save()
        else:  # a row of the list
            save_fields(obj, form.changed_data)
            transaction.on_commit(self.form(instance=obj).show)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        with one_change():
            super().delete_queryset(request, queryset)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not is_historic(obj) and bool(super().has_change_permission(request, obj))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.form._meta.fields if is_historic(obj) else super().get_fields(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if is_historic(obj):
            return self.form._meta.fields
        return [*super().get_readonly_fields(request, obj), *(self.readonly_after_adding if obj else ())]

    def revert_disabled(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def history_view_title(self, request: HttpRequest, obj: Any) -> str:
        return f"Change history: {obj}"  # the title of Django's own history pages


class OneRowAdmin(AuditedAdmin):
    """The page of an audited model with one row, which the model's `load` makes. There is no list."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Redirect to the page of the one row."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return redirect(page, self.model.load().pk)


class PriceAdmin(AuditedAdmin):
    """Pages of a model whose rows make prices: an edit beyond its editor's limit waits for another person."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.proposal = submit([form], by=cast(User, request.user), site=site_of(request))

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None if _is_proposed(obj) else super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None if _is_proposed(obj) else super().log_change(request, obj, message)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        if obj.proposal:
            return self._proposed(request, obj.proposal)
        saved: HttpResponse = super().response_add(request, obj, post_url_continue)
        return saved

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if obj.proposal:
            return self._proposed(request, obj.proposal)
        saved: HttpResponse = super().response_change(request, obj)
        return saved

    def _proposed(self, request: HttpRequest, proposal: ProposedEdit) -> HttpResponse:
        say_proposed(request, proposal)
        if may(request.user, "view", ProposedEdit):
            return redirect("admin:prices_proposededit_change", proposal.pk)
        return redirect("admin:index")


def _is_proposed(obj: Any) -> bool:
    """Return True if a row's form was proposed; a page of several rows logs only those that are saved."""
    return getattr(obj, "proposal", None) is not None


def site_of(request: HttpRequest) -> str:
    """The address of this deployment, as the request has it, without a slash at its end."""
    return request.build_absolute_uri("/")[:-1]


def say_proposed(request: HttpRequest, proposal: ProposedEdit) -> None:
    """Add the message that an edit waits for another person, or that there is none who could approve it."""
    messages.warning(
        request, f"Not saved yet: another person has to approve it. {proposal.detail} Screens show the old price."
    )
    if proposal.proposed_by and not approvers(but=proposal.proposed_by).exists():
        messages.error(request, "Nobody else may approve edits: an administrator has to give somebody that permission.")


def _check_id(model: type[models.Model], text: str) -> None:
    """Raise Http404 if an address holds no valid primary key of a model, on which the library's pages fail."""
    try:
        model._meta.pk.to_python(text)
    except ValidationError as error:
        raise Http404 from error
