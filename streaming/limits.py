"""The limit on connections from one address: sans-I/O."""


class ConnectionLimiter:
    """Allows `limit` connections at a time from one address; any number if it is 0."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.counts: dict[str, int] = {}

    def acquire(self, address: str) -> bool:
        """Count one more connection, until `release`. Returns False and counts nothing if it is one too many."""
        count = self.counts.get(address, 0)
        if self.limit and count >= self.limit:
            return False
        self.counts[address] = count + 1
        return True

    def release(self, address: str) -> None:
        """Count one connection less."""
        if self.counts[address] > 1:
            self.counts[address] -= 1
        else:
            del self.counts[address]
