"""Examples of tokens, for the API's page."""

from typing import Final

from drf_spectacular.utils import OpenApiExample

_TIMES: Final = {"created": "2026-09-24T08:00:00.000Z", "expiry": "2026-10-24T08:00:00.000Z"}
_KEY: Final = "swarna_1f3d5b79"

CREDENTIALS: Final = OpenApiExample("Credentials", {"username": "asha", "password": "…"}, request_only=True)
TOKEN: Final = OpenApiExample("A token", {"key": _KEY, **_TIMES}, response_only=True, status_codes=["200"])
ISSUED: Final = OpenApiExample(
    "A new token", {"key": _KEY, **_TIMES, "token": f"{_KEY}…"}, response_only=True, status_codes=["201"]
)
