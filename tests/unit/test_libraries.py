"""The internals of Daphne, Autobahn and Twisted that we build on: a change of one is found here, not by a user."""

import importlib.util
import inspect
from pathlib import Path

import pytest
from autobahn.websocket.protocol import WebSocketProtocol, WebSocketServerProtocol
from channels.consumer import AsyncConsumer
from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.web.http import HTTPChannel


@pytest.mark.parametrize(
    ("where", "words"),
    [
        # streaming/engine/transport.py: our transport is made by our port, which is given a socket that listens.
        (tcp.Port._fromListeningDescriptor, "_preexistingSocket = port"),
        (tcp.Port.doRead, "self.transport("),
        (tcp.Port.doRead, "self.numberAccepts"),
        # `stopWriting` tells that the buffer is empty; `write` buffers what `socket.send` did not take.
        (FileDescriptor.doWrite, "self.stopWriting()"),
        (FileDescriptor.write, "_tempDataBuffer.append(data)"),
        # streaming/engine/websocket.py: options are read from the protocol, so from its class as well.
        (WebSocketProtocol._connectionMade, "for configAttr in self.CONFIG_ATTRS"),
        # The extension in use stands here from the handshake on, and is asked by these names.
        (WebSocketServerProtocol.succeedHandshake, "self._perMessageCompress ="),
        (WebSocketServerProtocol.succeedHandshake, "in self.websocket_extensions:"),
        (WebSocketProtocol.onFrameBegin, "self._perMessageCompress.start_decompress_message()"),
        (WebSocketProtocol.onFrameData, "self._perMessageCompress.decompress_message_data("),
        (WebSocketProtocol.onFrameEnd, "self._perMessageCompress.end_decompress_message()"),
        # A failure is marked before its close frame goes out, and nothing is kept after it.
        (WebSocketProtocol._fail_connection, "self.failedByMe = True"),
        (WebSocketProtocol.onMessageFrameData, "if not self.failedByMe"),
        (WebSocketProtocol.processData, "self.current_frame is None"),
        # The HTTP channel registers itself as the transport's producer, and would stay.
        (HTTPChannel.connectionMade, "registerProducer(self, True)"),
        # streaming/consumers.py: what our loop stands for.
        (AsyncConsumer.__call__, "await_many_dispatch"),
    ],
)
def test_the_place_is_as_we_know_it(where: object, words: str) -> None:
    assert words in inspect.getsource(where), f"{where} has changed: read it and what we build on it"  # type: ignore[arg-type]  # functions


def test_daphnes_bookkeeping_is_as_we_know_it() -> None:
    spec = importlib.util.find_spec("daphne.server")  # found, not imported: that would install a reactor
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).read_text()
    for words in ('self.connections[protocol]["application_instance"] =', '["disconnected"]', "twisted_loop = "):
        assert words in text, f"daphne/server.py has changed where it said {words}"
