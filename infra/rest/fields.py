"""Serializer fields that write values as the stream does."""

import datetime as dt
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from infra import formats


class Amount(serializers.DecimalField):
    """An amount as a JSON number, as on the stream."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=None, decimal_places=None, coerce_to_string=False, **options)

    def to_representation(self, value: Decimal) -> Any:
        return formats.number(Decimal(super().to_representation(value)))


class Time(serializers.DateTimeField):
    """UTC with milliseconds and `Z`, as on the stream."""

    def to_representation(self, value: dt.datetime) -> str:
        return formats.time(value)
