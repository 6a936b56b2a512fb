"""`python -m bench.source COUNT INTERVAL_MS`: refreshes from a source of its own, as a worker does them.

Prints, for each publication, its seq and when the source's last answer for it was sent (CLOCK_MONOTONIC, ns); then
`done`; then, in ms, the median and the p99 of the least possible work on this machine: one transaction that commits a
publication's rows, written by hand, and one message to Redis.
"""

import datetime as dt
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PER_OUNCE = {"XAU": 411227.25, "XAG": 5150.5, "XPT": 152400.0, "XPD": 133745.125}
_STAMP = 8  # bytes


def serve(server: ThreadingHTTPServer, stamps: int) -> None:
    """Serve as gold-api.com, with another price at each call; write the time of each answer to the pipe `stamps`."""
    called = 0

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal called
            called += 1
            _, _, symbol, currency = self.path.split("/")
            fields = {
                "symbol": symbol,
                "currency": currency,
                "price": _PER_OUNCE[symbol] * (1 + called % 100 / 1e5),
                "updatedAt": dt.datetime.now(dt.UTC).isoformat(),
            }
            body = json.dumps(fields).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            os.write(stamps, time.monotonic_ns().to_bytes(_STAMP, "big"))

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server.RequestHandlerClass = Answers
    server.serve_forever()


def timed(work: Callable[[], object], times: int = 500) -> tuple[float, float]:
    """The median and the p99 time of a piece of work, in ms."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    return taken[times // 2], taken[times * 99 // 100]


def main() -> None:
    count, interval = int(sys.argv[1]), int(sys.argv[2]) / 1000
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    reading, writing = os.pipe()
    source = os.fork()
    if not source:
        serve(server, writing)
    try:
        publish(count, interval, server.server_port, reading)
    finally:
        os.kill(source, signal.SIGKILL)


def publish(count: int, interval: float, port: int, stamps: int) -> None:
    """Refresh `count` times, and measure the least possible work. `stamps` has the times of the answers."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "swarna.settings",
        "PRICE_PROVIDERS": "gold_api_com",
        "GOLD_API_COM_URL": f"http://127.0.0.1:{port}",
    }
    import django

    django.setup()
    from prices.models import Head
    from prices.refresh import refresh

    due = time.monotonic()
    for _ in range(count):
        refresh()
        answered = max(int.from_bytes(os.read(stamps, _STAMP), "big") for _ in _PER_OUNCE)
        print(Head.current().seq, answered)
        due += interval
        time.sleep(max(0.0, due - time.monotonic()))
    print("done")
    print(*timed(commit_rows()), *timed(publish_bytes()), flush=True)


def commit_rows() -> Callable[[], object]:
    """Commit the rows of a publication of four metals by the database's own driver, in tables without an index."""
    from django.db import connection, transaction

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_publication (id bigint PRIMARY KEY, at text)")
        cursor.execute("CREATE TABLE bench_price (publication bigint, metal text, price numeric, figures text)")
        cursor.execute("CREATE TABLE bench_latest (metal text PRIMARY KEY, price numeric)")
        cursor.executemany("INSERT INTO bench_latest VALUES (%s, 0)", [[symbol] for symbol in _PER_OUNCE])
    ids = itertools.count()

    def commit() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            publication = next(ids)
            cursor.execute("INSERT INTO bench_publication VALUES (%s, %s)", [publication, "2026-09-24T08:00:00Z"])
            rows = [(str(publication), symbol, str(price), "x" * 60) for symbol, price in _PER_OUNCE.items()]
            cursor.executemany("INSERT INTO bench_price VALUES (%s, %s, %s, %s)", rows)
            latest = [(str(price), symbol) for symbol, price in _PER_OUNCE.items()]
            cursor.executemany("UPDATE bench_latest SET price = %s WHERE metal = %s", latest)

    return commit


def publish_bytes() -> Callable[[], object]:
    """Send as many bytes as a publication has to a channel without subscribers."""
    import redis
    from django.conf import settings

    client = redis.Redis.from_url(settings.REDIS_URL or "")
    return lambda: client.publish("bench", b"x" * 1200)


if __name__ == "__main__":
    main()
