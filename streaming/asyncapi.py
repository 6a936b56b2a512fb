"""The stream's AsyncAPI 3 document, made from the messages of streaming/protocol.py."""

from typing import Any, Final

import msgspec

from streaming import protocol
from streaming.protocol import Close

TO_CLIENT: Final = (
    protocol.PriceUpdate,
    protocol.Status,
    protocol.Subscribed,
    protocol.Unsubscribed,
    protocol.Pong,
    protocol.Heartbeat,
    protocol.Error,
    protocol.Restart,
)
FROM_CLIENT: Final = (protocol.SubscribeMessage, protocol.UnsubscribeMessage, protocol.PingMessage)
_SCHEMAS: Final = "#/components/schemas/"


def document(version: str, prefix: str = "") -> dict[str, Any]:
    """The document of a version of the product, for JSON; `prefix` is where the site begins on its host."""
    kinds = (*TO_CLIENT, *FROM_CLIENT)
    schemas = msgspec.json.schema_components(kinds, ref_template=_SCHEMAS + "{name}")[1]
    closes = "; ".join(f"{close.code} {close.reason}" for close in Close)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Swarna: live precious-metal prices",
            "version": version,
            "description": f"WebSocket, subprotocol `{protocol.SUBPROTOCOL}` where it is offered. Closes: {closes}. "
            "Before each close with 1008 comes an `error` with `retry`, and for `later` with `afterMs`.",
        },
        "defaultContentType": "application/json",
        "channels": {
            name: {
                "address": address,
                "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"} for kind in kinds},
            }
            for name, address in (("stream", f"{prefix}/"), ("prices", f"{prefix}/ws/prices/"))
        },
        "operations": {
            f"{action}{channel.title()}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": [{"$ref": f"#/channels/{channel}/messages/{kind.__name__}"} for kind in messages],
            }
            for channel in ("stream", "prices")
            for action, messages in (("send", TO_CLIENT), ("receive", FROM_CLIENT))
        },
        "components": {
            "messages": {
                kind.__name__: {
                    "name": str(kind.__struct_config__.tag),
                    "summary": (kind.__doc__ or "").partition(chr(10))[0],
                    "payload": {"$ref": f"{_SCHEMAS}{kind.__name__}"},
                }
                for kind in kinds
            },
            "schemas": _with_numbers(schemas),
        },
    }


def _with_numbers(schema: Any) -> Any:
    """The schema with Decimals as numbers, as our encoder writes them; msgspec describes them as strings."""
    if isinstance(schema, dict):
        if schema.get("format") == "decimal":
            return {"type": "number"}
        return {name: _with_numbers(part) for name, part in schema.items()}
    if isinstance(schema, list):
        return [_with_numbers(part) for part in schema]
    return schema
