"""Checks what the clients of a soak receive: by itself as it comes, and in the end against the database."""

import datetime as dt
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from infra import formats

_SHOWN: Final = 20  # violations that are described


class Price(msgspec.Struct, frozen=True, rename="camel"):
    """A metal's price in an update, without what follows from the rest of it."""

    timestamp: str
    price: float
    open: float
    high: float
    low: float
    previous_close: float | None
    source: str
    bid: float | None = None
    ask: float | None = None
    stale: bool = False


class Move(msgspec.Struct, frozen=True, rename="camel"):
    """A significant move in an update."""

    metal: str
    old_price: float
    new_price: float


class Update(msgspec.Struct, frozen=True):
    """A `priceUpdate`."""

    data: dict[str, Price]
    changes: list[Move]
    epoch: str
    seq: int
    snapshot: bool
    conflated: int = 0


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The publications that an update covers: those after `since` up to `seq`, for clients of these metals."""

    since: int
    seq: int
    metals: frozenset[str]


@dataclass
class Truth:
    """The publications in the database: the prices of each by metal, and all moves, each with its `seq`, in order."""

    prices: dict[int, dict[str, Price]]
    moves: list[tuple[int, Move]]

    @classmethod
    def read(cls, database: Path) -> "Truth":
        """Read an SQLite database of ours."""
        prices: dict[int, dict[str, Price]] = {}
        with closing(sqlite3.connect(database)) as connection:
            columns = "seq, metal_id, quoted_at, price, open, high, low, previous_close, source, bid, ask"
            for seq, metal, quoted_at, *figures in connection.execute(
                f"SELECT {columns} FROM prices_price WHERE seq IS NOT NULL ORDER BY seq"  # noqa: S608  (names)
            ):
                timestamp = formats.time(dt.datetime.fromisoformat(quoted_at).replace(tzinfo=dt.UTC))
                prices.setdefault(seq, {})[metal] = Price(timestamp, *figures)
            moves = [
                (seq, Move(*values))
                for seq, *values in connection.execute(
                    "SELECT seq, metal_id, old_price, new_price FROM prices_significantchange ORDER BY seq, id"
                )
            ]
        return cls(prices, moves)

    def price(self, metal: str, seq: int) -> Price | None:
        """A metal's newest price in the publications up to `seq`."""
        known = (self.prices.get(each, {}).get(metal) for each in range(seq, 0, -1))
        return next((price for price in known if price), None)

    def moves_of(self, stretch: _Stretch) -> tuple[Move, ...]:
        """The moves of these metals after `since` up to `seq`."""
        begin, end = (bisect_right(self.moves, seq, key=lambda move: move[0]) for seq in (stretch.since, stretch.seq))
        return tuple(move for _, move in self.moves[begin:end] if move.metal in stretch.metals)

    def publications_of(self, stretch: _Stretch) -> int:
        """How many publications after `since` up to `seq` have one of these metals."""
        between = range(stretch.since + 1, stretch.seq + 1)
        return sum(bool(self.prices.get(seq, {}).keys() & stretch.metals) for seq in between)


@dataclass
class Checker:
    """Takes each update of each client. Clients that have seen the same are to receive the same.

    So it keeps what was received once, not once a client: `compare` then checks all of it by the database.
    """

    updates: int = 0
    violations: Counter[str] = field(default_factory=Counter)  # by kind
    described: list[str] = field(default_factory=list)
    epoch: str = ""
    _prices: dict[tuple[str, int], Price] = field(default_factory=dict)
    _brought: dict[_Stretch, tuple[Sequence[Move], int]] = field(default_factory=dict)

    def take(self, update: Update, metals: frozenset[str], since: int | None) -> None:
        """Check an update for a client of `metals` whose last one was `since`; None for one without any."""
        self.updates += 1
        self.epoch = self.epoch or update.epoch
        if update.epoch != self.epoch:
            self._violated("another epoch", f"{update.epoch} after {self.epoch}")
        if update.data.keys() != metals:
            self._violated("other metals", f"{sorted(update.data)} for {sorted(metals)}")
        for metal, price in update.data.items():
            known = self._prices.setdefault((metal, update.seq), price)
            if known != price:
                self._violated("two prices", f"{metal} at {update.seq} is {known} and {price}")
        if since is not None and update.seq < since:
            self._violated("seq went backwards", f"{update.seq} after {since}")
        elif update.snapshot:
            self._take_snapshot(update, since)
        elif since is None:
            self._violated("an update out of nothing", f"{update.seq} is no snapshot")
        elif update.seq == since:
            self._violated("an update twice", f"{update.seq}")
        else:
            stretch = _Stretch(since, update.seq, metals)
            brought = (tuple(update.changes), update.conflated)
            if (known_brought := self._brought.setdefault(stretch, brought)) != brought:
                self._violated("two stories", f"{stretch} brought {known_brought} and {brought}")

    def _take_snapshot(self, update: Update, since: int | None) -> None:
        if update.changes or update.conflated:
            self._violated("moves in a snapshot", f"{update.seq}: {update.changes}, {update.conflated} conflated")
        # Nothing is published for so long that its moves are not held any more.
        if since is not None and update.seq != since:
            self._violated("a gap", f"a snapshot of {update.seq} after {since}")

    def compare(self, truth: Truth) -> None:
        """Compare everything that was taken with the database."""
        for (metal, seq), price in self._prices.items():
            if price != (published := truth.price(metal, seq)):
                self._violated("a wrong price", f"{metal} at {seq} is {price}, and was published as {published}")
        for stretch, (moves, conflated) in self._brought.items():
            if moves != (true := truth.moves_of(stretch)):
                self._violated("wrong moves", f"{stretch} brought {moves}, and had {true}")
            if conflated != truth.publications_of(stretch) - 1:
                self._violated("a wrong count", f"{stretch} brought {conflated} conflated")

    def lost(self, detail: str) -> None:
        """Note a client that did not receive the newest publication."""
        self._violated("a lost publication", detail)

    def ended(self, detail: str) -> None:
        """Note a client that was refused, or whose connection ended though it read everything."""
        self._violated("an end without a reason", detail)

    def _violated(self, kind: str, detail: str) -> None:
        self.violations[kind] += 1
        if len(self.described) < _SHOWN:
            self.described.append(f"{kind}: {detail}")
