"""The newest candles of each metal, for clients that ask for them: live ones, and those that closed lately. Sans-I/O.

A candle is closed once the next one has begun: until then a tick may still belong to it, however late it is told.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from infra import formats
from prices.domain.candles import Candle
from streaming import protocol
from streaming.protocol import CandleData

CandlesByMetal: TypeAlias = Mapping[str, Mapping[str, list[CandleData]]]


class CandleUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """A candle as it travels between processes, and the newest tick in it."""

    interval: str
    start: dt.datetime
    seq: int
    data: CandleData

    @classmethod
    def of(cls, candle: Candle, end: dt.datetime) -> "CandleUpdate":
        """A candle in the words of the wire."""
        number = formats.number
        return cls(
            interval=candle.interval,
            start=candle.start,
            seq=candle.seq,
            data=CandleData(
                start=formats.time(candle.start),
                end=formats.time(end),
                open=number(candle.open),
                high=number(candle.high),
                low=number(candle.low),
                close=number(candle.close),
                ticks=candle.ticks,
                closed=False,
            ),
        )


# Closed candles of a series that are held however many ticks ago they closed: two hours of minutes. Who asked for an
# update each hour gets them all.
_LEAST_HELD = 120


class CandleLog:
    """Each metal's candles by interval, oldest first; the last one is live. `changed` asks for what changed lately.

    All that closed or was corrected after the tick `since` is there.
    """

    def __init__(self) -> None:
        # With each candle, the tick by which it closed: 0 for a live one.
        self._by_series: dict[tuple[str, str], list[tuple[CandleUpdate, int]]] = {}
        self.since = 0

    def take(self, metal: str, updates: Iterable[CandleUpdate]) -> None:
        """Candles of a metal as they are now: each takes the place of the one that began when it did, or follows."""
        for update in sorted(updates, key=lambda each: each.start):
            kept = self._by_series.setdefault((metal, update.interval), [])
            end = len(kept)
            while end and kept[end - 1][0].start > update.start:
                end -= 1
            begin = end - 1 if end and kept[end - 1][0].start == update.start else end
            if begin and not kept[begin - 1][1]:
                kept[begin - 1] = (kept[begin - 1][0], update.seq)
            # One that comes late, or is corrected, is closed already, and is told again.
            kept[begin:end] = [(update, update.seq if end < len(kept) else 0)]

    def forget_before(self, seq: int) -> None:
        """Let go of candles that closed before a tick, but for the newest of each series."""
        for kept in self._by_series.values():
            while len(kept) > _LEAST_HELD and kept[0][1] < seq:
                update, closed_by = kept.pop(0)
                self.since = max(self.since, closed_by, update.seq)

    def clear(self, since: int) -> None:
        """Start over, after a tick."""
        self._by_series.clear()
        self.since = since

    def changed(self, metals: Iterable[str], intervals: frozenset[str], since: int | None) -> CandlesByMetal:
        """By metal and interval: what closed or was corrected after `since`, oldest first, and then the live candle."""
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
