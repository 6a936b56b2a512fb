"""How the API writes JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec
from rest_framework.renderers import JSONRenderer


def _plain(value: Any) -> Any:
    """DRF's own dicts, lists and strings as what they extend."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list):
        return list(value)
    return str(value)


class NumberRenderer(JSONRenderer):
    """JSON whose Decimals are numbers, as on the stream; DRF's own renderer writes them as strings."""

    _encode = msgspec.json.Encoder(decimal_format="number", enc_hook=_plain).encode

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else self._encode(data)
