"""Limits on what one client may do: sans-I/O."""


class RateWindow:
    """At most `limit` messages in a window of `seconds` that begins with the first of them, as in the seed."""

    __slots__ = ("_began", "_count", "_limit", "_seconds")

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._count = 0
        self._began = float("-inf")

    def allows(self, now: float) -> bool:
        """Count one more message at `now` (seconds of a monotonic clock); False when it is one too many."""
        if now - self._began >= self._seconds:
            self._began, self._count = now, 0
        self._count += 1
        return self._count <= self._limit


class Places:
    """At most `most` connections from one place at a time; any number where it is 0. Each `take` needs its `leave`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken: dict[str, int] = {}

    def take(self, place: str) -> bool:
        """Count one more connection from there; False, and nothing counted, when it is one too many."""
        taken = self.taken.get(place, 0)
        if self.most and taken >= self.most:
            return False
        self.taken[place] = taken + 1
        return True

    def leave(self, place: str) -> None:
        """Count one less; a place without connections is forgotten."""
        if self.taken[place] > 1:
            self.taken[place] -= 1
        else:
            del self.taken[place]
