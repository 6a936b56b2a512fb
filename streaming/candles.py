"""The newest candles of each metal, for clients that want them: live ones, and ones closed lately. Sans-I/O.

A candle is closed once the next one has begun: until then a tick may still belong to it, however late it arrives.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from prices.domain.candles import ZonedCandle
from prices.domain.wire import CandleData
from streaming import protocol

CandlesByMetal: TypeAlias = Mapping[str, Mapping[str, list[CandleData]]]

# Closed candles of a series that are kept however many publications ago they closed: two hours of minutes, so that a
# client that wants one update an hour gets them all.
_LEAST_KEPT = 120


class CandleUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """A candle as it travels between processes, and the `seq` of its newest tick."""

    interval: str
    start: dt.datetime
    seq: int
    data: CandleData

    @classmethod
    def of(cls, zoned: ZonedCandle) -> "CandleUpdate":
        """Convert a candle to the wire's fields."""
        candle = zoned.candle
        return cls(interval=candle.interval, start=candle.start, seq=candle.seq, data=CandleData.of(zoned))


class CandleLog:
    """Each metal's candles by interval, oldest first; the last one is live.

    It has all candles that closed or were corrected after the publication `since`.
    """

    def __init__(self) -> None:
        # With each candle, the `seq` of the publication that closed it: 0 for a live one.
        self._by_series: dict[tuple[str, str], list[tuple[CandleUpdate, int]]] = {}
        self.since = 0

    def take(self, metal: str, updates: Iterable[CandleUpdate]) -> None:
        """Take a metal's new and changed candles: each replaces the one with the same start, or is added."""
        for update in sorted(updates, key=lambda each: each.start):
            kept = self._by_series.setdefault((metal, update.interval), [])
            end = len(kept)
            while end and kept[end - 1][0].start > update.start:
                end -= 1
            begin = end - 1 if end and kept[end - 1][0].start == update.start else end
            if begin and not kept[begin - 1][1]:
                kept[begin - 1] = (kept[begin - 1][0], update.seq)
            # A candle that comes late, or is corrected, is closed already, and goes out again.
            kept[begin:end] = [(update, update.seq if end < len(kept) else 0)]

    def forget_before(self, seq: int) -> None:
        """Drop candles that closed before a publication, except the newest of each series."""
        for kept in self._by_series.values():
            while len(kept) > _LEAST_KEPT and kept[0][1] < seq:
                update, closed_by = kept.pop(0)
                self.since = max(self.since, closed_by, update.seq)

    def clear(self, since: int) -> None:
        """Drop all candles; those after the publication `since` are to follow."""
        self._by_series.clear()
        self.since = since

    def changed(self, metals: Iterable[str], intervals: frozenset[str], since: int | None) -> CandlesByMetal:
        """By metal and interval: candles closed or corrected after `since`, oldest first, and then the live one."""
        return {
            metal: {
                interval: [
                    msgspec.structs.replace(update.data, closed=True) if closed_by else update.data
                    for update, closed_by in kept
                    if not closed_by or (since is not None and max(closed_by, update.seq) > since)
                ]
                for interval in protocol.CANDLES
                if interval in intervals and (kept := self._by_series.get((metal, interval)))
            }
            for metal in metals
        }
