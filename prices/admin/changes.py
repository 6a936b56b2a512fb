"""The page of staff's changes: who changed what, when and why, and the undo of each."""

from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_safe

from prices.admin.pages import ReasonActionForm, say_proposed, site_of
from prices.admin.sources import warn_if_too_few_enabled
from prices.models import FallbackPrice, ProposedEdit, ProviderState
from prices.staff import feed
from prices.staff.feed import Entry
from prices.staff.row_changes import visible_to
from prices.staff.undo import RulesError, UndoError, undo

_ON_A_PAGE = 30


@require_safe
def changes(request: HttpRequest) -> HttpResponse:
    """The changes that the user may see, newest first."""
    user = cast(User, request.user)
    page = Paginator(visible_to(user), _ON_A_PAGE).get_page(request.GET.get("page"))
    return _rendered(request, "changes", title="Changes", page=page, entries=feed.entries(list(page), user))


def undo_change(request: HttpRequest, id: int) -> HttpResponse:
    """Undo a change; before, and where a rule wants a confirmation, a page that shows what an undo would do."""
    user = cast(User, request.user)
    (entry,) = feed.entries([get_object_or_404(visible_to(user), pk=id)], user)
    broken, reason = None, ReasonActionForm.reason_in(request)
    if request.method == "POST":
        try:
            done = undo(entry.change, user, reason=reason, confirmed="confirm" in request.POST, site=site_of(request))
        except RulesError as error:
            broken = error
        except UndoError as error:
            messages.error(request, str(error))
            return _back(request)
        else:
            if isinstance(done, ProposedEdit):
                say_proposed(request, done)
            else:
                _say(request, entry)
            return _back(request)
    form = {"broken": broken, "reason": reason, "next": _next(request)}
    return _rendered(request, "undo", title="Undo a change", entry=entry, **form)


def _say(request: HttpRequest, entry: Entry) -> None:
    """Tell what an undo has done, and what screens show now."""
    for part in entry.parts:
        messages.success(request, f"Undone: {part.row}: {part.undone()}.")
        if part.model is FallbackPrice:
            is_on_screen = FallbackPrice.objects.get(pk=part.key).is_on_screen
            messages.info(request, f"{part.row} is {'on screens now' if is_on_screen else 'in reserve'}.")
    if any(part.model is ProviderState for part in entry.parts):
        warn_if_too_few_enabled(request)


def _next(request: HttpRequest) -> str:
    """The page that the user came from, if it is one of ours; empty: the page of changes."""
    address = request.POST.get("next", request.GET.get("next", ""))
    return address if url_has_allowed_host_and_scheme(address, {request.get_host()}, request.is_secure()) else ""


def _back(request: HttpRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect(_next(request) or reverse("staff_changes"))


def _rendered(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    shared = admin.site.each_context(request) | {"time_zone": settings.TIME_ZONE}
    return render(request, f"admin/prices/{template}.html", shared | context)
