"""Pages of a long list by cursor: stable under inserts, and as quick at the end as at the start."""

import base64
import binascii
import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from prices.history.csv_format import EARLIEST

# The earliest time of any price: prices/history/csv_format.py rejects older ones.
_EPOCH: Final = EARLIEST
_LARGEST: Final = 2**63 - 1
Row = TypeVar("Row", bound=Model)


@extend_schema_field({"type": "string", "pattern": "^[A-Za-z0-9_-]+={0,2}$"})
class CursorField(serializers.Field):
    """Two whole numbers, opaque to clients. Raises ValidationError for a cursor that this module did not make."""

    def to_internal_value(self, data: Any) -> tuple[int, int]:
        try:
            first, second = base64.urlsafe_b64decode(str(data)[:80].encode("ascii")).decode("ascii").split(".")
            numbers = int(first), int(second)
        except (ValueError, binascii.Error):
            numbers = (-1, -1)
        if not all(0 <= number <= _LARGEST for number in numbers) or cursor(*numbers) != data:
            raise serializers.ValidationError(
                "This cursor is not from here. Follow `next`, or leave it out for the first page."
            )
        return numbers


def newest_first(rows: QuerySet[Row], by: str, after: tuple[Any, int] | None, limit: int) -> tuple[list[Row], bool]:
    """A page of rows, the largest `by` and then the largest id first; and True if there are more.

    `after` is the `by` and the id of the last row of the page before.
    """
    if after:
        value, number = after
        # The second condition implies the first, which lets the database use the index.
        rows = rows.filter(Q((f"{by}__lte", value)), Q((f"{by}__lt", value)) | Q(id__lt=number))
    found = list(rows.order_by(f"-{by}", "-id")[: limit + 1])
    return found[:limit], len(found) > limit


def cursor(first: int, second: int) -> str:
    """The cursor of a page's last row."""
    return base64.urlsafe_b64encode(f"{first}.{second}".encode()).decode()


def microseconds(at: dt.datetime) -> int:
    """A time as a number, for a cursor."""
    return (at - _EPOCH) // dt.timedelta(microseconds=1)


def moment(number: int) -> dt.datetime:
    """The time of a cursor's number. Raises ValidationError for one beyond the calendar."""
    try:
        return _EPOCH + dt.timedelta(microseconds=number)
    except OverflowError as error:
        raise serializers.ValidationError({"cursor": ["This cursor is not from here. Follow `next`."]}) from error


def link(request: Request, changed: Mapping[str, str]) -> str:
    """The address of the request with changed parameters."""
    return request.build_absolute_uri(f"{request.path}?{urlencode({**request.query_params.dict(), **changed})}")
