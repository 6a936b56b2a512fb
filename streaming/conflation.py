"""The number of publications that an update merges for clients of some metals. Sans-I/O."""

import functools
from collections.abc import Iterable
from typing import Final

from streaming.protocol import METALS

# One byte holds the metals of a publication, a bit each.
_BITS: Final = {metal: 1 << number for number, metal in enumerate(METALS)}
# As many publications as are counted back: eighteen hours at one a second, in 64 KiB.
_KEPT: Final = 1 << 16


@functools.cache
def _with_one_of(metals: frozenset[str]) -> bytes:
    """A table for `bytes.translate`: 1 for each byte that has one of these metals, else 0."""
    mask = sum(_BITS[metal] for metal in metals)
    return bytes(bool(byte & mask) for byte in range(256))


class Conflation:
    """The metals of the newest publications, without a gap up to the newest."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._metals = bytearray()

    def append(self, metals: Iterable[str]) -> None:
        """Take the metals of the next publication; the oldest is forgotten if there are too many."""
        # During a deploy a newer version may publish a metal that this one does not know.
        self._metals.append(sum(_BITS.get(metal, 0) for metal in metals))
        if len(self._metals) > self._kept:
            del self._metals[0]

    def clear(self) -> None:
        """Forget all: what came before the next publication is not known."""
        self._metals.clear()

    def count(self, metals: frozenset[str], newest: int) -> int:
        """Count the publications with one of these metals, of the `newest` last ones, as far back as they are known."""
        known = self._metals[-newest:] if newest else b""
        return known.translate(_with_one_of(metals)).count(1)
