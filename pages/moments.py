"""A metal's price at a moment that a reader asks about: the question in an address, and its answer, in words."""

import datetime as dt
import enum
import logging
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone

from infra import clock
from infra import formats as numbers
from infra.formats import from_ms
from infra.rest.throttles import ClientThrottle
from pages.amounts import Amount, Amounts
from pages.formats import Formats
from pages.history import series
from pages.rows import Row
from prices.domain.candles import ZonedCandle
from prices.domain.marks import LABELS
from prices.domain.quotes import FIRST_YEAR, LAST_YEAR, Metal
from prices.domain.receipts import Receipt
from prices.history import candle_store
from prices.publishing import receipts

logger = logging.getLogger(__name__)


class Moment(NamedTuple):
    """A metal as screens showed it at a moment.

    That is a price by its receipt, with its marks, the most serious first; without any where the freshness limit of
    then is not known. Where no receipt is kept from then, it is the shortest candle that holds the moment, or nothing.
    """

    at: dt.datetime
    receipt: Receipt | None = None
    marks: tuple[str, ...] = ()
    candle: ZonedCandle | None = None


def _at_moment(metal: Metal, at: dt.datetime) -> Moment:
    """Find what screens showed of a metal at a moment of the past."""
    receipt = receipts.at(metal, at)
    if receipt is not None:
        is_contested = receipts.is_contested(receipt, at)
        return Moment(at, receipt, receipt.marks_at(at, settings.MARKET_CALENDAR, is_contested=is_contested))
    found = candle_store.holding(series(metal), at)
    return Moment(at, candle=ZonedCandle.of(found[1].value(), candle_store.zone()) if found else None)


class Problem(enum.Enum):
    """The reason why a question about a moment has no answer."""

    NO_TIME = enum.auto()
    FUTURE = enum.auto()
    TOO_MANY = enum.auto()
    NO_DATABASE = enum.auto()


class Question(NamedTuple):
    """A reader's question: the moment, if it is understood, and what was found of it, or the problem.

    `wait` is the number of seconds after which one who asked too often may ask again.
    """

    at: dt.datetime | None = None
    moment: Moment | None = None
    problem: Problem | None = None
    wait: int = 0


def question_in(request: HttpRequest, metal: Metal) -> Question:
    """The question in an address, `?at=`, with what was found; it reads the database, as a request of the API does."""
    text, throttle = request.GET["at"], ClientThrottle()
    if not throttle.allow_request(request, question_in):
        return Question(problem=Problem.TOO_MANY, wait=throttle.wait() or 1)
    at = _time_in(text)
    if at is None:
        return Question(problem=Problem.NO_TIME)
    if at > clock.read().wall:
        return Question(at, problem=Problem.FUTURE)
    try:
        return Question(at, _at_moment(metal, at))
    except DatabaseError as error:
        logger.warning("what a metal was at a moment cannot be read: %s", error)
        return Question(at, problem=Problem.NO_DATABASE)


def _time_in(text: str) -> dt.datetime | None:
    """The time in a text: by the clock of TIME_ZONE, or with an offset of its own. None if it is none."""
    try:
        at: dt.datetime = forms.DateTimeField().clean(text)
    except (ValidationError, OverflowError):
        return None
    return at if FIRST_YEAR <= at.year <= LAST_YEAR else None


# --- in words --------------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """A page's answer to a question about a moment: a price that screens showed, or the lowest and the highest around
    then; or the problem.
    """

    headline: str = ""
    price: Amount | None = None
    low: Amount | None = None
    high: Amount | None = None
    trust: str = "none"
    marks: str = ""
    detail: str = ""
    seq: int | None = None
    problem: str = ""


def context(question: Question | None, row: Row, f: Formats, otherwise: dt.datetime) -> dict[str, Any]:
    """All that the template needs: the answer, and the time in the field, which without a question is `otherwise`."""
    at = question.at if question else otherwise
    return {
        "answer": _answer(question, Amounts(row, f), f) if question else None,
        "time_in_field": "" if at is None else timezone.localtime(at).strftime("%Y-%m-%dT%H:%M:%S"),
    }


def _answer(question: Question, amounts: Amounts, f: Formats) -> Answer:
    """The answer to a question about a moment, in words."""
    if question.problem is not None or question.moment is None:
        return Answer(problem=_problem(question, f))
    receipt, candle = question.moment.receipt, question.moment.candle
    at = f.date_and_time(question.moment.at)
    if receipt is not None:
        price = f.money(amounts.converted(receipt.price), receipt.currency)
        return Answer(
            headline=f._("At {time} screens showed", time=at),
            price=Amount(price, str(numbers.number(receipt.price))),
            marks=" · ".join(f._(LABELS[mark]) for mark in question.moment.marks),
            trust=next(iter(question.moment.marks), "none"),
            detail=f._(
                "Published {published}, quoted {quoted}, {origin}.",
                published=f.date_and_time(from_ms(receipt.published_ms)),
                quoted=f.date_and_time(from_ms(receipt.quoted_ms)),
                origin=f.origin(receipt.source, is_example=receipt.example),
            ),
            seq=receipt.seq,
        )
    if candle is None:
        return Answer(problem=f._("No price is known of {time}.", time=at))
    return Answer(
        headline=f._("No publication of {time} is kept. Prices around it were", time=at),
        low=amounts.amount(candle.candle.low),
        high=amounts.amount(candle.candle.high),
        detail=f._(
            "From {start} to {end}.", start=f.date_and_time(candle.candle.start), end=f.date_and_time(candle.end)
        )
        if candle.candle.seq
        else f._("Filled in later: no screen showed them."),
    )


def _problem(question: Question, f: Formats) -> str:
    match question.problem:
        case Problem.FUTURE:
            return f._("That is in the future: choose an earlier time.")
        case Problem.TOO_MANY:
            return f.plural(
                "Too many questions. Ask again in {count} s.",
                "Too many questions. Ask again in {count} s.",
                question.wait,
            )
        case Problem.NO_DATABASE:
            return f._("The history cannot be read now. Ask again in a minute.")
        case _:
            return f._("Write a time such as {example}.", example="2026-09-24 13:30:05")
