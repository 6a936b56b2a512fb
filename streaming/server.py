"""The Daphne server as this project runs it: Daphne's own classes, extended where the wire contract asks for more."""

from collections.abc import Callable
from typing import Any

from daphne.endpoints import build_endpoint_description_strings
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol

from streaming.protocol import Close

# A close frame holds 125 bytes, two of which are the code (RFC 6455, 5.5.1).
_LONGEST_REASON = 123


class PriceProtocol(WebSocketProtocol):
    """One WebSocket connection, whose close frames carry the code and the reason that the application gave."""

    def handle_reply(self, message: dict[str, Any]) -> None:
        """Daphne drops the reason of a close, and Autobahn's `sendClose` refuses 1008 and its like."""
        if message["type"] == "websocket.close" and self.state == self.STATE_OPEN:
            reason = message.get("reason") or ""
            self._close(message.get("code") or 1000, reason)
        else:
            super().handle_reply(message)

    def onMessageFrameBegin(self, length: int) -> None:
        """End a message that is over the limit before it is read: the frames that it has so far and this one's header.

        Autobahn's own limit would bind what we send too, where it raises.
        """
        super().onMessageFrameBegin(length)
        if self.message_data_total_length > self.server.max_message_bytes:
            self.failedByMe = True  # Autobahn reads on then, and keeps nothing
            self._close(Close.TOO_BIG.code, Close.TOO_BIG.reason)

    def _close(self, code: int, reason: str) -> None:
        cut = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
        self.sendCloseFrame(code=code, reasonUtf8=cut.encode(), isReply=False)


class PriceServer(Server):
    """Daphne with this project's protocol and limits, on one address.

    `ready` is called in the event loop when the port is open; `failed` holds why it could not be opened.
    """

    def __init__(
        self,
        application: Any,
        *,
        host: str,
        port: int,
        max_message_bytes: int,
        timeout: float,
        ready: Callable[[], None],
    ) -> None:
        self.max_message_bytes = max_message_bytes
        self.failed: str | None = None
        self._ready = ready
        super().__init__(
            application,
            endpoints=build_endpoint_description_strings(host=host, port=port),
            ping_timeout=timeout,
            websocket_timeout=-1,  # a screen in a shop may stay connected for weeks
            # No limit of Autobahn's: see PriceProtocol.onMessageFrameBegin.
            websocket_max_message_size=0,
            websocket_max_frame_size=0,
            # Between making its factories and running its loop, Daphne calls this: here they become ours.
            ready_callable=self._adopt_factories,
        )

    def _adopt_factories(self) -> None:
        self.ws_factory.protocol = PriceProtocol
        # A violation of the protocol is answered with a close frame that names it, not with a dropped connection.
        self.ws_factory.setProtocolOptions(failByDrop=False)

    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        self._ready()

    def listen_error(self, failure: Any) -> None:
        self.failed = failure.getErrorMessage()
        self.stop()
