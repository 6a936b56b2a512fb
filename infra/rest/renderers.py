"""The API's JSON and CSV renderers."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import msgspec
from rest_framework.renderers import BaseRenderer, JSONRenderer


def _plain(value: Any) -> Any:
    """DRF's subclasses of dict, list and str as these."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list):
        return list(value)
    return str(value)


class NumberRenderer(JSONRenderer):
    """JSON with Decimals as numbers, as on the stream; DRF's own renderer writes strings."""

    _encode = msgspec.json.Encoder(decimal_format="number", enc_hook=_plain).encode

    def render(self, data: Any, *args: Any, **options: Any) -> bytes:
        return b"" if data is None else self._encode(data)


class CsvRenderer(BaseRenderer):
    """The rows of a page as CSV (RFC 4180), with JSON's names as columns."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: Any, *args: Any, **options: Any) -> bytes:
        rows = data["data"]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        table = csv.DictWriter(text, columns, restval="")
        table.writeheader()
        table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
