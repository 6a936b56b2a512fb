"""Endpoints of history: the ticks, candles and significant moves that this deployment shows."""

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
from prices.api import examples, pages, tables
from prices.api.answers import fields
from prices.api.serializers import (
    CandlePageSerializer,
    CandleQuerySerializer,
    ChangePageSerializer,
    ChangeQuerySerializer,
    HistoryPageSerializer,
    HistoryQuerySerializer,
    TickSerializer,
    check_purity,
)
from prices.domain.candles import Interval, ZonedCandle
from prices.domain.quotes import Metal, PriceKind, names_and_codes, shown_kinds, usual_kind
from prices.domain.units import converted
from prices.domain.wire import CandleData, ChangeData
from prices.history import candle_store
from prices.history.candle_store import Series
from prices.models import ListedMetal, Price, SignificantChange

_AMOUNTS: Final = ("price", "bid", "ask", "open", "high", "low", "close")


def _either(page: type[Serializer]) -> dict[Any, Any]:
    """The schema of a page as JSON or as CSV."""
    return {(200, "application/json"): page, (200, "text/csv"): str}


class _PagesView(StrictView):
    """A list in pages, as JSON or CSV; `kind` is what its rows are, for the name of a file."""

    kind = ""
    renderer_classes = [NumberRenderer, CsvRenderer]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Choose JSON for OPTIONS, whose answer describes the endpoint: it has no rows for a table."""
        if request.method == "OPTIONS":
            return NumberRenderer(), NumberRenderer.media_type
        return super().perform_content_negotiation(request, force)

    def page(self, about: Mapping[str, Any], data: Sequence[Any], following: Mapping[str, str] | None) -> Response:
        """Answer with a page. `following` holds the parameters of the next page, if there is one, whose address is in
        `next`, and in the `Link` header for CSV, which comes with the name of a file.
        """
        address = pages.link(self.request, following) if following else None
        headers = {"Link": f'<{address}>; rel="next"'} if address else {}
        if self.request.accepted_renderer.format == CsvRenderer.format:
            data = tables.rows(about, data, candle_store.zone())
            headers["Content-Disposition"] = f'attachment; filename="{tables.file_name(self.kind, about, data)}"'
        return Response({**about, "data": data, "next": address}, headers=headers)


class HistoryView(_PagesView):
    """A metal's published quotes, newest first."""

    tag = "History"
    kind = "ticks"
    query_serializer = HistoryQuerySerializer

    @extend_schema(
        operation_id="v1_prices_history",
        responses=_either(HistoryPageSerializer),
        examples=[examples.HISTORY, examples.HISTORY_CSV],
    )
    def get(self, request: Request, metal: str) -> Response:
        params = self.params
        rows = Price.shown().filter(metal=listed_metal(metal, params), **_range("at", params))
        if params.get("source"):
            rows = rows.filter(source=params["source"])
        after = None
        if params.get("cursor"):
            at, number = params["cursor"]
            after = pages.moment(at), number
        found, more = pages.newest_first(rows, "at", after, params["limit"])
        return self.page(
            _per(metal, params),
            [_in_units(row, params) for row in TickSerializer(found, many=True).data],
            {"cursor": pages.cursor(pages.microseconds(found[-1].at), found[-1].pk)} if more else None,
        )


class CandlesView(_PagesView):
    """A metal's candles, oldest first; without `from` the newest. The last one may still grow: it is not `closed`."""

    tag = "History"
    kind = "candles"
    query_serializer = CandleQuerySerializer

    @extend_schema(
        operation_id="v1_prices_candles",
        responses=_either(CandlePageSerializer),
        examples=[examples.CANDLES, examples.CANDLES_CSV],
    )
    def get(self, request: Request, metal: str) -> Response:
        params, limit, now, zone = self.params, self.params["limit"], timezone.now(), candle_store.zone()
        interval = Interval(params["interval"])
        kind = PriceKind(params["lane"]) if params.get("lane") else usual_kind(settings.PRICE_PROVIDERS)
        series = Series(listed_metal(metal, params), settings.BASE_CURRENCY, kind)
        begin = params.get("from") or pages.moment(0)
        rows = series.kept(interval, begin, params.get("to") or interval.end(now, zone))
        if kind not in shown_kinds(settings.PRICE_PROVIDERS):
            rows = rows.none()
        found = list(rows[: limit + 1]) if params.get("from") else list(rows.order_by("-start")[:limit])[::-1]
        zoned = [ZonedCandle.of(row.value(), zone) for row in found]
        candles = [CandleData.of(candle, closed=candle.end <= now) for candle in zoned]
        return self.page(
            {**_per(metal, params), "interval": interval.value, "lane": kind.value},
            [_in_units(fields(candle), params) for candle in candles[:limit]],
            {"from": found[limit].start.isoformat().replace("+00:00", "Z")} if len(found) > limit else None,
        )


class ChangesView(_PagesView):
    """Significant moves, newest first: as in the stream's `changes`, per gram of fine metal."""

    tag = "History"
    kind = "moves"
    query_serializer = ChangeQuerySerializer

    @extend_schema(
        operation_id="v1_changes",
        responses=_either(ChangePageSerializer),
        examples=[examples.CHANGES, examples.CHANGES_CSV],
    )
    def get(self, request: Request) -> Response:
        params = self.params
        rows = SignificantChange.shown().filter(**_range("published_at", params))
        if params.get("metal"):
            rows = rows.filter(metal=params["metal"])
        if params.get("direction"):
            rows = rows.filter(**{f"change_percent__{'gt' if params['direction'] == 'up' else 'lt'}": 0})
        found, more = pages.newest_first(rows, "seq", params.get("cursor"), params["limit"])
        return self.page(
            {"currency": settings.BASE_CURRENCY, "unit": "gram"},
            [
                fields(ChangeData.of(row.value())) | {"timestamp": formats.time(row.published_at), "seq": row.seq}
                for row in found
            ],
            {"cursor": pages.cursor(found[-1].seq, found[-1].pk)} if more else None,
        )


def listed_metal(metal: str, params: Mapping[str, Any]) -> Metal:
    """The metal of a name, if it is listed.

    Raises NotFound, which names the listed metals, and ValidationError for a purity that the metal does not have.
    """
    listed = ListedMetal.metals()
    if metal not in listed:
        raise NotFound(f"There is no metal {metal[:40]!r}. There are: {names_and_codes(listed) or 'none'}.")
    check_purity(Metal(metal), params["purity"])
    return Metal(metal)


def _range(field: str, params: Mapping[str, Any]) -> dict[str, Any]:
    ends = {f"{field}__gte": params.get("from"), f"{field}__lt": params.get("to")}
    return {name: at for name, at in ends.items() if at is not None}


def _per(metal: str, params: Mapping[str, Any]) -> dict[str, Any]:
    measure = {name: params[name] for name in ("unit", "purity")}
    return {"metal": metal, "currency": settings.BASE_CURRENCY, **measure}


def _in_units(row: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The row in the requested unit and purity, without a missing bid or ask."""
    as_published = (params["unit"], params["purity"]) == ("gram", "24k")
    return {
        name: value
        if as_published or name not in _AMOUNTS
        else formats.number(converted(value, unit=params["unit"], purity=params["purity"]))
        for name, value in row.items()
        if value is not None or name not in ("bid", "ask")
    }
