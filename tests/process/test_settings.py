"""Commands and servers under unusable settings: each ends at once, and names the remedy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prices.domain.provider_table import PROVIDER_TABLE
from tests.support.environment import VARIABLES
from tests.support.product import ROOT

MALFORMED = {
    "WEBSOCKET_PORT": "65536",
    "DATABASE_URL": "https://asha:hunter2@db",
    "REDIS_URL": "redis://:hunter2@localhost:port",
    "METALS_DEV_KEY": "hunter2",
    "GOLD_API_COM_URL": "//host",
    "PRICE_UPDATE_INTERVAL": "99ms",
    "MARKET_HOLIDAYS": "Christmas",
    "TIME_ZONE": "a\nb",
    "METRICS_ALLOWED_FROM": "everybody",
}


def manage(*arguments: str, state: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` in an environment in which only these variables are set."""
    bare = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=bare | {"SWARNA_STATE_DIR": str(state), "SWARNA_ENV_FILE": ""} | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_check_reports_everything_that_is_wrong_at_once_with_a_hint(tmp_path: Path) -> None:
    checked = manage("check", state=tmp_path, **MALFORMED, PRICE_PROVIDERS="gold_api_com,goldprice.org")
    assert checked.returncode == 1
    assert "Traceback" not in checked.stderr
    for name in MALFORMED:
        assert checked.stderr.count(f"(swarna.E001) {name} cannot be used: ") == 1, name
        assert f"HINT: Mend {name} in the environment or in .env" in checked.stderr
    assert "(swarna.E002) PRICE_PROVIDERS names 'goldprice.org', which is not a price source." in checked.stderr
    assert f"HINT: Choose from: {', '.join(sorted(PROVIDER_TABLE))}." in checked.stderr
    assert f"{len(MALFORMED) + 1} issues" in checked.stderr
    assert "hunter2" not in checked.stderr


def test_no_server_starts_with_a_malformed_variable(tmp_path: Path) -> None:
    served = manage("serve", state=tmp_path, WS_RATE_LIMIT="many")
    assert served.returncode == 1
    assert "(swarna.E001) WS_RATE_LIMIT cannot be used" in served.stderr
    assert "Traceback" not in served.stderr
    another_server = subprocess.run(
        [sys.executable, "-c", "import swarna.asgi"],
        cwd=ROOT,
        env=os.environ | {"SWARNA_STATE_DIR": str(tmp_path), "WS_RATE_LIMIT": "many"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert another_server.returncode == 1
    assert "Run `manage.py check`: {'WS_RATE_LIMIT'" in another_server.stderr


@pytest.mark.parametrize("program", ["worker", "beat"])
@pytest.mark.usefixtures("django_db_setup")
def test_celery_does_not_start_with_a_malformed_variable_either(program: str) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "celery", "--skip-checks", "-A", "swarna", program],
        cwd=ROOT,
        env=os.environ | {"FALLBACK_AFTER": "soon"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode == 1
    assert "(swarna.E001) FALLBACK_AFTER cannot be used" in started.stderr
    assert "Traceback" not in started.stderr


def test_a_checkout_without_any_configuration_is_in_order(tmp_path: Path) -> None:
    checked = manage("check", state=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_and_that_line_is_all_that_is_printed() -> None:
    checked = manage("check", state=Path("/dev/null/state"))
    assert checked.returncode == 1
    assert checked.stderr.startswith("Swarna keeps its state in /dev/null/state, which cannot be used: ")
    assert len(checked.stderr.splitlines()) == 1
