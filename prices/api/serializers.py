"""What the API shows, in the stream's own words: a price has the fields of `data` in a `priceUpdate`."""

import contextlib
import datetime as dt
from typing import Any

from django.db import models
from django.utils import timezone
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers

from infra import formats
from infra.rest.fields import Amount, Time
from infra.rest.strict import Choice, StrictQuerySerializer, StrictSerializer
from prices import schedule
from prices.api.pages import CursorField
from prices.domain.breaker import State
from prices.domain.candles import Interval
from prices.domain.quotes import Metal
from prices.domain.units import PURITIES, UNITS
from prices.models import Configuration, FallbackPrice
from prices.sources.health import Health

_MARKET = ["open", "closed"]


class QuerySerializer(StrictQuerySerializer):
    """How a price is to be expressed; as streamed where nothing is asked for."""

    unit = Choice(UNITS, default="gram")
    purity = Choice(PURITIES, default="24k")


class Moment(serializers.DateTimeField):
    """A time that prices can be of, with its offset; or a date alone, which begins at midnight of TIME_ZONE."""

    _HOW = (
        "Write a time with its offset, as 2026-09-24T08:00:00Z or 2026-09-24T13:30:00+05:30 "
        "(%2B05:30 in an address), or a date alone."
    )
    default_error_messages = {
        "date": _HOW,
        "invalid": _HOW,
        "overflow": "Write a time between the years {first} and 2999.",
    }

    def __init__(self, *, first_year: int = 1900, **options: Any) -> None:
        """`first_year` is that of a century."""
        self.first_year = first_year
        super().__init__(**options)

    def to_internal_value(self, value: Any) -> dt.datetime:
        with contextlib.suppress(TypeError, ValueError):
            midnight = dt.datetime.combine(dt.date.fromisoformat(value), dt.time())
            value = timezone.make_aware(midnight)
        return super().to_internal_value(value)

    def enforce_timezone(self, value: dt.datetime) -> dt.datetime:
        """The time, which has to have an offset: without one, nobody can know which zone was meant."""
        if value.tzinfo is None:
            self.fail("invalid")
        if not self.first_year <= value.year <= 2999:
            self.fail("overflow", first=self.first_year)
        return value


class MomentExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # drf-spectacular leaves this untyped
    """A `Moment` as the schema describes it."""

    target_class = Moment

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        centuries = "|".join(str(century) for century in range(self.target.first_year // 100, 30))
        kinds = [{"format": "date-time"}, {"format": "date"}]
        return {"type": "string", "anyOf": kinds, "pattern": f"^({centuries})[0-9]{{2}}-"}


class _RangeSerializer(StrictQuerySerializer):
    """`from`, which is in it, and `to`, which is not: pages by time, as JSON or CSV."""

    format = Choice(["json", "csv"], required=False, help_text="Else as `Accept` says.")

    def get_fields(self) -> Any:
        # `from` is no name in Python.
        return {
            "from": Moment(required=False, help_text="From this time on."),
            "to": Moment(required=False, help_text="Until before this time."),
            **super().get_fields(),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "from" in attrs and "to" in attrs and attrs["from"] >= attrs["to"]:
            raise serializers.ValidationError({"to": ["This is not after `from`: write the earlier time there."]})
        return attrs


class HistoryQuerySerializer(_RangeSerializer, QuerySerializer):
    """Which ticks."""

    source = serializers.CharField(required=False, max_length=40, help_text="Of this source alone.")  # type: ignore[assignment]  # DRF takes declared fields off the class
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=100)
    cursor = CursorField(required=False, help_text="From `next`.")


class CandleQuerySerializer(_RangeSerializer, QuerySerializer):
    """Which candles."""

    interval = Choice([interval.value for interval in Interval], default="1h")
    lane = Choice(["live", "simulated"], required=False, help_text="By default the market's.")
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=500)


class ChangeQuerySerializer(_RangeSerializer):
    """Which moves."""

    metal = Choice([metal.value for metal in Metal], required=False)
    direction = Choice(["up", "down"], required=False)
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=100)
    cursor = CursorField(required=False, help_text="From `next`.")


class TickSerializer(serializers.Serializer):
    """One published quote of a metal."""

    metal = serializers.CharField(source="metal_id")
    price = Amount()
    bid = Amount(required=False, help_text="Absent where the source gave none.")
    ask = Amount(required=False, help_text="Absent where the source gave none.")
    source = serializers.CharField()  # type: ignore[assignment]  # DRF takes declared fields off the class
    timestamp = Time(source="quoted_at", help_text="When the source quoted it.")
    publishedAt = Time(source="published_at", allow_null=True, help_text="Null where it was filled in later.")
    seq = serializers.IntegerField(allow_null=True, help_text="Its number on the stream; null where it was not on it.")
    at = Time(help_text="From when on it was true.")


class _PageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True, help_text="The rest; in the `Link` header too.")


class _MetalPageSerializer(_PageSerializer):
    metal = serializers.CharField()
    currency = serializers.CharField()
    unit = serializers.CharField()
    purity = serializers.CharField()


class HistoryPageSerializer(_MetalPageSerializer):
    """Ticks, newest first."""

    data = TickSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class


class CandleSerializer(serializers.Serializer):
    """What a price did in one interval."""

    start = Time()
    end = Time()
    open = Amount()
    high = Amount()
    low = Amount()
    close = Amount()
    ticks = serializers.IntegerField(help_text="Of how many it was made.")
    closed = serializers.BooleanField(help_text="Whether its time is over.")


class CandlePageSerializer(_MetalPageSerializer):
    """Candles, oldest first."""

    interval = serializers.CharField()
    lane = serializers.CharField()
    data = CandleSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class


class ChangeSerializer(serializers.Serializer):
    """A significant move."""

    metal = serializers.CharField(source="metal_id")
    oldPrice = Amount(source="old_price")
    newPrice = Amount(source="new_price")
    changePercent = Amount(source="change_percent")
    direction = serializers.CharField(source="value.direction", help_text="`up` or `down`.")
    timestamp = Time(source="published_at", help_text="When it was published.")
    seq = serializers.IntegerField(help_text="The tick that brought it.")


class ChangePageSerializer(_PageSerializer):
    """Moves, newest first."""

    currency = serializers.CharField()
    unit = serializers.CharField()
    data = ChangeSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class


class QuoteSerializer(serializers.Serializer):
    """One metal's published quote."""

    # The fields of prices.domain.wire.PriceData.
    price = Amount()
    change = Amount(help_text="Against the previous close; 0 while there is none.")
    changePercent = Amount()
    high = Amount()
    low = Amount()
    open = Amount()
    previousClose = Amount(allow_null=True)
    timestamp = Time(help_text="When the source quoted it, UTC.")
    source = serializers.CharField(  # type: ignore[assignment]  # DRF takes declared fields off the class
        help_text="A provider, `fallback` or `simulated`."
    )
    stale = serializers.BooleanField(
        read_only=True, help_text="Older than the freshness limit, by the hours in which its market is open."
    )
    bid = Amount(required=False, help_text="Absent where the source gives none.")
    ask = Amount(required=False, help_text="Absent where the source gives none.")
    example = serializers.BooleanField(
        required=False,
        help_text="True for a fallback that came with the installation, and that no member of staff has entered or "
        "confirmed; absent otherwise.",
    )


class PricesSerializer(serializers.Serializer):
    """Every listed metal's current quote."""

    data = serializers.DictField(child=QuoteSerializer())  # type: ignore[assignment]  # DRF takes declared fields off the class
    epoch = serializers.CharField(
        help_text="Which history `seq` is of: another one where the database was emptied, or put back."
    )
    seq = serializers.IntegerField(help_text="The newest tick: give it to the stream as `since`, with `epoch`.")
    market = serializers.ChoiceField(_MARKET, help_text="While it is closed, prices are those of the close.")
    currency = serializers.CharField()
    unit = serializers.CharField()
    purity = serializers.CharField()


class PriceSerializer(QuoteSerializer):
    """One metal's current quote, and what it is expressed in."""

    metal = serializers.CharField()
    market = serializers.ChoiceField(_MARKET, help_text="While it is closed, prices are those of the close.")
    currency = serializers.CharField()
    unit = serializers.CharField()
    purity = serializers.CharField()


class MetalSerializer(serializers.Serializer):
    """A listed metal."""

    name = serializers.CharField(help_text="As used on the stream.")
    displayName = serializers.CharField(source="display_name")
    symbol = serializers.CharField(help_text="ISO 4217.")
    units = serializers.ListField(child=serializers.CharField(), help_text="For `?unit=`.")
    purities = serializers.ListField(child=serializers.CharField(), help_text="For `&purity=`.")


class PremiumSerializer(serializers.Serializer):
    """What a metal's spot price is multiplied by; 1 where staff set nothing."""

    multiplier = Amount()
    effectiveFrom = Time(allow_null=True)
    note = serializers.CharField(help_text="What it is made of.")


class BandSerializer(serializers.Serializer):
    """Between which prices a metal can be at all, before any premium. Others are held until staff decide."""

    lowest = Amount()
    highest = Amount()


class MarketSerializer(serializers.Serializer):
    """Whether spot metals trade now: Sunday 18:00 to Friday 17:00 New York, less an hour a day, and holidays."""

    market = serializers.ChoiceField(_MARKET)
    nextChange = Time(help_text="When it closes or opens next, UTC.")
    timestamp = Time(help_text="When this was true, UTC.")


class ConfigSerializer(serializers.Serializer):
    """What is in force now. Times in milliseconds."""

    baseCurrency = serializers.CharField()
    unit = serializers.CharField()
    changeThresholdPercent = Amount()
    updateIntervalMs = serializers.IntegerField()
    freshnessLimitMs = serializers.IntegerField()
    closedUpdateIntervalMs = serializers.IntegerField(help_text="While the market is closed.")
    fallbackAfterMs = serializers.IntegerField()
    providers = serializers.ListField(child=serializers.CharField(), help_text="In the order they are asked.")
    consensusSources = serializers.IntegerField(
        help_text="How many of them have to agree on a price; 0: the first that answers is believed."
    )
    maxJumpPercent = Amount(help_text="A price further than this from the last one is held until it is confirmed.")
    premiums = serializers.DictField(child=PremiumSerializer(), help_text="By metal.")
    bands = serializers.DictField(child=BandSerializer(), help_text="By metal.")
    maxConnections = serializers.IntegerField(help_text="For each web process.")
    rateLimit = serializers.IntegerField(help_text="Messages on one connection in `rateWindowMs`.")
    userRateLimit = serializers.IntegerField(
        help_text="Messages on all connections of one user together in `rateWindowMs`."
    )
    rateWindowMs = serializers.IntegerField()
    maxMessageBytes = serializers.IntegerField()


def _bounds(model: type[models.Model], field: str) -> dict[str, Any]:
    """Options of a field by which staff change a model's number: the bounds of the admin's form, in the schema too."""
    of_model: Any = model._meta.get_field(field)
    return {"required": False, "allow_null": of_model.null, "validators": of_model.validators}


class ConfigChangesSerializer(StrictSerializer):
    """What staff may change at run time; null is: as deployed. What is left out stays."""

    changeThresholdPercent = serializers.DecimalField(
        None,
        None,
        coerce_to_string=False,
        help_text="Three decimals at most.",
        **_bounds(Configuration, "change_threshold_percent"),
    )
    updateIntervalMs = serializers.IntegerField(
        required=False,
        min_value=formats.milliseconds(schedule.SHORTEST_INTERVAL),
        max_value=formats.milliseconds(schedule.LONGEST_INTERVAL),
    )
    freshnessLimitMs = serializers.IntegerField(**_bounds(Configuration, "freshness_limit_ms"))
    maxJumpPercent = serializers.DecimalField(
        None,
        None,
        coerce_to_string=False,
        help_text="Three decimals at most.",
        **_bounds(Configuration, "max_jump_percent"),
    )


class FallbackPriceSerializer(serializers.Serializer):
    """What is shown for a metal when no source answers."""

    metal = serializers.CharField(source="metal_id")
    currency = serializers.CharField()
    price = Amount(help_text="Per gram of fine metal.")
    asOf = Time(source="as_of", help_text="When it was true.")
    note = serializers.CharField(help_text="Where it comes from.")
    example = serializers.BooleanField(
        help_text="Whether it came with the installation, and no member of staff has entered or confirmed it."
    )
    onScreen = serializers.BooleanField(source="is_on_screen", help_text="Whether it is what is shown now.")
    version = serializers.IntegerField(
        allow_null=True, help_text="Send it with a change, which is refused then where somebody was quicker."
    )


class FallbackChangesSerializer(StrictSerializer):
    """A change to a fallback price. What is left out stays; a new price without `asOf` is as of now.

    An example is one no longer with a `price` or `asOf` of its own, or `confirm`; the installation's note goes with it.
    """

    price = serializers.DecimalField(
        None,
        None,
        coerce_to_string=False,
        help_text="Per gram of fine metal; four decimals at most.",
        **_bounds(FallbackPrice, "price"),
    )
    asOf = Moment(required=False, first_year=FallbackPrice.FIRST_YEAR, help_text="When it was true; not in the future.")
    note = serializers.CharField(required=False, allow_blank=True, max_length=200)
    version = serializers.IntegerField(required=False, allow_null=True, help_text="Null: whatever it is now.")
    confirm = serializers.BooleanField(
        required=False, help_text="True: this was checked, though it is far from the last price or out of its band."
    )


class QuotaSerializer(serializers.Serializer):
    """Calls that are allowed in each period, which begins at midnight UTC."""

    calls = serializers.IntegerField()
    period = serializers.CharField(help_text="`day` or `month`.")
    left = serializers.IntegerField()


class ProviderSerializer(serializers.Serializer):
    """A price source, and how it has been doing."""

    name = serializers.CharField()
    position = serializers.IntegerField(help_text="Smaller is asked first.")
    enabled = serializers.BooleanField()
    tolerancePercent = Amount(help_text="How far from the sources' median it may be, where several are asked.")
    health = serializers.ChoiceField([health.value for health in Health])
    healthInWords = serializers.CharField()
    breaker = serializers.ChoiceField([state.value for state in State], help_text="Not closed: it fails.")
    lastSuccessAt = Time(allow_null=True)
    lastErrorAt = Time(allow_null=True)
    lastError = serializers.CharField()
    latencyMs = serializers.IntegerField(allow_null=True)
    quota = QuotaSerializer(allow_null=True)
    restsUntil = Time(allow_null=True, help_text="It asked not to be called before this.")
    openUntil = Time(allow_null=True, help_text="When its breaker lets it be tried again.")
    failures = serializers.IntegerField(help_text="Refreshes in a row without any price.")
    disagreement = serializers.CharField(help_text="Where it was last set aside, and how far.")
    disagreedAt = Time(allow_null=True)
    refreshesTotal = serializers.IntegerField()
    failuresTotal = serializers.IntegerField()
    callsTotal = serializers.IntegerField()
    setAsideTotal = serializers.IntegerField()
