"""The clients of a soak: each comes, reads, stalls, leaves and resumes, by one of three transports."""

import asyncio
import json
import os
import random
import re
import socket
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from bench.checker import Checker, Update

METALS: Final = ("gold", "silver", "platinum", "palladium")
_EVERY_METAL: Final = frozenset(METALS)
# Bytes that a client takes in while it does not read: so few that the server notices.
_TAKEN_IN: Final = 4096
_STAY: Final = (5.0, 75.0)  # seconds: of 2,000 clients, 50 leave a second
_AWAY: Final = (0.0, 10.0)
# Seconds without reading, now and then. The longest is more than WS_TIMEOUT, 30 s: the server drops the client. It may
# do so too where stalls come so close to each other that an answer to a ping, for which it leaves 12 s, comes too late.
_STALLS: Final = (3.0, 10.0, 45.0)
_TIMEOUT: Final = 30.0
_TO_ANSWER: Final = 12.0
_STALL_CHANCE: Final = 1 / 200  # at each update
_TAIL: Final = b"\x00\x00\xff\xff"


class Position(NamedTuple):
    """The last update that a client received."""

    epoch: str
    seq: int


class EndedError(Exception):
    """The server ended a connection, or refused it; says how."""


class _Head(msgspec.Struct):
    type: str


Open = Callable[[int, frozenset[str], Position | None], AsyncIterator[Update | None]]
_head, _update = msgspec.json.Decoder(_Head), msgspec.json.Decoder(Update)


def _read(text: bytes) -> Update | None:
    """The update in a message; None for another message."""
    return _update.decode(text) if _head.decode(text).type == "priceUpdate" else None


@asynccontextmanager
async def _connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    with socket.socket() as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _TAKEN_IN)
        end.setblocking(False)
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=end.dup(), limit=_TAKEN_IN)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, *headers: str
) -> tuple[int, str]:
    """Send a GET; returns the status and the head of the answer."""
    writer.write("\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    return int(head.split()[1]), head.lower()


# --- WebSocket -------------------------------------------------------------------------------------------------------


async def websocket(
    port: int, metals: frozenset[str], position: Position | None, *, deflate: bool = False
) -> AsyncIterator[Update | None]:
    """Updates by WebSocket. Yields None in between, once the server has taken the subscription."""
    async with _connection(port) as (reader, writer):
        offer = ["Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"] if deflate else []
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", key, *offer]
        status, _ = await _request(reader, writer, "/ws/prices/", *upgrade)
        if status != 101:
            raise EndedError(f"handshake: {status}")
        resume = position._asdict() if position else {}
        subscribe = {"type": "subscribe", "metals": sorted(metals), "epoch": resume.get("epoch")}
        _write_frame(writer, 1, json.dumps(subscribe | {"since": resume.get("seq")}).encode())
        try:
            async for text in _messages(reader, writer):
                if _head.decode(text).type == "subscribed":
                    yield None
                elif update := _read(text):
                    yield update
        finally:
            if not position:  # some take leave, and some are gone without a word
                _write_frame(writer, 8, (1000).to_bytes(2, "big"))


async def _messages(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[bytes]:
    """The text messages of a server that masks and fragments nothing. Raises EndedError at a close frame."""
    while True:
        first, length = await reader.readexactly(2)
        if length >= 126:
            length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
        payload = await reader.readexactly(length)
        match first & 15:
            case 8:
                raise EndedError(f"closed: {int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}")
            case 9:
                _write_frame(writer, 10, payload)
            case 1:
                yield zlib.decompressobj(-15).decompress(payload + _TAIL) if first & 0x40 else payload


def _write_frame(writer: asyncio.StreamWriter, opcode: int, payload: bytes) -> None:
    mask = os.urandom(4)
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    writer.write(bytes([0x80 | opcode]) + size + mask + masked)


# --- Server-Sent Events ----------------------------------------------------------------------------------------------


async def events(port: int, metals: frozenset[str], position: Position | None) -> AsyncIterator[Update | None]:
    """Updates by Server-Sent Events."""
    resume = [f"Last-Event-ID: {position.epoch}:{position.seq}"] if position else []
    async with _connection(port) as (reader, writer):
        path = f"/api/v1/stream/?metals={','.join(sorted(metals))}"
        status, head = await _request(reader, writer, path, "Accept: text/event-stream", *resume)
        if status != 200:
            raise EndedError(f"stream/: {status}")
        rest = b""
        async for part in _body(reader, is_chunked="transfer-encoding: chunked" in head):
            *whole, rest = (rest + part).split(b"\n\n")
            for event in whole:
                data = re.search(rb"^data: (.*)", event, re.MULTILINE)
                if data and (update := _read(data[1])):
                    yield update
        raise EndedError("stream/ ended")


async def _body(reader: asyncio.StreamReader, *, is_chunked: bool) -> AsyncIterator[bytes]:
    """The parts of an answer that goes on for as long as the connection."""
    if not is_chunked:
        while part := await reader.read(_TAKEN_IN):
            yield part
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)


# --- the waiting poll ------------------------------------------------------------------------------------------------


async def poll(port: int, metals: frozenset[str], position: Position | None) -> AsyncIterator[Update | None]:
    """Updates by waiting polls, one after the other on one connection."""
    async with _connection(port) as (reader, writer):
        while True:
            since = f"&epoch={position.epoch}&since={position.seq}" if position else ""
            path = f"/api/v1/prices/?wait=25&metals={','.join(sorted(metals))}{since}"
            status, head = await _request(reader, writer, path)
            if status == 204:
                continue
            if status != 200:
                raise EndedError(f"prices/?wait: {status}")
            length = re.search(r"\ncontent-length: *(\d+)", head)
            if not length:
                raise EndedError("prices/?wait: no Content-Length")
            if update := _read(await reader.readexactly(int(length[1]))):
                position = Position(update.epoch, update.seq)
                yield update


# --- a client --------------------------------------------------------------------------------------------------------


@dataclass
class Crowd:
    """Everything that the clients of a soak share."""

    port: int
    checker: Checker
    counts: Counter[str] = field(default_factory=Counter)  # what clients did, and what happened to them
    staying: asyncio.Event = field(default_factory=asyncio.Event)  # from when on none leaves or stalls any more


@dataclass
class Viewer:
    """One client; `chance` decides when it leaves and stalls, and whether it resumes."""

    crowd: Crowd
    name: str  # of the transport
    transport: Open
    metals: frozenset[str]
    chance: random.Random
    position: Position | None = None
    stalls: list[tuple[float, float]] = field(default_factory=list)  # of this connection: when each ended, its seconds

    @property
    def is_deaf(self) -> bool:
        """Return True if it has read so little of late that the server may drop it."""
        since = asyncio.get_running_loop().time() - _TIMEOUT
        return sum(seconds for ended_at, seconds in self.stalls if ended_at > since) > _TO_ANSWER

    async def live(self) -> None:
        """Come and go, without an end."""
        while True:
            await asyncio.sleep(0 if self.crowd.staying.is_set() else self.chance.uniform(*_AWAY))
            if self.position and self.chance.random() < 0.3:
                self.position = None  # another client takes its place
            self.crowd.counts["resumed" if self.position else "came"] += 1
            self.stalls = []
            try:
                await self._watch()
                self.crowd.counts["left"] += 1
            except (ConnectionError, asyncio.IncompleteReadError, EndedError) as error:
                if self.is_deaf:
                    self.crowd.counts["dropped"] += 1
                else:
                    self.crowd.checker.ended(f"{self.name}: {error!r}, stalled {self.stalls}")

    async def _watch(self) -> None:
        """Receive updates until it is time to leave."""
        clock, staying, checker = asyncio.get_running_loop().time, self.crowd.staying, self.crowd.checker
        leaves = clock() + self.chance.uniform(*_STAY)
        # By WebSocket all metals come first, with a snapshot, whatever the subscription will say.
        subscribed = self.transport in (events, poll)
        metals = self.metals if subscribed else _EVERY_METAL
        since = self.position.seq if subscribed and self.position else None
        async with aclosing(self.transport(self.crowd.port, self.metals, self.position)) as updates:  # type: ignore[type-var]  # they are generators
            async for update in updates:
                if update is None:
                    subscribed, metals = True, self.metals
                    since = self.position.seq if self.position else None
                    continue
                checker.take(update, metals, since)
                since = update.seq
                if subscribed:
                    self.position = Position(update.epoch, update.seq)
                if staying.is_set():
                    continue
                if clock() > leaves:
                    return
                if self.chance.random() < _STALL_CHANCE:
                    self.crowd.counts["stalled"] += 1
                    seconds = self.chance.choice(_STALLS)
                    await asyncio.sleep(seconds)
                    self.stalls.append((clock(), seconds))
