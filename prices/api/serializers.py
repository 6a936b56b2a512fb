"""What the API shows, in the stream's own words: a price has the fields of `data` in a `priceUpdate`."""

import contextlib
import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from prices import wire
from prices.api.pages import CursorField
from prices.breaker import State
from prices.candles import Interval
from prices.health import Health
from prices.quotes import PURITIES, UNITS, Metal, PublishedQuote
from swarna.requests import StrictSerializer

_MARKET = ["open", "closed"]


class _Amount(serializers.DecimalField):
    """An amount as a JSON number, as on the stream."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=None, decimal_places=None, coerce_to_string=False, **options)

    def to_representation(self, value: Decimal) -> Any:
        return wire.number(Decimal(super().to_representation(value)))


class _Flag(serializers.BooleanField):
    """What is said only where it is so: else None, which is left out."""

    def to_representation(self, value: bool) -> Any:
        return value or None


class Time(serializers.DateTimeField):
    """UTC with milliseconds and `Z`, as on the stream."""

    def to_representation(self, value: dt.datetime) -> str:
        return wire.time(value)


class _Choice(serializers.ChoiceField):
    """A choice that says, to whoever misses it, what there is to choose from."""

    def __init__(self, choices: Iterable[str], **options: Any) -> None:
        names = list(choices)
        message = f'"{{input}}" is none of: {", ".join(names)}.'
        super().__init__(names, error_messages={"invalid_choice": message}, **options)


class QuerySerializer(StrictSerializer):
    """How a price is to be expressed; as streamed where nothing is asked for."""

    unit = _Choice(UNITS, default="gram")
    purity = _Choice(PURITIES, default="24k")


class _Moment(serializers.DateTimeField):
    """A time that prices can be of. A date alone, and a time without a zone, are TIME_ZONE's."""

    default_error_messages = {
        "date": "Write a time as 2026-09-24T08:00:00Z, or a date alone.",
        "invalid": "Write a time as 2026-09-24T08:00:00Z, or a date alone.",
        "range": "Write a time between the years 1900 and 2999.",
    }

    def to_internal_value(self, value: Any) -> dt.datetime:
        with contextlib.suppress(TypeError, ValueError):
            value = dt.datetime.combine(dt.date.fromisoformat(value), dt.time())
        try:
            at: dt.datetime = super().to_internal_value(value)
        except OverflowError:  # in some zone it is before the year 1
            self.fail("range")
        if not 1900 <= at.year <= 2999:
            self.fail("range")
        return at


class _RangeSerializer(StrictSerializer):
    """`from`, which is in it, and `to`, which is not: pages by time, as JSON or CSV."""

    format = _Choice(["json", "csv"], required=False, help_text="Else as `Accept` says.")

    def get_fields(self) -> Any:
        # `from` is no name in Python.
        return {
            "from": _Moment(required=False, help_text="From this time on."),
            "to": _Moment(required=False, help_text="Until before this time."),
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

    interval = _Choice([interval.value for interval in Interval], default="1h")
    lane = _Choice(["live", "simulated"], required=False, help_text="By default the market's.")
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=500)


class ChangeQuerySerializer(_RangeSerializer):
    """Which moves."""

    metal = _Choice([metal.value for metal in Metal], required=False)
    direction = _Choice(["up", "down"], required=False)
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=100)
    cursor = CursorField(required=False, help_text="From `next`.")


class TickSerializer(serializers.Serializer):
    """One published quote of a metal."""

    metal = serializers.CharField(source="metal_id")
    price = _Amount()
    bid = _Amount(required=False, help_text="Absent where the source gave none.")
    ask = _Amount(required=False, help_text="Absent where the source gave none.")
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
    open = _Amount()
    high = _Amount()
    low = _Amount()
    close = _Amount()
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
    oldPrice = _Amount(source="old_price")
    newPrice = _Amount(source="new_price")
    changePercent = _Amount(source="change_percent")
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

    price = _Amount(source="quote.price")
    change = _Amount(help_text="Against the previous close; 0 while there is none.")
    changePercent = _Amount(source="change_percent")
    high = _Amount(source="day.high")
    low = _Amount(source="day.low")
    open = _Amount(source="day.open")
    previousClose = _Amount(source="day.previous_close", allow_null=True)
    timestamp = Time(source="quote.quoted_at", help_text="When the source quoted it, UTC.")
    source = serializers.CharField(  # type: ignore[assignment]  # DRF takes declared fields off the class
        source="quote.source", help_text="A provider, `fallback` or `simulated`."
    )
    stale = serializers.SerializerMethodField(
        help_text="Older than the freshness limit, by the hours in which its market is open."
    )
    bid = _Amount(source="quote.bid", required=False, help_text="Absent where the source gives none.")
    ask = _Amount(source="quote.ask", required=False, help_text="Absent where the source gives none.")
    example = _Flag(
        source="quote.example",
        required=False,
        help_text="True for a fallback that came with the installation, and that no member of staff has entered or "
        "confirmed; absent otherwise.",
    )

    def get_stale(self, published: PublishedQuote) -> bool:
        return self.context["standing"].is_stale(published, self.context["now"])  # type: ignore[no-any-return]  # context is untyped


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

    multiplier = _Amount()
    effectiveFrom = Time(allow_null=True)
    note = serializers.CharField(help_text="What it is made of.")


class BandSerializer(serializers.Serializer):
    """Between which prices a metal can be at all, before any premium. Others are held until staff decide."""

    lowest = _Amount()
    highest = _Amount()


class MarketSerializer(serializers.Serializer):
    """Whether spot metals trade now: Sunday 18:00 to Friday 17:00 New York, less an hour a day, and holidays."""

    market = serializers.ChoiceField(_MARKET)
    nextChange = Time(help_text="When it closes or opens next, UTC.")
    timestamp = Time(help_text="When this was true, UTC.")


class ConfigSerializer(serializers.Serializer):
    """What is in force now. Times in milliseconds."""

    baseCurrency = serializers.CharField()
    unit = serializers.CharField()
    changeThresholdPercent = _Amount()
    updateIntervalMs = serializers.IntegerField()
    freshnessLimitMs = serializers.IntegerField()
    closedUpdateIntervalMs = serializers.IntegerField(help_text="While the market is closed.")
    fallbackAfterMs = serializers.IntegerField()
    providers = serializers.ListField(child=serializers.CharField(), help_text="In the order they are asked.")
    consensusSources = serializers.IntegerField(
        help_text="How many of them have to agree on a price; 0: the first that answers is believed."
    )
    maxJumpPercent = _Amount(help_text="A price further than this from the last one is held until it is confirmed.")
    premiums = serializers.DictField(child=PremiumSerializer(), help_text="By metal.")
    bands = serializers.DictField(child=BandSerializer(), help_text="By metal.")
    maxConnections = serializers.IntegerField(help_text="For each web process.")
    rateLimit = serializers.IntegerField(help_text="Messages on one connection in `rateWindowMs`.")
    userRateLimit = serializers.IntegerField(
        help_text="Messages on all connections of one user together in `rateWindowMs`."
    )
    rateWindowMs = serializers.IntegerField()
    maxMessageBytes = serializers.IntegerField()


class ConfigChangesSerializer(StrictSerializer):
    """What staff may change at run time; null is: as deployed. What is left out stays."""

    changeThresholdPercent = serializers.DecimalField(
        None, None, required=False, allow_null=True, coerce_to_string=False, help_text="Above 0."
    )
    updateIntervalMs = serializers.IntegerField(required=False)
    freshnessLimitMs = serializers.IntegerField(required=False, allow_null=True)
    maxJumpPercent = serializers.DecimalField(
        None, None, required=False, allow_null=True, coerce_to_string=False, help_text="Above 0."
    )


class FallbackPriceSerializer(serializers.Serializer):
    """What is shown for a metal when no source answers."""

    metal = serializers.CharField(source="metal_id")
    currency = serializers.CharField()
    price = _Amount(help_text="Per gram of fine metal.")
    asOf = Time(source="as_of", help_text="When it was true.")
    note = serializers.CharField(help_text="Where it comes from.")
    example = serializers.BooleanField(
        help_text="Whether it came with the installation, and no member of staff has entered or confirmed it."
    )
    onScreen = serializers.BooleanField(source="on_screen", help_text="Whether it is what is shown now.")
    version = serializers.IntegerField(
        allow_null=True, help_text="Send it with a change, which is refused then where somebody was quicker."
    )


class FallbackChangesSerializer(StrictSerializer):
    """A change to a fallback price. What is left out stays; a new price without `asOf` is as of now.

    An example is one no longer with a `price` or `asOf` of its own, or `confirm`; its note goes with it.
    """

    price = serializers.DecimalField(None, None, required=False, coerce_to_string=False)
    asOf = _Moment(required=False)
    note = serializers.CharField(required=False, allow_blank=True, max_length=200)
    version = serializers.IntegerField(required=False)
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
    tolerancePercent = _Amount(help_text="How far from the sources' median it may be, where several are asked.")
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
