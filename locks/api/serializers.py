"""Parameters, bodies and answers."""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from infra.rest.fields import Amount, Time
from infra.rest.openapi import ProblemSerializer
from infra.rest.strict import Choice, StrictQuerySerializer, StrictSerializer
from locks.refusals import Code
from locks.rules import Side, Status
from prices.api.pages import CursorField
from prices.api.serializers import MetalChoice, PublicationSerializer, check_purity
from prices.domain.quotes import Metal
from prices.domain.units import PURITIES, UNITS, rounded


class WantedSerializer(StrictSerializer):
    """The lock that a client wants, at a price per `unit` of metal of `purity`.

    `side` is the house's: `sell` locks the ask, `buy` the bid, where there is one; else the price.
    """

    metal = MetalChoice()
    unit = Choice(UNITS)
    purity = Choice(PURITIES)
    side = Choice(Side)
    quantity = serializers.DecimalField(
        None,
        None,
        min_value=Decimal("0.0001"),
        max_value=Decimal(1_000_000),
        coerce_to_string=False,
        required=False,
        help_text="In units; four decimals at most. It is echoed.",
    )
    reference = serializers.CharField(required=False, max_length=100, help_text="Your own, such as an order's number.")

    def validate_quantity(self, value: Decimal) -> Decimal:
        if value != rounded(value):
            raise serializers.ValidationError("Write four decimals at most.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check_purity(Metal(attrs["metal"]), attrs["purity"])
        return attrs


class NothingSerializer(StrictSerializer):
    """A body without any field."""


class LocksQuerySerializer(StrictQuerySerializer):
    """Parameters of a list of locks."""

    status = Choice(Status, required=False, help_text="Only those with this status.")
    limit = serializers.IntegerField(min_value=1, max_value=100, default=50, help_text="The most that a page has.")
    cursor = CursorField(required=False, help_text="From `next`.")


class LockSerializer(serializers.Serializer):
    """A lock."""

    id = serializers.UUIDField()
    metal = serializers.CharField()
    unit = serializers.CharField()
    purity = serializers.CharField()
    side = serializers.ChoiceField([side.value for side in Side])
    quantity = Amount(required=False, help_text="As it was given.")
    reference = serializers.CharField(required=False, help_text="As it was given.")
    price = Amount(help_text="Per `unit` of metal of `purity`.")
    currency = serializers.CharField()
    epoch = serializers.CharField()
    seq = serializers.IntegerField(help_text="The publication that was the newest when the price was locked.")
    issuedAt = Time()
    expiresAt = Time(help_text="From then on it cannot be redeemed.")
    status = serializers.ChoiceField([status.value for status in Status])
    tolerancePercent = Amount(
        allow_null=True,
        help_text="It is not redeemed once the market has moved against the house by more. Null: it always is.",
    )
    passesOn = serializers.BooleanField(
        help_text="True: it is redeemed at the current price where that is better for the customer."
    )
    redeemedAt = Time(required=False)
    redeemedPrice = Amount(required=False, help_text="The price to charge, per `unit`.")
    jws = serializers.CharField(
        help_text="All of this as it is now, except `reference` and `receipt`, signed: a compact JWS of the type "
        "`swarna-lock+jws`. Amounts in it are texts."
    )
    receipt = PublicationSerializer(
        required=False, help_text="All that the price was made of, per gram of fine metal; of one lock alone."
    )


class LocksSerializer(serializers.Serializer):
    """A page of locks, newest first."""

    data = LockSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class
    next = serializers.URLField(allow_null=True, help_text="The next page; in the `Link` header too.")


class RefusalSerializer(ProblemSerializer):
    """A refusal that programs tell from others by its `code`."""

    code = serializers.ChoiceField([code.value for code in Code])
    reason = serializers.CharField(
        required=False,
        help_text="With `price-unavailable`: off, down, simulated, fallback, quarantined or stale. With "
        "`too-many-locks`: held, or hour.",
    )
    newPrice = Amount(required=False, help_text="With `price-moved`: the price at which the same could be locked now.")
