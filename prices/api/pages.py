"""Pages of a long list, by where the last one ended: stable under inserts, and as quick at the end as at the start."""

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

# Nothing is older: prices/history/csv_format.py takes no file that says so.
_EPOCH: Final = EARLIEST
_LARGEST: Final = 2**63 - 1
Row = TypeVar("Row", bound=Model)


@extend_schema_field({"type": "string", "pattern": "^[A-Za-z0-9_-]+={0,2}$"})
class CursorField(serializers.Field):
    """Two whole numbers, that clients need not understand. Raises ValidationError for what we did not make."""

    def to_internal_value(self, data: Any) -> tuple[int, int]:
        try:
            first, second = base64.urlsafe_b64decode(str(data)[:80].encode("ascii")).decode("ascii").split(".")
            numbers = int(first), int(second)
        except (ValueError, binascii.Error):
            numbers = (-1, -1)
        if not all(0 <= number <= _LARGEST for number in numbers) or cursor(*numbers) != data:
            raise serializers.ValidationError(
                "This is no cursor of ours. Follow `next`, or leave it out to begin anew."
            )
        return numbers


def newest_first(rows: QuerySet[Row], by: str, after: tuple[Any, int] | None, limit: int) -> tuple[list[Row], bool]:
    """A page of rows, the largest `by` and then the largest id first; and whether there are more.

    It begins behind the row that `after` names by both, where the last page ended.
    """
    if after:
        value, number = after
        # The first condition says no more than the second, but the index understands it.
        rows = rows.filter(Q((f"{by}__lte", value)), Q((f"{by}__lt", value)) | Q(id__lt=number))
    found = list(rows.order_by(f"-{by}", "-id")[: limit + 1])
    return found[:limit], len(found) > limit


def cursor(first: int, second: int) -> str:
    """Where a page ends."""
    return base64.urlsafe_b64encode(f"{first}.{second}".encode()).decode()


def microseconds(at: dt.datetime) -> int:
    """A moment as a number."""
    return (at - _EPOCH) // dt.timedelta(microseconds=1)


def moment(number: int) -> dt.datetime:
    """The moment again. Raises ValidationError for one beyond any calendar."""
    try:
        return _EPOCH + dt.timedelta(microseconds=number)
    except OverflowError as error:
        raise serializers.ValidationError({"cursor": ["This is no cursor of ours. Follow `next`."]}) from error


def link(request: Request, changed: Mapping[str, str]) -> str:
    """The address of the same request with other parameters."""
    return request.build_absolute_uri(f"{request.path}?{urlencode({**request.query_params.dict(), **changed})}")
