"""Proof of past prices: the receipts of a publication, and a metal's price as screens showed it at a moment."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from infra import formats
from infra.formats import from_ms
from prices.api import answers, examples
from prices.api.serializers import PublicationSerializer
from prices.domain.quotes import Metal, usual_kind
from prices.domain.receipt_data import PublicationData
from prices.domain.wire import PriceData
from prices.history import candle_store
from prices.history.candle_store import Series
from prices.models import Head
from prices.publishing import receipts
from signing.api import SIGNED, SignedView
from signing.documents import Kind, sign

# A database that was put back counts other publications by the same numbers, so caches have to ask. An answer with a
# person's name is for that client alone.
_FOR_ALL: Final = {"Cache-Control": "no-cache", "Vary": "Authorization, Cookie"}
_FOR_ONE: Final = {"Cache-Control": "no-store", "Vary": "Authorization, Cookie"}


class PublicationView(SignedView):
    """The receipts of one publication: for each of its metals, all that the price was made of.

    The role of a person who decided is for everyone, the name for staff alone. Signed, it never has the name.
    """

    tag = "Receipts"

    @extend_schema(
        operation_id="v1_publications_retrieve",
        parameters=[
            OpenApiParameter("seq", {"type": "integer", "minimum": 1}, OpenApiParameter.PATH, description="Its number.")
        ],
        responses={(200, "application/json"): PublicationSerializer, (200, "application/jose"): str},
        examples=[examples.PUBLICATION, SIGNED],
    )
    def get(self, request: Request, seq: str) -> Response:
        number = _number(seq)
        found = receipts.of_publication(number)
        if not found:
            raise NotFound(_absence(number))
        headers = _FOR_ONE if request.user.is_authenticated else _FOR_ALL
        if self.wants_jws:
            return Response(sign(Kind.RECEIPT, answers.fields(PublicationData.of(found))), headers=headers)
        data = PublicationData.of(found, with_name=bool(request.user.is_staff))
        return Response(answers.fields(data), headers=headers)


def _number(seq: str) -> int:
    """A publication's number in a path. Raises NotFound for any other text."""
    if not re.fullmatch("[1-9][0-9]*", seq):
        raise NotFound(f"{formats.clipped(seq)!r} is no publication: its `seq` is a whole number from 1 on.")
    return int(seq[:40])  # Python reads no number of some thousands of digits


def _absence(seq: int) -> str:
    """The reason why there is no receipt of a publication."""
    newest = Head.current().seq
    if seq > newest:
        return f"There is no publication {formats.clipped(str(seq))} yet: the newest is {newest}."
    kept = settings.TICKS_KEPT_FOR
    days = f", for {kept.days} days" if kept else ""
    return (
        f"The receipt of publication {seq} is no longer kept, or has no price that is shown here. Receipts are kept "
        f"as long as ticks{days}; those of significant moves, for good."
    )


def price_at(metal: Metal, params: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
    """A metal's price as screens showed it at `at` of these query parameters, in their unit and purity.

    Raises ValidationError for a moment that has yet to come, and NotFound where no publication by then is kept.
    """
    at: dt.datetime = params["at"]
    if at > now:
        raise ValidationError({"at": [f"This is in the future: it is {formats.time(now)} now."]})
    receipt = receipts.at(metal, at)
    if receipt is None:
        raise NotFound(_before(metal, at))
    measure = {name: params[name] for name in ("unit", "purity")}
    is_contested = receipts.is_contested(receipt, at)
    # Where nobody knows, none is called fresh.
    stale = receipt.is_stale_at(at, settings.MARKET_CALENDAR, is_contested=is_contested) is not False
    return {
        "metal": metal.value,
        **answers.fields(PriceData.of(receipt.published().in_units(**measure), stale=stale)),
        "epoch": receipt.epoch,
        "seq": receipt.seq,
        "publishedAt": formats.time(from_ms(receipt.published_ms)),
        "market": answers.market(at),
        "currency": receipt.currency,
        **measure,
    }


def _before(metal: Metal, at: dt.datetime) -> str:
    """The reason why a metal has no publication by a moment, and the address of the shortest candle that holds it."""
    series = Series(metal, settings.BASE_CURRENCY, usual_kind(settings.PRICE_PROVIDERS))
    detail = f"No publication of {metal} by {formats.time(at)} is kept: none was made by then, or it has been deleted."
    if (found := candle_store.holding(series, at)) is None:
        return f"{detail} No candle holds that moment."
    interval, candle = found
    which = "Its candle" if candle.seq else "A candle that was filled in later, and that no screen showed,"
    span = f"from={formats.time(candle.start)}&to={formats.time(interval.end(candle.start, candle_store.zone()))}"
    return f"{detail} {which} holds that moment: prices/{metal}/candles/?interval={interval}&{span}"
