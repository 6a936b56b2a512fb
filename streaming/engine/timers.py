"""Thousands of timeouts at the price of one timer. Sans-I/O."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class TimerWheel(Generic[T]):
    """Each item's next timeout, rounded up to `resolution` seconds: nothing is due early, nor later than that."""

    def __init__(self, resolution: float) -> None:
        self.resolution = resolution
        self._slots: dict[int, set[T]] = {}
        self._slot_of: dict[T, int] = {}
        self._done = 0

    def __len__(self) -> int:
        return len(self._slot_of)

    def __iter__(self) -> Iterator[T]:
        """All items, in the order in which their timeouts were set."""
        return iter(tuple(self._slot_of))

    def set(self, item: T, at: float) -> None:
        """Make the item due at `at` (seconds of a clock), instead of at its former time."""
        self.discard(item)
        slot = max(int(at / self.resolution) + 1, self._done + 1)
        self._slots.setdefault(slot, set()).add(item)
        self._slot_of[item] = slot

    def discard(self, item: T) -> None:
        """Forget an item. Harmless for one that is not there."""
        slot = self._slot_of.pop(item, None)
        if slot is not None:
            items = self._slots[slot]
            items.discard(item)
            if not items:
                del self._slots[slot]

    def due(self, now: float) -> list[T]:
        """Remove and return the items that are due."""
        reached = int(now / self.resolution)
        due: list[T] = []
        for slot in sorted(slot for slot in self._slots if slot <= reached):
            due.extend(self._slots.pop(slot))
        for item in due:
            del self._slot_of[item]
        self._done = max(self._done, reached)
        return due
