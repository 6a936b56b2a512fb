"""The page of a publication's receipts, and the way to that of a moment, for people: REST has the same as JSON."""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from infra.formats import from_ms
from infra.readable import span, to_the_second
from infra.rest.throttles import ClientThrottle
from prices.domain.quotes import FIRST_YEAR, LAST_YEAR, Metal, usual_kind
from prices.domain.receipts import Receipt
from prices.history import candle_store
from prices.history.candle_store import Series
from prices.models import Head, ListedMetal
from prices.publishing import receipts
from prices.staff.amounts import written
from prices.why.words import COLUMNS, NOTHING, story


class MomentForm(forms.Form):
    """A metal, and a moment: by the clock of TIME_ZONE, or with an offset of its own."""

    metal = forms.ChoiceField()
    at = forms.DateTimeField(
        label="Time",
        widget=forms.DateTimeInput({"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"),
        error_messages={"invalid": "Write a time such as 2026-09-24 13:30:05."},
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        listed = [(metal.name, metal.display_name) for metal in ListedMetal.objects.filter(enabled=True)]
        self.fields["metal"].choices = listed  # type: ignore[attr-defined]  # it is a ChoiceField

    def clean_at(self) -> dt.datetime:
        """Reject a time that some time zone has no date for."""
        at: dt.datetime = self.cleaned_data["at"]
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise forms.ValidationError(f"Write a time between the years {FIRST_YEAR} and {LAST_YEAR}.")
        return at


class Problem(NamedTuple):
    """The reason why a page has no receipt, in words."""

    headline: str
    detail: str


class Other(NamedTuple):
    """A metal that was not in a publication: the one whose price screens went on showing."""

    metal: str
    name: str
    price: str
    seq: int


def limited(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Count requests together with the API's, as they cost as much; beyond the limit the answer is 429, in words."""

    @wraps(view)
    def counted(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        throttle = ClientThrottle()
        if throttle.allow_request(request, view):
            return view(request, *args, **options)
        wait = throttle.wait() or 1
        problem = Problem("Too many requests.", f"Load this page again in {wait} s.")
        page = render(request, "why.html", {"problem": problem}, status=HTTPStatus.TOO_MANY_REQUESTS)
        page["Retry-After"] = str(wait)
        return page

    return counted


@limited
def publication(request: HttpRequest, seq: int) -> HttpResponse:
    """The page of a publication's receipts; without any, the reason why."""
    newest = Head.current().seq
    found = receipts.of_publication(seq) if 0 < seq <= newest else []
    if found:
        return _page(request, found, newest)
    if not 0 < seq <= newest:
        problem = Problem(f"There is no publication {seq}.", f"The newest is {newest}. Look a moment up below.")
    else:
        problem = Problem(
            f"No receipt of publication {seq} is kept.",
            f"Receipts are kept {_kept()}, as ticks are; those of significant moves, and all candles, for good.",
        )
    return _without(request, problem, HTTPStatus.NOT_FOUND)


@limited
def at_moment(request: HttpRequest) -> HttpResponse:
    """The page of the price that screens showed at a moment; without its parameters, the form to ask for one."""
    if request.GET.keys().isdisjoint(MomentForm.base_fields):
        return _without(request, None, HTTPStatus.OK)
    form = MomentForm(request.GET)
    if not form.is_valid():
        wrong = " ".join(f"{form[name].label}: {' '.join(map(str, errors))}" for name, errors in form.errors.items())
        return _without(request, Problem("No metal and moment.", wrong), HTTPStatus.BAD_REQUEST, form)
    metal, at, now = Metal(form.cleaned_data["metal"]), form.cleaned_data["at"], timezone.now()
    if at > now:
        problem = Problem("That is in the future.", f"It is {to_the_second(now)} now: choose an earlier moment.")
        return _without(request, problem, HTTPStatus.BAD_REQUEST, form)
    if receipt := receipts.at(metal, at):
        of_same = [each for each in receipts.of_publication(receipt.seq) if each.metal != metal]
        return _page(request, [receipt, *of_same], Head.current().seq, form, at)
    problem = Problem(
        f"No price of {metal.value} is kept from then.",
        f"Either none had been published by {to_the_second(at)}, or its receipt is deleted: they are kept {_kept()}. "
        f"{_in_history(metal, at)}",
    )
    return _without(request, problem, HTTPStatus.NOT_FOUND, form)


def _page(
    request: HttpRequest,
    found: Sequence[Receipt],
    newest: int,
    form: MomentForm | None = None,
    at: dt.datetime | None = None,
) -> HttpResponse:
    """The page of a publication's receipts, at least one; the first one's price was shown at a moment `at`."""
    first, names = found[0], {metal.name: metal.display_name for metal in ListedMetal.objects.all()}
    is_staff = request.user.is_staff
    published = from_ms(first.published_ms)
    stories = []
    for each in found:
        moment = at if at and each is first else published
        is_contested = receipts.is_contested(each, moment)
        stories.append((names[each.metal], story(each, at=moment, is_contested=is_contested, with_name=is_staff)))
    context = {
        "seq": first.seq,
        "published_at": published,
        "currency": first.currency,
        "stories": stories,
        "columns": COLUMNS,
        "nothing": NOTHING,
        "others": _others({each.metal for each in found}, at or published),
        "previous": first.seq - 1,
        "next": first.seq + 1 if first.seq < newest else 0,
        "form": form or MomentForm(initial={"metal": first.metal.value, "at": published}),
        "address": request.build_absolute_uri(reverse("why", args=[first.seq])),
    }
    page = render(request, "why.html", context)
    # Of staff's, which names people, no copy is kept.
    page["Cache-Control"] = "private, no-store" if request.user.is_authenticated else "no-cache"
    return page


def _kept() -> str:
    """The time for which receipts are kept, for people: `for 30 d`, say."""
    kept_for = settings.TICKS_KEPT_FOR
    return "for good" if kept_for is None else f"for {span(kept_for.total_seconds())}"


def _in_history(metal: Metal, at: dt.datetime) -> str:
    """A moment's prices by the candles, which are kept for good, in words."""
    currency = settings.BASE_CURRENCY
    found = candle_store.holding(Series(metal, currency, usual_kind(settings.PRICE_PROVIDERS)), at)
    if found is None:
        return "No candle holds it, either."
    interval, candle = found
    later = "" if candle.seq else " It was filled in later, and no screen showed it."
    reach = f"from {written(candle.low)} to {written(candle.high)} {currency} per gram"
    return f"The candle of {interval} that holds it reaches {reach}.{later}"


def _others(there: Collection[Metal], at: dt.datetime) -> list[Other]:
    """The other listed metals, as screens showed them at a moment."""
    found = [
        (listed, receipts.at(Metal(listed.name), at))
        for listed in ListedMetal.objects.filter(enabled=True).exclude(name__in=there)
    ]
    return [
        Other(listed.name, listed.display_name, written(receipt.price), receipt.seq)
        for listed, receipt in found
        if receipt
    ]


def _without(
    request: HttpRequest, problem: Problem | None, status: HTTPStatus, form: MomentForm | None = None
) -> HttpResponse:
    """The page without a receipt, and the reason why it has none."""
    page = render(request, "why.html", {"problem": problem, "form": form or MomentForm()}, status=status)
    page["Cache-Control"] = "no-cache"
    return page
