"""The API's endpoints."""

import datetime as dt
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, PolymorphicProxySerializer, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.permissions import SAFE_METHODS, AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from infra import formats
from infra.rest.problems import StreamOnlyError
from infra.rest.strict import StrictView
from prices import schedule
from prices.api import answers, edits, examples, receipts
from prices.api.history import listed_metal
from prices.api.proposals import accepted
from prices.api.serializers import (
    ConfigChangesSerializer,
    ConfigSerializer,
    FallbackChangesSerializer,
    FallbackPriceSerializer,
    MarketSerializer,
    MetalSerializer,
    PollAnswerSerializer,
    PriceQuerySerializer,
    PriceSerializer,
    PricesQuerySerializer,
    PricesSerializer,
    ProposalSerializer,
    ProviderSerializer,
    check_purity,
)
from prices.domain.fineness import PURITIES_OF, WEIGHTS_OF, purity_labels
from prices.domain.quotes import Metal, names_and_codes
from prices.domain.units import UNITS, rounded
from prices.models import Configuration, FallbackPrice, ListedMetal, Premium, ProviderState
from prices.sanity_bands import bands
from prices.sources import registry
from prices.sources.health import health, health_detail, standing_still
from prices.staff.forms import ConfigurationForm, FallbackPriceForm


class MetalsView(StrictView):
    """The listed metals, in staff's order."""

    tag = "Prices"

    @extend_schema(responses=MetalSerializer(many=True), examples=[examples.METAL])
    def get(self, request: Request) -> Response:
        listed = [_metal(row, Metal(row.name)) for row in ListedMetal.objects.filter(enabled=True)]
        return Response(MetalSerializer(listed, many=True).data)


class PricesView(StrictView):
    """Every listed metal's current quote, as on the stream; with `purity`, of the metals that have it.

    With `wait`: a waiting poll, which the stream answers.
    """

    tag = "Prices"
    query_serializer = PricesQuerySerializer

    @extend_schema(
        operation_id="v1_prices_list",
        responses={
            200: PolymorphicProxySerializer(
                component_name="PricesAnswer",
                serializers=[PricesSerializer, PollAnswerSerializer],
                resource_type_field_name=None,
            ),
            204: OpenApiResponse(description="No news within `wait` seconds."),
            304: OpenApiResponse(description="None either, to a request with `If-None-Match`."),
        },
        examples=[examples.PRICES, examples.POLL],
    )
    def get(self, request: Request) -> Response:
        if "wait" in self.params:
            raise StreamOnlyError
        return Response(answers.prices(answers.snapshot_for(request._request), self.params, timezone.now()))


class PriceView(StrictView):
    """One metal's current quote; with `at`, the one that screens showed at that moment."""

    tag = "Prices"
    query_serializer = PriceQuerySerializer

    @extend_schema(responses=PriceSerializer, examples=[examples.PRICE, examples.PRICE_AT])
    def get(self, request: Request, metal: str) -> Response:
        if "at" in self.params:
            return Response(receipts.price_at(listed_metal(metal, self.params), self.params, timezone.now()))
        if metal in set(Metal):
            check_purity(Metal(metal), self.params["purity"])
        snapshot = answers.snapshot_for(request._request)
        price = answers.price(snapshot, metal, self.params, timezone.now())
        if price is None:
            known = names_and_codes(snapshot.quotes) or "none yet"
            raise NotFound(f"There is no price of {metal[:40]!r}. Metals with a price: {known}.")
        return Response(price)


class MarketView(StrictView):
    """The market, open or closed, and its next change; as in the stream's `status`."""

    tag = "Prices"

    @extend_schema(responses=MarketSerializer, examples=[examples.MARKET])
    def get(self, request: Request) -> Response:
        now = timezone.now()
        market, next_change = answers.market(now), settings.MARKET_CALENDAR.next_change(now)
        return Response(
            MarketSerializer({"market": market, "nextChange": next_change, "timestamp": now}).data,
            # Without the time, which differs in each answer.
            headers={"ETag": f'W/"{market}-{formats.time(next_change)}"'},
        )


class ConfigView(StrictView):
    """The current configuration."""

    tag = "Configuration"
    staff_model = Configuration

    def get_permissions(self) -> list[Any]:
        looks = self.request is None or self.request.method in SAFE_METHODS
        return [AllowAny()] if looks else [edits.StaffPermission()]

    @extend_schema(responses=ConfigSerializer, examples=[examples.CONFIG])
    def get(self, request: Request) -> Response:
        return Response(self._current())

    @extend_schema(
        request=ConfigChangesSerializer,
        responses=ConfigSerializer,
        examples=[examples.CONFIG, examples.CONFIG_CHANGES],
    )
    def patch(self, request: Request) -> Response:
        """Change the configuration: for staff, audited, and effective in every web process at once."""
        with transaction.atomic():
            Configuration.load()
            configuration = Configuration.objects.select_for_update().get()
            edits.save(request, configuration, ConfigChangesSerializer, ConfigurationForm)
        return Response(self._current())

    def _current(self) -> Any:
        configuration = Configuration.load()
        interval = schedule.interval()
        return ConfigSerializer(
            {
                "baseCurrency": settings.BASE_CURRENCY,
                "unit": "gram",
                "changeThresholdPercent": configuration.threshold_percent,
                "updateIntervalMs": formats.milliseconds(interval),
                "freshnessLimitMs": formats.milliseconds(configuration.freshness_limit(interval)),
                "closedUpdateIntervalMs": formats.milliseconds(schedule.closed_interval(interval)),
                "fallbackAfterMs": formats.milliseconds(settings.FALLBACK_AFTER),
                "providers": [source.name for source in registry.in_order() if source.enabled],
                "consensusSources": settings.CONSENSUS_SOURCES,
                "maxJumpPercent": configuration.jump_percent,
                **{f"maxDriftPercent{metal.capitalize()}": configuration.drift_percent(metal) for metal in Metal},
                "premiums": _premiums(),
                "bands": {
                    metal.value: {"lowest": rounded(band.lowest), "highest": rounded(band.highest)}
                    for metal, band in bands(settings.BASE_CURRENCY).items()
                },
                "maxConnections": settings.WS_MAX_CONNECTIONS,
                "rateLimit": settings.WS_RATE_LIMIT,
                "userRateLimit": settings.WS_USER_RATE_LIMIT,
                "rateWindowMs": formats.milliseconds(settings.WS_RATE_WINDOW),
                "maxMessageBytes": settings.WS_MAX_MESSAGE_BYTES,
                "timeZone": settings.TIME_ZONE,
            }
        ).data


class FallbackPricesView(StrictView):
    """The prices shown when no source answers, in the base currency: for staff."""

    tag = "Staff"
    permission_classes = [edits.StaffPermission]
    staff_model = FallbackPrice

    @extend_schema(
        operation_id="v1_fallback_prices_list",
        responses=FallbackPriceSerializer(many=True),
        examples=[examples.FALLBACK],
    )
    def get(self, request: Request) -> Response:
        rows = FallbackPrice.objects.filter(currency=settings.BASE_CURRENCY).select_related("metal")
        return Response([_fallback(row) for row in rows])


class FallbackPriceView(StrictView):
    """The price shown for one metal when no source answers."""

    tag = "Staff"
    permission_classes = [edits.StaffPermission]
    staff_model = FallbackPrice

    @extend_schema(responses=FallbackPriceSerializer, examples=[examples.FALLBACK])
    def get(self, request: Request, metal: str) -> Response:
        return Response(_fallback(_fallback_row(FallbackPrice.objects.all(), metal)))

    @extend_schema(
        request=FallbackChangesSerializer,
        responses={
            200: FallbackPriceSerializer,
            202: OpenApiResponse(ProposalSerializer, "Not saved: it waits for another person's approval."),
        },
        examples=[examples.FALLBACK, examples.FALLBACK_CHANGES, examples.PROPOSED],
    )
    def patch(self, request: Request, metal: str) -> Response:
        """Change the price shown when no source answers: audited, and on screen at once while it is shown.

        A price that would be quarantined if a source gave it requires `"confirm": true`. One beyond what you may change
        alone is a proposal, which waits for another person: 202.
        """
        with transaction.atomic():
            row = _fallback_row(FallbackPrice.objects.select_for_update(of=("self",)), metal)
            proposal = edits.save(request, row, FallbackChangesSerializer, FallbackPriceForm)
        if proposal is not None:
            return accepted(request, proposal)
        return Response(_fallback(_fallback_row(FallbackPrice.objects.all(), metal)))


class ProvidersView(StrictView):
    """The price sources, in staff's order, with their health: for staff."""

    tag = "Staff"
    permission_classes = [edits.StaffPermission]
    staff_model = ProviderState

    @extend_schema(responses=ProviderSerializer(many=True), examples=[examples.PROVIDER])
    def get(self, request: Request) -> Response:
        now, tolerances = timezone.now(), registry.tolerances()
        needed = registry.needed(now)
        listed = [
            _provider(source, tolerances[source.name], source.name in needed, now) for source in registry.in_order()
        ]
        return Response(ProviderSerializer(listed, many=True).data)


def _metal(row: ListedMetal, metal: Metal) -> dict[str, Any]:
    return {
        "name": row.name,
        "display_name": row.display_name,
        "symbol": metal.symbol,
        "units": list(UNITS),
        "weights": WEIGHTS_OF[metal],
        "purities": PURITIES_OF[metal],
        "purity_labels": purity_labels(metal),
    }


def _fallback_row(rows: QuerySet[FallbackPrice], metal: str) -> FallbackPrice:
    """A metal's fallback price. Raises NotFound, which names the metals that have one."""
    of_ours = rows.filter(currency=settings.BASE_CURRENCY)
    row = of_ours.filter(metal=metal).first() if metal in set(Metal) else None
    if row is None:
        known = names_and_codes(map(Metal, of_ours.values_list("metal", flat=True))) or "none"
        raise NotFound(
            f"There is no fallback price of {metal[:40]!r} in {settings.BASE_CURRENCY}. There are: {known}. "
            "Staff add others in the admin."
        )
    return row


def _fallback(row: FallbackPrice) -> Any:
    newest = row.history.order_by("-history_id").first()
    row.version = newest and newest.history_id  # type: ignore[attr-defined]  # beside the row's own fields
    return FallbackPriceSerializer(row).data


def _premiums() -> dict[str, Any]:
    premiums = Premium.current(timezone.now())
    none = {"multiplier": 1, "effectiveFrom": None, "note": ""}
    return {
        metal: {"multiplier": premium.multiplier, "effectiveFrom": premium.effective_from, "note": premium.note}
        if (premium := premiums.get(metal))
        else none
        for metal in ListedMetal.metals()
    }


def _provider(source: ProviderState, tolerance: Decimal, is_needed: bool, now: dt.datetime) -> dict[str, Any]:
    quota = source.quota
    return vars(source) | {
        "tolerance_percent": tolerance,
        "health": health(source, now, is_needed=is_needed),
        "health_in_words": health_detail(source, now, is_needed=is_needed),
        "breaker": source.breaker.state(now),
        "stands_still": {metal: formats.milliseconds(span) for metal, span in standing_still(source).items()},
        "quota": quota and {"calls": quota.calls, "period": quota.period, "left": source.calls_left(now)},
    }
