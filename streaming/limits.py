"""Limits on what one client may do: sans-I/O."""


class ConnectionLimiter:
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
