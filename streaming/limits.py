"""The limit on connections from one address: sans-I/O."""

from collections import Counter


class ConnectionLimiter:
    """Allows `limit` connections at a time from one address; any number if it is 0."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.counts = Counter[str]()

    def acquire(self, address: str) -> bool:
        """Count one more connection, until `release`. Returns False and counts nothing if it is one too many."""
        if self.limit and self.counts[address] >= self.limit:
            return False
        self.counts[address] += 1
        return True

    def release(self, address: str) -> None:
        """Count one connection less."""
        self.counts[address] -= 1
        if not self.counts[address]:
            del self.counts[address]
