"""The API's endpoints."""

import datetime as dt
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from prices import current, schedule, sources
from prices.api.serializers import (
    ConfigSerializer,
    MarketSerializer,
    MetalSerializer,
    PriceSerializer,
    PricesSerializer,
    ProviderSerializer,
    QuerySerializer,
    QuoteSerializer,
)
from prices.health import health, in_words
from prices.holding import bands
from prices.models import Configuration, ListedMetal, Premium, ProviderState
from prices.quotes import PURITIES, UNITS, Metal, PublishedQuote, rounded


class MetalsView(APIView):
    """The listed metals, in staff's order."""

    @extend_schema(responses=MetalSerializer(many=True))
    def get(self, request: Request) -> Response:
        listed = [
            {
                "name": metal.name,
                "display_name": metal.display_name,
                "symbol": metal.symbol,
                "units": list(UNITS),
                "purities": list(PURITIES),
            }
            for metal in ListedMetal.objects.filter(enabled=True)
        ]
        return Response(MetalSerializer(listed, many=True).data)


class PricesView(APIView):
    """Every listed metal's current quote, as on the stream."""

    @extend_schema(operation_id="v1_prices_list", parameters=[QuerySerializer], responses=PricesSerializer)
    def get(self, request: Request) -> Response:
        asked = _asked(request)
        standing = current.standing()
        return Response(
            {
                "data": {
                    metal.value: _quote(published, standing, asked) for metal, published in standing.quotes.items()
                },
                "seq": standing.seq,
                "market": _market(timezone.now()),
                "currency": settings.BASE_CURRENCY,
                **asked,
            }
        )


class PriceView(APIView):
    """One metal's current quote."""

    @extend_schema(parameters=[QuerySerializer], responses=PriceSerializer)
    def get(self, request: Request, metal: str) -> Response:
        asked = _asked(request)
        standing = current.standing()
        published = standing.quotes.get(Metal(metal)) if metal in set(Metal) else None
        if published is None:
            known = ", ".join(standing.quotes) or "none yet"
            raise NotFound(f"There is no price of {metal[:40]!r}. Metals with a price: {known}.")
        return Response(
            {
                "metal": metal,
                **_quote(published, standing, asked),
                "market": _market(timezone.now()),
                "currency": settings.BASE_CURRENCY,
                **asked,
            }
        )


class MarketView(APIView):
    """Whether the market is open, and until when; as in the stream's `status`."""

    @extend_schema(responses=MarketSerializer)
    def get(self, request: Request) -> Response:
        calendar, now = settings.MARKET_CALENDAR, timezone.now()
        return Response(
            MarketSerializer(
                {
                    "market": _market(now),
                    "nextChange": calendar.next_change(now),
                    "timestamp": now,
                }
            ).data
        )


class ConfigView(APIView):
    """What is in force now."""

    @extend_schema(responses=ConfigSerializer)
    def get(self, request: Request) -> Response:
        configuration = Configuration.load()
        interval = schedule.interval()
        return Response(
            ConfigSerializer(
                {
                    "baseCurrency": settings.BASE_CURRENCY,
                    "unit": "gram",
                    "changeThresholdPercent": configuration.threshold_percent,
                    "updateIntervalMs": _milliseconds(interval),
                    "freshnessLimitMs": _milliseconds(configuration.freshness_limit(interval)),
                    "closedUpdateIntervalMs": _milliseconds(schedule.closed_interval(interval)),
                    "fallbackAfterMs": _milliseconds(settings.FALLBACK_AFTER),
                    "providers": [source.name for source in sources.in_order() if source.enabled],
                    "consensusSources": settings.CONSENSUS_SOURCES,
                    "maxJumpPercent": configuration.jump_percent,
                    "premiums": _premiums(),
                    "bands": {
                        metal.value: {"lowest": rounded(band.lowest), "highest": rounded(band.highest)}
                        for metal, band in bands(settings.BASE_CURRENCY).items()
                    },
                    "maxConnections": settings.WS_MAX_CONNECTIONS,
                    "rateLimit": settings.WS_RATE_LIMIT,
                    "rateWindowMs": _milliseconds(settings.WS_RATE_WINDOW),
                    "maxMessageBytes": settings.WS_MAX_MESSAGE_BYTES,
                }
            ).data
        )


class ProvidersView(APIView):
    """The price sources, in staff's order, and how they have been doing: for staff."""

    permission_classes = [IsAdminUser]

    @extend_schema(responses=ProviderSerializer(many=True))
    def get(self, request: Request) -> Response:
        now, tolerances = timezone.now(), sources.tolerances()
        return Response(
            ProviderSerializer(
                [_provider(source, tolerances[source.name], now) for source in sources.in_order()], many=True
            ).data
        )


def _market(now: dt.datetime) -> str:
    return "open" if settings.MARKET_CALENDAR.is_open(now) else "closed"


def _premiums() -> dict[str, Any]:
    in_force = Premium.rows_in_force(timezone.now())
    none = {"multiplier": 1, "effectiveFrom": None, "note": ""}
    return {
        metal: {"multiplier": premium.multiplier, "effectiveFrom": premium.effective_from, "note": premium.note}
        if (premium := in_force.get(metal))
        else none
        for metal in ListedMetal.objects.filter(enabled=True).values_list("name", flat=True)
    }


def _provider(source: ProviderState, tolerance: Decimal, now: dt.datetime) -> dict[str, Any]:
    quota = source.quota
    return {
        "name": source.name,
        "position": source.position,
        "enabled": source.enabled,
        "tolerancePercent": tolerance,
        "health": health(source, now),
        "healthInWords": in_words(source, now),
        "breaker": source.breaker.state(now),
        "lastSuccessAt": source.last_success_at,
        "lastErrorAt": source.last_error_at,
        "lastError": source.last_error,
        "latencyMs": source.latency_ms,
        "quota": quota and {"calls": quota.calls, "period": quota.period, "left": source.calls_left(now)},
        "restsUntil": source.rests_until,
        "openUntil": source.open_until,
        "failures": source.failures,
        "disagreement": source.disagreement,
        "disagreedAt": source.disagreed_at,
        "refreshesTotal": source.refreshes_total,
        "failuresTotal": source.failures_total,
        "callsTotal": source.calls_total,
        "setAsideTotal": source.set_aside_total,
    }


def _asked(request: Request) -> dict[str, str]:
    """The unit and purity asked for. Raises ValidationError, which names the choices."""
    query = QuerySerializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)


def _quote(published: PublishedQuote, standing: current.Standing, asked: dict[str, str]) -> dict[str, Any]:
    data = QuoteSerializer(published.in_units(**asked), context={"standing": standing, "now": timezone.now()}).data
    return {name: value for name, value in data.items() if value is not None or name == "previousClose"}


def _milliseconds(span: dt.timedelta) -> int:
    return span // dt.timedelta(milliseconds=1)
