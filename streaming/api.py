"""Server-Sent Events as an endpoint of the API: its parameters, its description, and the refusal of bad requests.

Good requests do not come so far: streaming/event_stream.py answers them before Django.
"""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from infra.rest.problems import StreamOnlyError
from infra.rest.strict import StrictQuerySerializer, StrictView
from prices.api import examples
from prices.api.serializers import MetalList, NameList
from streaming import protocol, sse


@extend_schema_field(OpenApiTypes.STR)
class EventId(serializers.Field):
    """The id of an event, as the position that it names; None where it names none."""

    def to_internal_value(self, data: Any) -> tuple[str, int] | None:
        return sse.position(str(data))


class StreamQuerySerializer(StrictQuerySerializer):
    """A client's subscription; by default all metals, each change, and no candles."""

    metals = MetalList(required=False)
    candles = NameList(
        {name: name for name in protocol.CANDLES}, required=False, help_text="Intervals with commas between them."
    )
    interval = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=protocol.LONGEST_INTERVAL_MS,
        help_text="At most one update in so many milliseconds.",
    )
    lastEventId = EventId(  # noqa: N815  (of the wire)
        required=False,
        help_text="As `Last-Event-ID`, for clients that cannot send headers; the header wins. Any text that is no "
        "event's id counts as none.",
    )


class StreamView(StrictView):
    """The stream as Server-Sent Events: each message of the WebSocket as an event of its type. It does not end."""

    tag = "Stream"
    query_serializer = StreamQuerySerializer

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Ignore `Accept`: there is one representation, and problems are JSON."""
        return super().perform_content_negotiation(request, force=True)

    @extend_schema(
        operation_id="v1_stream",
        parameters=[
            StreamQuerySerializer,
            OpenApiParameter(
                "Last-Event-ID",
                location=OpenApiParameter.HEADER,
                description="The id of the last event you have: you get everything that you missed since.",
            ),
        ],
        responses={(200, sse.MEDIA_TYPE.decode()): OpenApiTypes.STR},
        examples=[examples.STREAM],
    )
    def get(self, request: Request) -> Response:
        raise StreamOnlyError
