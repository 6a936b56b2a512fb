"""`python -m bench.lock_work PORT TIMES TIMES_AT_ONCE`: prices are locked and redeemed by REST.

Prints one line of JSON: the p50, in ms, of a PATCH of a fallback price (`save`), of a grant (`lock`) and of a
redemption (`redeem`), by one client, one after the other; and, for `CLIENTS` at once, the pairs of both a second
(`rate`), the p99 of each in ms, and how many of them `failed` or were done `twice`.
"""

import http.client
import itertools
import json
import os
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, Final

CLIENTS: Final = 16
_WANTED: Final = {"metal": "gold", "unit": "gram", "purity": "916", "side": "sell", "quantity": 8.25}
_keys = itertools.count()


class Till:
    """A client with a token, on a connection that is kept alive. `took` are the times of its requests, in ms."""

    def __init__(self, port: int, token: str) -> None:
        self._server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.took: dict[str, list[float]] = {"save": [], "lock": [], "redeem": []}
        self.failed = 0
        self.granted: list[str] = []

    def save(self, price: int) -> None:
        self._send("save", "PATCH", "fallback-prices/gold/", {"price": price, "confirm": True})

    def sell(self) -> None:
        """Lock a price, and redeem the lock."""
        if lock := self._send("lock", "POST", "locks/", _WANTED):
            self.granted.append(lock["id"])
            self._send("redeem", "POST", f"locks/{lock['id']}/redeem/", {})

    def _send(self, name: str, method: str, path: str, body: Any) -> Any:
        """The JSON of an answer; None where the request failed."""
        headers = self._headers | {"Idempotency-Key": f"{os.getpid()}-{next(_keys)}"}
        began = time.perf_counter()
        self._server.request(method, f"/api/v1/{path}", json.dumps(body), headers)
        answer = self._server.getresponse()
        said = answer.read()
        self.took[name].append((time.perf_counter() - began) * 1000)
        if answer.status >= 300:
            self.failed += 1
            print(f"{method} {path} answers {answer.status}: {said[:200]!r}", file=sys.stderr)
            return None
        return json.loads(said)


def tokens_of_users() -> list[str]:
    """A token for each client, the first one staff's; with a price to lock, as many locks as they want."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from accounts import tokens
    from locks.models import LockSettings
    from prices.domain.quotes import Metal, Quote
    from prices.publishing import ingest

    LockSettings.load()
    LockSettings.objects.update(most_held=100_000, most_in_an_hour=1_000_000)
    now = timezone.now()
    quote = Quote(metal=Metal.GOLD, price=Decimal(13200), currency="INR", source="gold_api_com", quoted_at=now)
    ingest.record([quote], now=now)
    names = [f"till {number}" for number in range(CLIENTS)]
    users = [User.objects.get_or_create(username=name, is_staff=True, is_superuser=True)[0] for name in names]
    return [tokens.issue(user)[1] for user in users]


def main() -> None:
    port, times, times_at_once = map(int, sys.argv[1:])
    os.environ["DJANGO_SETTINGS_MODULE"] = "swarna.settings"
    import django

    django.setup()
    tills = [Till(port, token) for token in tokens_of_users()]
    first = tills[0]
    for number in range(times + 5):
        first.save(9300 + number % 2)
        first.sell()
    one = {name: statistics.median(took[5:]) for name, took in first.took.items()}
    for till in tills:
        till.took = {"lock": [], "redeem": []}
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(lambda till: [till.sell() for _ in range(times_at_once)], tills))
    seconds = time.perf_counter() - began
    counts = Counter(id for till in tills for id in till.granted)
    several = {name: sorted(took for till in tills for took in till.took[name]) for name in ("lock", "redeem")}
    print(
        json.dumps(
            {
                **one,
                "rate": len(several["redeem"]) / seconds,
                **{f"{name} p99": took[len(took) * 99 // 100] for name, took in several.items()},
                "failed": sum(till.failed for till in tills),
                "twice": counts.total() - len(counts),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
