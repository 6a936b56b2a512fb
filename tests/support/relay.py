"""A TCP relay that can fall silent, as if the machine behind it were gone: nothing passes, no connection ends."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Address: TypeAlias = tuple[str, int] | str


@dataclass(eq=False)
class _Pair:
    """A client's connection and the one that was made for it; `answers` may still pass, None: any number."""

    client: socket.socket
    server: socket.socket
    answers: int | None


class Relay:
    """Passes on what clients of 127.0.0.1:`port` and `target` say to each other; `target` is a socket's path or a TCP
    address.

    `answers` is how many answers each connection that is made from now on passes on before it falls silent: None for
    any number. A connection that is silent stays so, and open.
    """

    def __init__(self, target: Address) -> None:
        self.target = target
        self.answers: int | None = None
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._waker, self._woken = socket.socketpair()
        self._pairs: list[_Pair] = []
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def fall_silent(self, oldest: int | None = None) -> None:
        """Fall silent on the open connections, or on so many of them."""
        with self._lock:
            for pair in self._pairs[:oldest]:
                self._forget(pair)

    def drop(self) -> None:
        """Reset all connections, as a machine does that was restarted."""
        with self._lock:
            for pair in tuple(self._pairs):
                self._close(pair, reset=True)

    def close(self) -> None:
        """Close all connections, and accept no more."""
        self._ends = True
        self._waker.send(b"x")
        self._thread.join()
        for pair in tuple(self._pairs):
            self._close(pair)
        for each in (self._listener, self._waker, self._woken):
            each.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._ends:
            for key, _ in self._selector.select():
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj is not self._woken and self._selector.get_map().get(key.fd) is key:
                        self._pass_on(key.fileobj, key.data)  # type: ignore[arg-type]  # ours are sockets

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self.accepted += 1
        server = socket.socket(socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET)
        try:
            server.connect(self.target)
        except OSError:
            server.close()
            client.close()
            return
        pair = _Pair(client, server, self.answers)
        self._pairs.append(pair)
        if pair.answers != 0:
            for each in (client, server):
                self._selector.register(each, selectors.EVENT_READ, pair)

    def _pass_on(self, source: socket.socket, pair: _Pair) -> None:
        try:
            received = source.recv(65536)
            (pair.server if source is pair.client else pair.client).sendall(received)
        except OSError:
            received = b""
        if not received:
            self._close(pair)
        elif source is pair.server and pair.answers is not None:
            pair.answers -= 1
            if pair.answers == 0:
                self._forget(pair)

    def _forget(self, pair: _Pair) -> None:
        for each in (pair.client, pair.server):
            with contextlib.suppress(KeyError):
                self._selector.unregister(each)

    def _close(self, pair: _Pair, *, reset: bool = False) -> None:
        self._forget(pair)
        self._pairs.remove(pair)
        if reset:
            pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        pair.client.close()
        pair.server.close()


@contextlib.contextmanager
def relay(target: Address) -> Iterator[Relay]:
    """A relay until the end of the block."""
    made = Relay(target)
    try:
        yield made
    finally:
        made.close()
