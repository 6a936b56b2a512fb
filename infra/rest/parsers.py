"""The API's JSON parser."""

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class BoundedJSONParser(JSONParser):
    """DRF's parser, which answers 400 instead of 500 to JSON that is nested too deeply and to an unknown charset.

    JSON is UTF-8, whatever charset a header claims (RFC 8259).
    """

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, {**(parser_context or {}), "encoding": "utf-8"})
        except RecursionError as error:
            raise ParseError("This JSON is nested too deeply. Send one object with plain values.") from error
