"""The API's parameters, bodies and answers. A price has the fields of `data` in the stream's `priceUpdate`."""

import contextlib
import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

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
from prices.domain.fineness import PURITIES_OF
from prices.domain.quotes import FIRST_YEAR, LAST_YEAR, METAL_NAMES, Metal
from prices.domain.receipts import Decision, Method
from prices.domain.source_quotes import Exclusion, RawUnit
from prices.domain.units import PURITIES, UNITS
from prices.models import Configuration, FallbackPrice, ProposedEdit
from prices.sources.health import Health

# Seconds of a waiting poll: proxies give up a silent answer after a minute.
LONGEST_WAIT: Final = 30
# Ticks, candles or moves in one answer.
MOST_PER_PAGE: Final = 1000
_MARKET = ["open", "closed"]
_DRIFT = "A price further than this from one within 24 hours of open market is quarantined. Three decimals at most."
# The end of a time whose offset had a plus before it.
_SPACE_FOR_PLUS: Final = re.compile(r":\d\d(\.\d+)? \d\d:?\d\d$")


class QuerySerializer(StrictQuerySerializer):
    """The measure of prices; by default the stream's."""

    unit = Choice(UNITS, default="gram")
    purity = Choice(PURITIES, default="24k", help_text="One that the metal has: `metals/` lists them.")


def check_purity(metal: Metal, purity: str) -> None:
    """Check that the metal has the purity. Raises ValidationError, which lists those that it has."""
    if purity not in PURITIES_OF[metal]:
        allowed = ", ".join(PURITIES_OF[metal])
        raise serializers.ValidationError(
            {"purity": [f'{metal.capitalize()} has no purity "{purity}". It has: {allowed}.']}
        )


class MetalChoice(Choice):
    """A metal by its name or its ISO code, as its name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(METAL_NAMES, **options)

    def to_internal_value(self, data: Any) -> str:
        return METAL_NAMES[super().to_internal_value(data)].value


class NameList(serializers.Field):
    """Names with commas between them, as the set of those that they stand for; `*` is all, if `all_by_star`."""

    default_error_messages = {"invalid": '"{name}" is none of: {known}. Write names with commas between them{star}.'}

    def __init__(self, names: Mapping[str, str], *, all_by_star: bool = False, **options: Any) -> None:
        self.names = names
        self.all_by_star = all_by_star
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> frozenset[str]:
        if data == "*" and self.all_by_star:
            return frozenset(self.names.values())
        given = str(data).split(",")
        for name in given:
            if name not in self.names:
                star = ", or * for all" * self.all_by_star
                self.fail("invalid", name=formats.clipped(name), known=", ".join(self.names), star=star)
        return frozenset(self.names[name] for name in given)


class NameListExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # drf-spectacular leaves this untyped
    """A `NameList` as the schema describes it."""

    target_class = NameList
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        name = f"({'|'.join(self.target.names)})"
        star = r"\*|" * self.target.all_by_star
        return {"type": "string", "pattern": f"^({star}{name}(,{name})*)$"}


class MetalList(NameList):
    """Metals by their names or ISO codes, as their names."""

    def __init__(self, **options: Any) -> None:
        names = {name: metal.value for name, metal in METAL_NAMES.items()}
        help_text = "Names or ISO codes with commas between them, or `*`; by default all."
        super().__init__(names, all_by_star=True, help_text=help_text, **options)


class PricesQuerySerializer(QuerySerializer):
    """The measure of prices; or the parameters of a waiting poll, which has the stream's measure."""

    wait = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=LONGEST_WAIT,
        help_text="A waiting poll: the answer is the stream's `priceUpdate` and `status`, as soon as there is news "
        "since the given position, and 304 or 204 after so many seconds without any.",
    )
    since = serializers.IntegerField(
        required=False, min_value=0, max_value=models.BigIntegerField.MAX_BIGINT, help_text="`seq` of your last update."
    )
    epoch = serializers.CharField(required=False, max_length=100, help_text="The `epoch` that came with it.")
    metals = MetalList(required=False)
    candles = NameList(
        {interval.value: interval.value for interval in Interval},
        required=False,
        help_text="Intervals with commas between them, whose candles the answer has, too; by default none.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "wait" in attrs:
            measured = {"unit", "purity"} & set(self.initial_data)
            where = "A waiting poll has the stream's measure, gram and 24k: leave this out, or `wait`."
            if measured:
                raise serializers.ValidationError({name: [where] for name in sorted(measured)})
        elif alone := [name for name in ("since", "epoch", "metals", "candles") if name in attrs]:
            raise serializers.ValidationError({"wait": [f"`{alone[0]}` is of a waiting poll: send `wait` too."]})
        return attrs


class Moment(serializers.DateTimeField):
    """The time of a price, with its offset; or a date alone, as midnight in TIME_ZONE."""

    _HOW = (
        "Write a time with its offset, as 2026-09-24T08:00:00Z or 2026-09-24T13:30:00+05:30 "
        "(%2B05:30 in an address), or a date alone."
    )
    default_error_messages = {
        "date": _HOW,
        "invalid": _HOW,
        "overflow": "Write a time between the years {first} and {last}.",
        "plus": f"In an address a + is read as a space. {_HOW}",
    }

    def __init__(self, *, first_year: int = FIRST_YEAR, **options: Any) -> None:
        """`first_year` begins a century."""
        self.first_year = first_year
        super().__init__(**options)

    def to_internal_value(self, value: Any) -> dt.datetime:
        if isinstance(value, str) and _SPACE_FOR_PLUS.search(value):
            self.fail("plus")
        with contextlib.suppress(TypeError, ValueError):
            midnight = dt.datetime.combine(dt.date.fromisoformat(value), dt.time())
            value = timezone.make_aware(midnight)
        return super().to_internal_value(value)

    def enforce_timezone(self, value: dt.datetime) -> dt.datetime:
        """The time by TIME_ZONE, if it has an offset and is within the years allowed."""
        if value.tzinfo is None:
            self.fail("invalid")
        if not self.first_year <= value.year <= LAST_YEAR:
            self.fail("overflow", first=self.first_year, last=LAST_YEAR)
        return timezone.localtime(value)  # PostgreSQL refuses an offset of sixteen hours and more


class MomentExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # drf-spectacular leaves this untyped
    """A `Moment` as the schema describes it."""

    target_class = Moment

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        centuries = "|".join(str(century) for century in range(self.target.first_year // 100, LAST_YEAR // 100 + 1))
        kinds = [{"format": "date-time"}, {"format": "date"}]
        return {"type": "string", "anyOf": kinds, "pattern": f"^({centuries})[0-9]{{2}}-"}


class PriceQuerySerializer(QuerySerializer):
    """The measure of a price, and its moment."""

    at = Moment(
        required=False,
        help_text="The price that screens showed at this moment: the last one published by then, whenever it was "
        "quoted. By default the current price.",
    )


class _RangeSerializer(StrictQuerySerializer):
    """A range of time, from `from` until before `to`, as JSON or CSV."""

    format = Choice(["json", "csv"], required=False, help_text="Else as `Accept` says.")

    def get_fields(self) -> Any:
        # `from` cannot be a name in Python.
        return {
            "from": Moment(required=False, help_text="From this time on."),
            "to": Moment(required=False, help_text="Until before this time."),
            **super().get_fields(),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "from" in attrs and "to" in attrs and attrs["from"] >= attrs["to"]:
            raise serializers.ValidationError({"to": ["This is not after `from`: write the earlier time there."]})
        return attrs


def _limit(default: int) -> serializers.IntegerField:
    help_text = "The most that a page has."
    return serializers.IntegerField(min_value=1, max_value=MOST_PER_PAGE, default=default, help_text=help_text)


class HistoryQuerySerializer(_RangeSerializer, QuerySerializer):
    """Parameters of ticks."""

    source = serializers.CharField(required=False, max_length=40, help_text="Only of this source.")  # type: ignore[assignment]  # DRF takes declared fields off the class
    limit = _limit(100)
    cursor = CursorField(required=False, help_text="From `next`.")


class CandleQuerySerializer(_RangeSerializer, QuerySerializer):
    """Parameters of candles."""

    interval = Choice([interval.value for interval in Interval], default="1h")
    lane = Choice(["live", "simulated"], required=False, help_text="The kind of price; by default the market's.")
    limit = _limit(500)


class ChangeQuerySerializer(_RangeSerializer):
    """Parameters of significant moves."""

    metal = MetalChoice(required=False)
    direction = Choice(["up", "down"], required=False)
    limit = _limit(100)
    cursor = CursorField(required=False, help_text="From `next`.")


class TickSerializer(serializers.Serializer):
    """One published quote of a metal."""

    metal = serializers.CharField(source="metal_id")
    price = Amount()
    bid = Amount(required=False, help_text="Absent where the source gave none.")
    ask = Amount(required=False, help_text="Absent where the source gave none.")
    source = serializers.CharField()  # type: ignore[assignment]  # DRF takes declared fields off the class
    timestamp = Time(source="quoted_at", help_text="When the source quoted it.")
    publishedAt = Time(source="published_at", allow_null=True, help_text="Null for a price that was filled in later.")
    seq = serializers.IntegerField(allow_null=True, help_text="Its number on the stream; null if not streamed.")
    at = Time(help_text="The time from which it was the price.")


class _PageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True, help_text="The next page; in the `Link` header too.")


class _MetalPageSerializer(_PageSerializer):
    metal = serializers.CharField()
    currency = serializers.CharField()
    unit = serializers.CharField()
    purity = serializers.CharField()


class HistoryPageSerializer(_MetalPageSerializer):
    """Ticks, newest first."""

    data = TickSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class


class CandleSerializer(serializers.Serializer):
    """The prices of one interval."""

    # The fields of prices.domain.wire.CandleData.
    start = Time()
    end = Time()
    open = Amount()
    high = Amount()
    low = Amount()
    close = Amount()
    ticks = serializers.IntegerField(help_text="How many ticks it was made of.")
    closed = serializers.BooleanField(help_text="True once its interval is over.")
    seq = serializers.IntegerField(
        allow_null=True, help_text="The newest publication with a tick in it; null where none was streamed."
    )
    date = serializers.DateField(
        required=False, help_text="Of a `1d` candle alone: its day in `timeZone` of `config/`."
    )


class CandlePageSerializer(_MetalPageSerializer):
    """Candles, oldest first."""

    interval = serializers.CharField()
    lane = serializers.CharField()
    data = CandleSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class


class MoveSerializer(serializers.Serializer):
    """A significant move, as the stream has it."""

    # The fields of prices.domain.wire.ChangeData.
    metal = serializers.CharField()
    oldPrice = Amount()
    newPrice = Amount()
    changePercent = Amount()
    direction = serializers.CharField(help_text="`up` or `down`.")


class ChangeSerializer(MoveSerializer):
    """A significant move."""

    timestamp = Time(help_text="When it was published.")
    seq = serializers.IntegerField(help_text="The publication that brought it.")


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
        help_text="A provider, `consensus` of several, `fallback` or `simulated`."
    )
    stale = serializers.BooleanField(
        read_only=True,
        help_text="Older than the freshness limit, by the hours in which its market is open; or a newer quote of the "
        "metal waits in quarantine.",
    )
    bid = Amount(
        required=False,
        help_text="Absent where the source gives none; of several sources, the median, and at most `price`.",
    )
    ask = Amount(
        required=False,
        help_text="Absent where the source gives none; of several sources, the median, and at least `price`.",
    )
    example = serializers.BooleanField(
        required=False,
        help_text="True for a fallback that came with the installation, and that no member of staff has entered or "
        "confirmed; absent otherwise.",
    )
    contributors = serializers.IntegerField(
        required=False, min_value=1, help_text="How many sources agreed on the price; absent where one gave it."
    )
    dispersionPercent = Amount(
        required=False, help_text="How far the farthest of these sources is from the price; absent without them."
    )


class PricesSerializer(serializers.Serializer):
    """Every listed metal's current quote."""

    data = serializers.DictField(child=QuoteSerializer())  # type: ignore[assignment]  # DRF takes declared fields off the class
    epoch = serializers.CharField(
        help_text="The history that `seq` counts: another one after the database was emptied or restored."
    )
    seq = serializers.IntegerField(help_text="The newest publication: send it to the stream as `since`, with `epoch`.")
    market = serializers.ChoiceField(_MARKET, help_text="While it is closed, prices are those of the close.")
    currency = serializers.CharField()
    unit = serializers.CharField()
    purity = serializers.CharField()


class StatusSerializer(serializers.Serializer):
    """The stream's `status`."""

    type = serializers.ChoiceField(["status"])
    feed = serializers.CharField(help_text="That of the least real metal: live, stale, fallback, simulated or down.")
    market = serializers.ChoiceField(_MARKET)
    nextChange = Time(help_text="When the market closes or opens next, UTC.")
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # DRF takes declared fields off the class
    metals = serializers.DictField(child=serializers.CharField(), help_text="Each metal's feed.")
    epoch = serializers.CharField(required=False)
    timestamp = Time(help_text="When this was true, UTC.")


class PollAnswerSerializer(serializers.Serializer):
    """The answer to a waiting poll: the stream's `priceUpdate`, and its `status` beside `data`."""

    type = serializers.ChoiceField(["priceUpdate"])
    data = serializers.DictField(child=QuoteSerializer())  # type: ignore[assignment]  # DRF takes declared fields off the class
    changes = MoveSerializer(many=True, help_text="The significant moves since the given position.")
    candles = serializers.DictField(
        child=serializers.DictField(child=CandleSerializer(many=True)),
        required=False,
        help_text="By metal and interval, where `candles` chose some: those that changed since the given position.",
    )
    timestamp = Time(help_text="When the newest of it was published, UTC.")
    epoch = serializers.CharField(help_text="Send it as `epoch` with the next poll.")
    seq = serializers.IntegerField(help_text="Send it as `since` with the next poll.")
    snapshot = serializers.BooleanField(help_text="True for prices without a continuity of moves.")
    conflated = serializers.IntegerField(
        required=False, help_text="How many publications it merges beside the newest; absent where none."
    )
    currency = serializers.CharField()
    unit = serializers.CharField()
    status = StatusSerializer()


class PriceSerializer(QuoteSerializer):
    """One metal's quote, current or of a moment, with its measure."""

    metal = serializers.CharField()
    epoch = serializers.CharField(
        required=False, allow_null=True, help_text="With `at`: that of the publication; null where it was not kept."
    )
    seq = serializers.IntegerField(required=False, help_text="With `at`: the publication that screens showed then.")
    publishedAt = Time(required=False, help_text="With `at`: when that was published.")
    market = serializers.ChoiceField(_MARKET, help_text="While it is closed, prices are those of the close.")
    currency = serializers.CharField()
    unit = serializers.CharField()
    purity = serializers.CharField()


class SourcePartSerializer(serializers.Serializer):
    """One source's part in a price. Fields without a value are absent: of a source that failed, nearly all."""

    # The fields of prices.domain.receipt_data.SourceData.
    source = serializers.CharField()  # type: ignore[assignment]  # DRF takes declared fields off the class
    used = serializers.BooleanField(help_text="False: excluded, by the rule in `excludedBy`.")
    excludedBy = serializers.ChoiceField([rule.value for rule in Exclusion], required=False)
    rawPrice = Amount(required=False, help_text="The number that the source gave.")
    rawCurrency = serializers.CharField(required=False)
    rawUnit = serializers.ChoiceField([unit.value for unit in RawUnit], required=False)
    quotedAt = Time(required=False, help_text="When the source quoted it, UTC.")
    fetchedAt = Time(required=False, help_text="When we had its answer.")
    exchangeRate = Amount(required=False, help_text="The base currency for one of `rawCurrency`.")
    exchangeRateSource = serializers.CharField(required=False)
    exchangeRateAsOf = Time(required=False)
    premiumIncluded = Amount(required=False, help_text="The premium that the source's prices include.")
    spot = Amount(required=False, help_text="Per gram, before any premium.")
    bid = Amount(required=False)
    ask = Amount(required=False)
    deviationPercent = Amount(required=False, help_text="From the median of all sources that answered.")


class DecidedBySerializer(serializers.Serializer):
    """The person behind a price."""

    decision = serializers.ChoiceField([decision.value for decision in Decision])
    role = serializers.CharField()
    at = Time()
    name = serializers.CharField(required=False, help_text="For staff alone.")


class ReceiptSerializer(serializers.Serializer):
    """All that one metal's price was made of. Null: not kept when it was published, before there were receipts."""

    # The fields of prices.domain.receipt_data.ReceiptData.
    price = Amount()
    spot = Amount(help_text="Before the premium.")
    bid = Amount(required=False)
    ask = Amount(required=False)
    source = serializers.CharField()  # type: ignore[assignment]  # DRF takes declared fields off the class
    kind = serializers.CharField(help_text="`live`, `fallback` or `simulated`.")
    method = serializers.CharField(
        allow_null=True, help_text=f"How it came to be published: {', '.join(method.value for method in Method)}."
    )
    quotedAt = Time(help_text="When the source quoted it, UTC.")
    ageMs = serializers.IntegerField(allow_null=True, help_text="When it was published, by its market's hours.")
    freshnessLimitMs = serializers.IntegerField(allow_null=True, help_text="The limit at that time.")
    stale = serializers.BooleanField(allow_null=True, help_text="It was older than that when it was published.")
    premium = Amount(allow_null=True, help_text="The multiplier on spot.")
    premiumIncludedBySource = serializers.BooleanField()
    example = serializers.BooleanField(required=False)
    contributors = serializers.IntegerField(required=False, help_text="How many sources agreed, where several did.")
    dispersionPercent = Amount(required=False, help_text="Their largest deviation from the price.")
    decidedBy = DecidedBySerializer(required=False)
    basedOn = serializers.IntegerField(
        required=False, help_text="The publication whose price this one shows again, under another premium, say."
    )
    sources = SourcePartSerializer(many=True)


class PublicationSerializer(serializers.Serializer):
    """The receipts of one publication. Amounts per gram of fine metal."""

    epoch = serializers.CharField(allow_null=True)
    seq = serializers.IntegerField()
    publishedAt = Time()
    currency = serializers.CharField()
    unit = serializers.CharField()
    metals = serializers.DictField(child=ReceiptSerializer(), help_text="By metal.")


class MetalSerializer(serializers.Serializer):
    """A listed metal."""

    name = serializers.CharField(help_text="Its name on the stream.")
    displayName = serializers.CharField(source="display_name")
    symbol = serializers.CharField(help_text="ISO 4217.")
    units = serializers.ListField(child=serializers.CharField(), help_text="For `?unit=`.")
    weights = serializers.ListField(
        child=serializers.CharField(), help_text="Those of `units` by which the metal is usually sold."
    )
    purities = serializers.ListField(child=serializers.CharField(), help_text="For `&purity=`.")
    purityLabels = serializers.DictField(
        child=serializers.CharField(), source="purity_labels", help_text="Each of `purities`, for people."
    )


class PremiumSerializer(serializers.Serializer):
    """The multiplier of a metal's spot price; 1 where staff set none."""

    multiplier = Amount()
    effectiveFrom = Time(allow_null=True)
    note = serializers.CharField(help_text="What it is made of, such as duty and tax.")


class BandSerializer(serializers.Serializer):
    """The lowest and highest price that a metal can have, before any premium. Others are quarantined."""

    lowest = Amount()
    highest = Amount()


class MarketSerializer(serializers.Serializer):
    """The market of spot metals: open from Sunday 18:00 to Friday 17:00 New York, less an hour a day, and holidays."""

    market = serializers.ChoiceField(_MARKET)
    nextChange = Time(help_text="When it closes or opens next, UTC.")
    timestamp = Time(help_text="When this was true, UTC.")


class ConfigSerializer(serializers.Serializer):
    """The current configuration. Times in milliseconds."""

    baseCurrency = serializers.CharField()
    unit = serializers.CharField()
    changeThresholdPercent = Amount()
    updateIntervalMs = serializers.IntegerField()
    freshnessLimitMs = serializers.IntegerField()
    closedUpdateIntervalMs = serializers.IntegerField(help_text="While the market is closed.")
    fallbackAfterMs = serializers.IntegerField()
    providers = serializers.ListField(child=serializers.CharField(), help_text="In the order of fetching.")
    consensusSources = serializers.IntegerField(
        help_text="How many of them have to agree on a price; 0: the first answer is published."
    )
    maxJumpPercent = Amount(help_text="A price that moves further is quarantined until it is confirmed.")
    maxDriftPercentGold = Amount(help_text=_DRIFT)
    maxDriftPercentSilver = Amount(help_text=_DRIFT)
    maxDriftPercentPlatinum = Amount(help_text=_DRIFT)
    maxDriftPercentPalladium = Amount(help_text=_DRIFT)
    premiums = serializers.DictField(child=PremiumSerializer(), help_text="By metal.")
    bands = serializers.DictField(child=BandSerializer(), help_text="By metal.")
    maxConnections = serializers.IntegerField(help_text="For each web process.")
    rateLimit = serializers.IntegerField(help_text="Messages on one connection in `rateWindowMs`.")
    userRateLimit = serializers.IntegerField(
        help_text="Messages on all connections of one user together in `rateWindowMs`."
    )
    rateWindowMs = serializers.IntegerField()
    maxMessageBytes = serializers.IntegerField()
    timeZone = serializers.CharField(help_text="The zone in which days begin, by its name in the tz database.")


def _bounds(model: type[models.Model], field: str) -> dict[str, Any]:
    """Options of the field for a model's number: optional, with the bounds of the admin's form."""
    of_model: Any = model._meta.get_field(field)
    return {"required": False, "allow_null": of_model.null, "validators": of_model.validators}


def _decimal(model: type[models.Model], field: str, help_text: str) -> serializers.DecimalField:
    bounds = _bounds(model, field)
    return serializers.DecimalField(None, None, coerce_to_string=False, help_text=help_text, **bounds)


class Reason(serializers.CharField):
    """The reason for a change, for those who read staff's changes later."""

    def __init__(self) -> None:
        super().__init__(
            required=False, allow_blank=True, max_length=200, help_text="Why. Staff read it; clients do not see it."
        )


class ConfigChangesSerializer(StrictSerializer):
    """Changes to the configuration. Null restores the deployed value; a field left out stays."""

    changeThresholdPercent = _decimal(Configuration, "change_threshold_percent", "Three decimals at most.")
    updateIntervalMs = serializers.IntegerField(
        required=False,
        min_value=formats.milliseconds(schedule.SHORTEST_INTERVAL),
        max_value=formats.milliseconds(schedule.LONGEST_INTERVAL),
    )
    freshnessLimitMs = serializers.IntegerField(**_bounds(Configuration, "freshness_limit_ms"))
    maxJumpPercent = _decimal(Configuration, "max_jump_percent", "Three decimals at most.")
    maxDriftPercentGold = _decimal(Configuration, "max_drift_percent_gold", _DRIFT)
    maxDriftPercentSilver = _decimal(Configuration, "max_drift_percent_silver", _DRIFT)
    maxDriftPercentPlatinum = _decimal(Configuration, "max_drift_percent_platinum", _DRIFT)
    maxDriftPercentPalladium = _decimal(Configuration, "max_drift_percent_palladium", _DRIFT)
    reason = Reason()


class FallbackPriceSerializer(serializers.Serializer):
    """The price shown for a metal when no source answers."""

    metal = serializers.CharField(source="metal_id")
    currency = serializers.CharField()
    price = Amount(help_text="Per gram of fine metal.")
    asOf = Time(source="as_of", help_text="When it was true.")
    expiresAt = Time(
        source="expires_at", allow_null=True, help_text="From then on it is not shown. Null: it has no end."
    )
    note = serializers.CharField(help_text="Its origin.")
    example = serializers.BooleanField(
        help_text="True if it came with the installation, and no member of staff has entered or confirmed it."
    )
    onScreen = serializers.BooleanField(source="is_on_screen", help_text="True while it is shown.")
    version = serializers.IntegerField(
        allow_null=True, help_text="Sent with a change, it refuses the change if somebody else has saved one since."
    )


class FallbackChangesSerializer(StrictSerializer):
    """Changes to a fallback price. A field left out stays; a new price without `asOf` is as of now, and one without
    `expiresAt` has no end.

    A `price`, an `asOf` or `confirm` makes an example staff's own price, and removes the installation's note.
    """

    price = _decimal(FallbackPrice, "price", "Per gram of fine metal; four decimals at most.")
    asOf = Moment(required=False, first_year=FallbackPrice.FIRST_YEAR, help_text="When it was true; not in the future.")
    expiresAt = Moment(
        required=False,
        allow_null=True,
        help_text="From then on it is not shown; in the future, and within a year. Null: it has no end.",
    )
    note = serializers.CharField(required=False, allow_blank=True, max_length=200)
    version = serializers.IntegerField(required=False, allow_null=True, help_text="Null: any.")
    confirm = serializers.BooleanField(
        required=False, help_text="True: staff checked a price that is far from the last one or outside its band."
    )
    reason = Reason()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {"expiresAt": None, **attrs} if "price" in attrs else attrs


class ProposalSerializer(serializers.Serializer):
    """An edit of prices that waits for another person's approval, or did."""

    id = serializers.IntegerField()
    summary = serializers.CharField(help_text="What it changes.")
    detail = serializers.CharField(help_text="Why it waits.")
    reason = serializers.CharField(help_text="Why it was made.")
    proposedBy = serializers.CharField(source="proposed_by", allow_null=True, help_text="Null: the user was deleted.")
    proposedAt = Time(source="proposed_at")
    expiresAt = Time(source="expires_at", help_text="It can be approved until then.")
    state = serializers.ChoiceField(
        ["expired", *(decision.value for decision in ProposedEdit.Decision)],
        help_text="`pending` while it waits; `refused`: approved when it could no longer be saved; `overridden`: saved "
        "without approval, in an emergency.",
    )
    decidedBy = serializers.CharField(source="decided_by", allow_null=True)
    decidedAt = Time(source="decided_at", allow_null=True)
    outcome = serializers.CharField(help_text="Why it was decided so.")


class DecisionSerializer(StrictSerializer):
    """A decision on another person's edit."""

    decision = Choice(["approve", "reject"])
    reason = serializers.CharField(required=False, allow_blank=True, max_length=200)


class QuotaSerializer(serializers.Serializer):
    """The allowed calls in each period, which begins at midnight UTC."""

    calls = serializers.IntegerField()
    period = serializers.CharField(help_text="`day` or `month`.")
    left = serializers.IntegerField()


class ProviderSerializer(serializers.Serializer):
    """A price source and its health."""

    name = serializers.CharField()
    position = serializers.IntegerField(help_text="Smaller is fetched first.")
    enabled = serializers.BooleanField()
    tolerancePercent = Amount(
        source="tolerance_percent", help_text="How far from the median of several sources it may be."
    )
    health = serializers.ChoiceField([health.value for health in Health])
    healthInWords = serializers.CharField(source="health_in_words")
    breaker = serializers.ChoiceField([state.value for state in State], help_text="Not `closed`: the source fails.")
    lastSuccessAt = Time(source="last_success_at", allow_null=True)
    lastErrorAt = Time(source="last_error_at", allow_null=True)
    lastError = serializers.CharField(source="last_error")
    latencyMs = serializers.IntegerField(source="latency_ms", allow_null=True)
    quota = QuotaSerializer(allow_null=True)
    restsUntil = Time(source="rests_until", allow_null=True, help_text="It is not called before this, as it requested.")
    openUntil = Time(source="open_until", allow_null=True, help_text="When its breaker lets it be tried again.")
    failures = serializers.IntegerField(help_text="Refreshes in a row without any price.")
    standsStillMs = serializers.DictField(
        child=serializers.IntegerField(),
        source="stands_still",
        help_text="The metals whose price has not moved while its time did, each with for how long the market was open "
        "meanwhile.",
    )
    disagreement = serializers.CharField(help_text="Where it was last excluded, and how far off.")
    disagreedAt = Time(source="disagreed_at", allow_null=True)
    refreshesTotal = serializers.IntegerField(source="refreshes_total")
    failuresTotal = serializers.IntegerField(source="failures_total")
    callsTotal = serializers.IntegerField(source="calls_total")
    setAsideTotal = serializers.IntegerField(source="set_aside_total")
