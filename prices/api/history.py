"""What was: ticks, candles and significant moves, of what this deployment shows."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from infra import formats
from infra.rest.renderers import CsvRenderer, NumberRenderer
from infra.rest.strict import StrictView
from prices.api import examples, pages
from prices.api.serializers import (
    CandlePageSerializer,
    CandleQuerySerializer,
    CandleSerializer,
    ChangePageSerializer,
    ChangeQuerySerializer,
    ChangeSerializer,
    HistoryPageSerializer,
    HistoryQuerySerializer,
    TickSerializer,
)
from prices.domain.candles import Interval
from prices.domain.quotes import PriceKind, shown_kinds, usual_kind
from prices.domain.units import converted
from prices.history import candle_store
from prices.history.candle_store import Series
from prices.models import ListedMetal, Price, SignificantChange

_KEPT: Final = ("start", "open", "high", "low", "close", "ticks")
_AMOUNTS: Final = ("price", "bid", "ask", "open", "high", "low", "close")


def _either(page: type[Serializer]) -> dict[Any, Any]:
    """The schema of a page as JSON or as CSV."""
    return {(200, "application/json"): page, (200, "text/csv"): str}


class _PagesView(StrictView):
    """A list in pages, as JSON or CSV."""

    renderer_classes = [NumberRenderer, CsvRenderer]

    def page(self, about: Mapping[str, Any], data: Sequence[Any], following: Mapping[str, str] | None) -> Response:
        """An answer. `following` are the parameters that ask for the rest, where there is one: `next`, as a header too,
        which CSV has no other place for.
        """
        address = pages.link(self.request, following) if following else None
        headers = {"Link": f'<{address}>; rel="next"'} if address else {}
        return Response({**about, "data": data, "next": address}, headers=headers)


class HistoryView(_PagesView):
    """A metal's published quotes, newest first."""

    query_serializer = HistoryQuerySerializer

    @extend_schema(
        operation_id="v1_prices_history",
        responses=_either(HistoryPageSerializer),
        examples=[examples.HISTORY, examples.HISTORY_CSV],
    )
    def get(self, request: Request, metal: str) -> Response:
        asked = self.params
        rows = Price.shown().filter(metal=_listed(metal), **_range("at", asked))
        if asked.get("source"):
            rows = rows.filter(source=asked["source"])
        after = None
        if asked.get("cursor"):
            at, number = asked["cursor"]
            after = pages.moment(at), number
        found, more = pages.newest_first(rows, "at", after, asked["limit"])
        return self.page(
            _per(metal, asked),
            [_in_units(row, asked) for row in TickSerializer(found, many=True).data],
            {"cursor": pages.cursor(pages.microseconds(found[-1].at), found[-1].pk)} if more else None,
        )


class CandlesView(_PagesView):
    """A metal's candles, oldest first; without `from` the newest. The last one may still grow: it is not `closed`."""

    query_serializer = CandleQuerySerializer

    @extend_schema(
        operation_id="v1_prices_candles",
        responses=_either(CandlePageSerializer),
        examples=[examples.CANDLES, examples.CANDLES_CSV],
    )
    def get(self, request: Request, metal: str) -> Response:
        asked, limit, now, zone = self.params, self.params["limit"], timezone.now(), candle_store.zone()
        interval = Interval(asked["interval"])
        kind = PriceKind(asked["lane"]) if asked.get("lane") else usual_kind(settings.PRICE_PROVIDERS)
        series = Series(_listed(metal), settings.BASE_CURRENCY, kind)
        begin = asked.get("from") or pages.moment(0)
        rows = series.kept(interval, begin, asked.get("to") or interval.end(now, zone)).values(*_KEPT)
        if kind not in shown_kinds(settings.PRICE_PROVIDERS):
            rows = rows.none()
        newest = reversed(rows.order_by("-start")[:limit])
        found = list(rows[: limit + 1] if asked.get("from") else newest)
        candles = [
            {**row, "end": (end := interval.end(row["start"], zone)), "closed": end <= now} for row in found[:limit]
        ]
        data = [_in_units(candle, asked) for candle in CandleSerializer(candles, many=True).data]
        return self.page(
            {**_per(metal, asked), "interval": interval.value, "lane": kind.value},
            data,
            {"from": found[limit]["start"].isoformat().replace("+00:00", "Z")} if len(found) > limit else None,
        )


class ChangesView(_PagesView):
    """Significant moves, newest first: as in the stream's `changes`, per gram of fine metal."""

    query_serializer = ChangeQuerySerializer

    @extend_schema(
        operation_id="v1_changes",
        responses=_either(ChangePageSerializer),
        examples=[examples.CHANGES, examples.CHANGES_CSV],
    )
    def get(self, request: Request) -> Response:
        asked = self.params
        rows = SignificantChange.shown().filter(**_range("published_at", asked))
        if asked.get("metal"):
            rows = rows.filter(metal=asked["metal"])
        if asked.get("direction"):
            rows = rows.filter(**{f"change_percent__{'gt' if asked['direction'] == 'up' else 'lt'}": 0})
        found, more = pages.newest_first(rows, "seq", asked.get("cursor"), asked["limit"])
        return self.page(
            {"currency": settings.BASE_CURRENCY, "unit": "gram"},
            [ChangeSerializer(row).data for row in found],
            {"cursor": pages.cursor(found[-1].seq, found[-1].pk)} if more else None,
        )


def _listed(metal: str) -> str:
    """Raises NotFound, which names the metals that there are."""
    listed = ListedMetal.metals()
    if metal not in listed:
        raise NotFound(f"There is no metal {metal[:40]!r}. There are: {', '.join(listed) or 'none'}.")
    return metal


def _range(field: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    ends = {f"{field}__gte": asked.get("from"), f"{field}__lt": asked.get("to")}
    return {name: at for name, at in ends.items() if at is not None}


def _per(metal: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "metal": metal,
        "currency": settings.BASE_CURRENCY,
        "unit": asked["unit"],
        "purity": asked["purity"],
    }


def _in_units(row: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The same row per the unit and purity that were asked for; without a bid or ask that there is not."""
    as_it_is = (asked["unit"], asked["purity"]) == ("gram", "24k")
    return {
        name: value
        if as_it_is or name not in _AMOUNTS
        else formats.number(converted(value, unit=asked["unit"], purity=asked["purity"]))
        for name, value in row.items()
        if value is not None or name not in ("bid", "ask")
    }
