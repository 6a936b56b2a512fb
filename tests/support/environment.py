"""The environment that the tests run in, set before Django reads it: parts of their own, whatever the machine has.

A developer's `.env` may point at a database with real prices in it. No test may.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from infra.process.valkey import EmbeddedValkey
from prices.domain.provider_table import PROVIDER_TABLE

STATE_DIR = Path(tempfile.mkdtemp(prefix="swarna-tests-"))
atexit.register(shutil.rmtree, STATE_DIR, ignore_errors=True)  # in xdist's controller too, which runs no fixture
VALKEY = EmbeddedValkey(STATE_DIR)


def database_url() -> str:
    """The address of a database for these tests and the processes that they start, to be made anew: a file, or beside
    the PostgreSQL database that SWARNA_TESTS_DATABASE_URL names one for each of xdist's workers."""
    given = urlsplit(os.environ.get("SWARNA_TESTS_DATABASE_URL", ""))
    if not given.path:
        return f"sqlite:///{STATE_DIR}/test.sqlite3"
    name = "_".join(filter(None, ["test", given.path.strip("/"), os.environ.get("PYTEST_XDIST_WORKER")]))
    return given._replace(path=f"/{name}").geturl()


DATABASE_URL = database_url()
# The kinds of database on which each test runs that asks for either: a run on PostgreSQL is for that alone.
KINDS = ["sqlite", "postgresql"] if DATABASE_URL.startswith("sqlite:") else ["postgresql"]

_example = Path(__file__).resolve().parents[2] / ".env.example"
_of_providers = [row.setting(suffix) for row in PROVIDER_TABLE.values() for suffix in ("URL", "KEY", "QUOTA")]
for _name in (*_of_providers, *(line.lstrip("# ").partition("=")[0] for line in _example.read_text().splitlines())):
    os.environ.pop(_name, None)
# Whatever a proxy of this machine's is for, the servers that tests start are here.
for _name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    os.environ.pop(_name)
# All of xdist's workers and their servers share it with the controller: the first server collects.
STATIC_ROOT = os.environ.setdefault("SWARNA_TESTS_STATIC_ROOT", str(STATE_DIR / "static"))
VARIABLES = {
    "SWARNA_ENV_FILE": "",
    "SWARNA_STATE_DIR": str(STATE_DIR),
    "STATIC_ROOT": STATIC_ROOT,
    "REDIS_URL": VALKEY.url,
    # All tests are one client; those of the limit set one.
    "API_RATE_LIMIT": "0",
    "API_USER_RATE_LIMIT": "0",
    # Nobody listens there: a test that reaches for the network without saying so fails at once.
    **{f"{name}_URL": "http://127.0.0.1:9" for name in ("FRANKFURTER", "OPEN_ER_API")},
    **{row.setting("URL"): "http://127.0.0.1:9" for row in PROVIDER_TABLE.values() if row.url},
    "DATABASE_URL": DATABASE_URL,
}
os.environ |= VARIABLES
