"""The page of one metal: its price now, its chart and figures, its last days, and what it was at a moment."""

import datetime as dt
import logging
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls.converters import StringConverter

from infra import clock
from infra.formats import clipped
from infra.rest.throttles import ClientThrottle
from pages import history, languages, memory, metal_words, rendering
from pages.history import Histories, History
from pages.memory import Current
from pages.metal_words import Asked, Chosen, Problem
from pages.ranges import ChartRange
from pages.remembered import remembered
from pages.rows import Row, default_sheet
from prices.domain.fineness import PURITIES_OF
from prices.domain.quotes import FIRST_YEAR, LAST_YEAR, Metal
from prices.domain.units import UNITS

logger = logging.getLogger(__name__)

_RANGES: Final = {each.lower(): each for each in ChartRange}

_histories = Histories()


class MetalConverter(StringConverter):
    """The name of a metal in an address."""

    regex = "|".join(Metal)

    def to_python(self, value: str) -> Metal:
        return Metal(value)


def metal(request: HttpRequest, metal: Metal) -> HttpResponseBase:
    """The page of a listed metal. An address that is not understood in part is answered for the rest of it."""
    current = memory.current(request)
    if metal not in current.past.listed:
        raise Http404
    language = languages.chosen(request, remembered(request).language, reads_cookie=True)
    chosen = _chosen(metal, request)
    # For search engines, which find the same page by many addresses.
    address = request.build_absolute_uri(request.path)
    past = _history(current, metal, chosen.range)
    asked = _asked(request, metal) if request.GET.get("at") else None
    if asked is not None or chosen.mistakes:
        # One reader's question, or slips: the page is not kept for others.
        current = replace(current, version=None)
    response = rendering.respond(
        request,
        "pages/metal.html",
        current,
        language,
        (chosen, language.varies_on, past is None, address),
        lambda: {
            "address": address,
            **metal_words.context(current, chosen, past, asked, language, clock.read().wall),
        },
    )
    if asked is not None and asked.wait:
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response["Retry-After"] = str(asked.wait)
    return response


def usual_row(metal: Metal) -> Row:
    """A metal's first row on the usual sheet of prices in the base currency."""
    usual = (row for row in default_sheet(settings.BASE_CURRENCY) if row.metal == metal)
    return next(usual, Row(metal, "999", "gram"))


def _chosen(metal: Metal, request: HttpRequest) -> Chosen:
    usual, mistakes = usual_row(metal), list[str]()

    def given(name: str, known: dict[str, str], default: str) -> str:
        text = request.GET.get(name, "").strip()
        if text and text.lower() not in known:
            mistakes.append(f"{name}={clipped(text)}")
        return known.get(text.lower(), default)

    # 24k is fine metal too: one choice has one page.
    purities = {name: "999" if name == "24k" else name for name in PURITIES_OF[metal]}
    purity = given("purity", purities, usual.purity)
    unit = given("unit", {name: name for name in UNITS}, usual.unit)
    if unknown := languages.unknown(request):
        mistakes.append(f"lang={unknown}")
    chart_range = ChartRange(given("range", {name: each.value for name, each in _RANGES.items()}, ChartRange.DAY))
    return Chosen(Row(metal, purity, unit), chart_range, tuple(mistakes))


def _history(current: Current, metal: Metal, chart_range: ChartRange) -> History | None:
    """A metal's history; None while the database cannot be read: the price of now is in memory."""
    try:
        return _histories.get(current.version, metal, chart_range)
    except DatabaseError as error:
        logger.warning("the page of %s is shown without its history: %s", metal, error)
        return None


def _asked(request: HttpRequest, metal: Metal) -> Asked:
    """The answer to an address that asks about a moment, which reads the database, as a request of the API does."""
    text, throttle = request.GET["at"], ClientThrottle()
    if not throttle.allow_request(request, _asked):
        return Asked(problem=Problem.TOO_MANY, wait=throttle.wait() or 1)
    at = _moment(text)
    if at is None:
        return Asked(problem=Problem.NO_TIME)
    if at > clock.read().wall:
        return Asked(at, problem=Problem.FUTURE)
    try:
        return Asked(at, history.at_moment(metal, at))
    except DatabaseError as error:
        logger.warning("what %s was at a moment cannot be read: %s", metal, error)
        return Asked(at, problem=Problem.NO_DATABASE)


def _moment(text: str) -> dt.datetime | None:
    """The time in a text: by the clock of TIME_ZONE, or with an offset of its own. None if it is none."""
    try:
        at: dt.datetime = forms.DateTimeField().clean(text)
    except (ValidationError, OverflowError):
        return None
    return at if FIRST_YEAR <= at.year <= LAST_YEAR else None
