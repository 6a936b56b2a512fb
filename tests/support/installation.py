"""A whole installation as `manage.py up` runs it, and the one source that it fetches from."""

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.support.product import ROOT, Process, answers, free_port, wait_until

# What the market quotes, per gram; the provider gives it per troy ounce.
PER_GRAM = {"XAU": 13200, "XAG": 165, "XPT": 4900, "XPD": 4300}


class Market:
    """gold-api.com as far as we use it, in a real HTTP server: its quotes can be changed, and it can go away."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("").rstrip("/")
        self.per_gram: dict[str, float] = dict(PER_GRAM)
        self.open = True
        server.expect_request(re.compile(r"/price/[A-Z]{3}/INR")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        if not self.open:
            return Response("<html>Bad gateway</html>", status=503, content_type="text/html")
        symbol = request.path.split("/")[2]
        body = {
            "currency": "INR",
            "currencySymbol": "₹",
            "exchangeRate": 95.96,
            "name": symbol,
            "price": round(self.per_gram[symbol] * 31.1034768, 6),
            "symbol": symbol,
            "updatedAt": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "updatedAtReadable": "a few seconds ago",
        }
        return Response(json.dumps(body), content_type="application/json")


class Product:
    """One `manage.py up` in a folder of its own, on a database of its own."""

    def __init__(self, folder: Path, database: str, **settings: str) -> None:
        self.port = free_port()
        self.http_url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/"
        self.folder = folder
        self.settings = {
            "SWARNA_STATE_DIR": str(folder / "state"),
            "REDIS_URL": "",
            "DATABASE_URL": database,
            "WEBSOCKET_PORT": str(self.port),
            "PRICE_UPDATE_INTERVAL": "1000",
            "DJANGO_SETTINGS_MODULE": "tests.support.always_open",  # whatever day it is
            "WS_RATE_LIMIT": "1000",
        } | settings
        self.start()

    def start(self) -> None:
        self.process = Process(["manage.py", "up"], self.folder / "log", self.settings)
        try:
            wait_until(lambda: answers(f"{self.http_url}/healthz"), "the product to answer", 60)
        except AssertionError:
            self.process.stop()  # else it would outlive the tests
            raise

    def manage(self, *arguments: str) -> str:
        """The output of another command of this installation."""
        environment = os.environ | self.settings | {"DJANGO_SUPERUSER_PASSWORD": "opensesame"}
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def pid_of(self, words: str) -> int:
        """The child of `up` whose command line has these words and has no such parent itself."""
        listing = subprocess.run(
            ["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        rows = [line.split(None, 2) for line in listing]
        return next(
            (int(pid) for pid, parent, command in rows if int(parent) == self.process.popen.pid and words in command), 0
        )

    def kill(self, words: str) -> None:
        """SIGKILL a child, and wait until `up` has put another in its place."""
        victim = wait_until(lambda: self.pid_of(words), f"a process {words}")
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: self.pid_of(words) not in (0, victim), f"another process {words}")
