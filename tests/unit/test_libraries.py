"""The places in Daphne, Twisted and Channels that we build on: a change of one is found here, not by a user."""

import inspect

import pytest
from channels.consumer import AsyncConsumer
from daphne.http_protocol import WebRequest
from twisted.protocols.basic import LineReceiver
from twisted.web.http import HTTPChannel


@pytest.mark.parametrize(
    ("where", "words"),
    [
        # streaming/engine/http.py: our connection is a producer, and tells the channel when it is over.
        (HTTPChannel.connectionMade, "registerProducer(self, True)"),
        (LineReceiver.dataReceived, "self.transport.disconnecting"),
        # A request is registered with our HttpServer, and its events are put into our Exchange.
        (WebRequest.__init__, "self.server.protocol_connected(self)"),
        (WebRequest.process, "self.server.create_application,"),
        (WebRequest.process, "self.application_queue.put_nowait(payload)"),
        (WebRequest.finish, "self.server.protocol_disconnected(self)"),
        (WebRequest.connectionLost, "self.server.protocol_disconnected(self)"),
        # streaming/consumers.py: what our loop stands for.
        (AsyncConsumer.__call__, "await_many_dispatch"),
    ],
)
def test_the_place_is_as_we_know_it(where: object, words: str) -> None:
    assert words in inspect.getsource(where), f"{where} has changed: read it and what we build on it"  # type: ignore[arg-type]  # functions
