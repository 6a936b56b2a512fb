"""The page of one metal: its price now, its chart and figures, its last days, and what it was at a moment."""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls.converters import StringConverter

from infra import clock
from infra.formats import clipped
from pages import languages, memory, metal_words, moments, rendering
from pages.history import Histories
from pages.metal_words import Chosen
from pages.ranges import ChartRange
from pages.reader_choice import reader_choice
from pages.rows import Row, default_sheet
from prices.domain.fineness import PURITIES_OF
from prices.domain.quotes import Metal
from prices.domain.units import UNITS

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
    if metal not in current.stored.listed:
        raise Http404
    now = clock.read().wall
    language = languages.chosen(request, reader_choice(request).language, reads_cookie=True)
    chosen = _chosen(metal, request)
    # For search engines, which find the same page by many addresses.
    address = request.build_absolute_uri(request.path)
    history = _histories.get(current.version_of(metal), metal, chosen.range)
    question = moments.question_in(request, metal) if request.GET.get("at") else None
    if question is not None or chosen.mistakes:
        # One reader's question, or slips: the page is not kept for others.
        current = replace(current, version=None)
    response = rendering.respond(
        request,
        "pages/metal.html",
        current,
        language,
        (chosen, language.varies_on, history is None, address),
        lambda: {
            "address": address,
            **metal_words.context(current, chosen, history, language, now),
            **moments.context(question, chosen.row, language.format, current.published_at or now),
        },
    )
    if question is not None and question.wait:
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response["Retry-After"] = str(question.wait)
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
