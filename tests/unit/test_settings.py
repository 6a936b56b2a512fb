"""The settings: the values that the environment may have, and the errors for all others."""

import datetime as dt
import ipaddress
import re
import runpy
from collections.abc import Callable
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from prices import schedule
from prices.domain.calendar import Calendar
from prices.domain.provider_table import PROVIDER_TABLE
from prices.domain.quota import Quota
from prices.domain.sanity import Release
from tests.support.product import ROOT

SETTINGS = ROOT / "swarna/settings.py"
EXAMPLE, OF_COMPOSE = (ROOT / ".env.example").read_text().split("# --- docker-compose.yml alone ---")
# Where the file of all the others lies can only be said in the environment itself.
OUTSIDE = {"SWARNA_ENV_FILE"}
EXPLAINED = re.findall(r"^# ([A-Z_]+)=", EXAMPLE, re.MULTILINE)
URLS = [row.setting("URL") for row in PROVIDER_TABLE.values() if row.url]
PROVIDER_QUOTAS = [row.setting("QUOTA") for row in PROVIDER_TABLE.values() if row.url]
NEEDING_KEYS = {row.name: row.setting("KEY") for row in PROVIDER_TABLE.values() if row.needs_key}
OF_PROVIDERS = {*URLS, *PROVIDER_QUOTAS, *NEEDING_KEYS.values()}
VARIABLES = sorted({*EXPLAINED, *OF_PROVIDERS})

# What each variable may hold, other than its default; and what it may not.
GOOD = {
    "WEBSOCKET_PORT": "8080",
    "WS_PORT": "8081",
    "BIND_ADDRESS": "0.0.0.0",
    "ALLOWED_HOSTS": "prices.example, .example.org",
    "URL_PREFIX": "/gold-prices",
    "CSRF_TRUSTED_ORIGINS": "https://prices.example, https://example.org",
    "TRUSTED_PROXIES": "10.0.0.5, fd00::/8",
    "SECRET_KEY": "something long and random that nobody else knows, as it should be",
    "SWARNA_STATE_DIR": "/tmp/swarna-somewhere-else",
    "DEBUG": "true",
    "LOG_LEVEL": "debug",
    "TOKEN_TTL": "7d",
    "SESSION_TTL": "30d",
    "DATABASE_URL": "postgres://asha:secret@db.example:5432/swarna",
    "REDIS_URL": "rediss://:secret@redis.example:6380/1",
    "REDIS_PREFIX": "swarna-staging",
    "BASE_CURRENCY": "usd",
    "PRICE_PROVIDERS": "simulated, gold_api_com",
    "MAX_JUMP_PERCENT": "2.5",
    "QUARANTINE_RELEASE": "second_source",
    "QUARANTINE_WAIT": "30m",
    "STANDING_AFTER": "2h",
    "APPROVAL_ABOVE_PERCENT": "2.5",
    "APPROVAL_EXPIRES_AFTER": "4h",
    "SIGNING_ISSUER": "https://prices.example",
    "SIGNING_KEYS_FILE": "/etc/swarna/signing-keys.json",
    "EMAIL_HOST": "mail.example",
    "EMAIL_PORT": "25",
    "EMAIL_HOST_USER": "swarna",
    "EMAIL_HOST_PASSWORD": "hunter2hunter2",
    "EMAIL_USE_TLS": "false",
    "DEFAULT_FROM_EMAIL": "prices@shop.example",
    "CONSENSUS_SOURCES": "2",
    "CONSENSUS_TOLERANCE_PERCENT": "0.5",
    "FRANKFURTER_URL": "https://rates.example",
    "OPEN_ER_API_URL": "https://rates.example/er/",
    "PRICE_UPDATE_INTERVAL": "100",
    "PROVIDER_BUDGET": "2500ms",
    "FRESHNESS_LIMIT": "2m",
    "CHANGE_THRESHOLD_PERCENT": "0.25",
    "FALLBACK_AFTER": "1d",
    "MARKET_HOLIDAYS": "2026-12-31, 2026-11-26T13:00",
    "CLOSED_UPDATE_INTERVAL": "1h",
    "TICKS_KEPT_FOR": "90d",
    "LOCKS_KEPT_FOR": "7d",
    "TIME_ZONE": "UTC",
    "WS_MAX_CONNECTIONS": "5000",
    "WS_MAX_CONNECTIONS_PER_IP": "50",
    "WS_AUTH_REQUIRED": "true",
    "WS_AUTH_RECHECK": "5s",
    "API_RATE_LIMIT": "100",
    "API_USER_RATE_LIMIT": "0",
    "API_RATE_WINDOW": "1h",
    "CORS_ALLOWED_ORIGINS": "https://shop.example, http://localhost:5173",
    "EMBED_ALLOWED_ORIGINS": "https://shop.example, https://*.example.org",
    "WS_RATE_LIMIT": "100",
    "WS_USER_RATE_LIMIT": "200",
    "WS_RATE_WINDOW": "1.5m",
    "WS_MAX_MESSAGE_BYTES": "1024",
    "WS_TIMEOUT": "10s",
    "WEB_PROCESSES": "4",
    "WS_BATCH_INTERVAL": "0",
    "WS_COMPRESSION_THRESHOLD": "0",
    "WS_DRAIN_TIMEOUT": "10s",
    "WS_RESTART_SPREAD": "1m",
    "METRICS_ALLOWED_FROM": "192.0.2.7, 2001:db8::/32",
    "METRICS_DIR": "/tmp/swarna-metrics-somewhere-else",
    "STATIC_ROOT": "/tmp/swarna-static-somewhere-else",
    **dict.fromkeys(URLS, "http://127.0.0.1:8000/provider/"),
    **dict.fromkeys(PROVIDER_QUOTAS, " 5000 / day "),
    **dict.fromkeys(NEEDING_KEYS.values(), " NOT0A1KEY2OF3METALS+/= "),
}
# Each variable once: what its parser refuses (tests/unit/test_environment.py has all of that), and its own bounds.
BAD = {
    "WEBSOCKET_PORT": ["many", "0", "65536"],
    "WS_PORT": ["many", "0", "65536"],
    "URL_PREFIX": ["/gold prices", "https://prices.example/gold"],
    "TRUSTED_PROXIES": ["*"],
    "DEBUG": ["maybe"],
    "LOG_LEVEL": ["LOUD", "getLogger"],
    "DATABASE_URL": ["mysql://asha:hunter2@db/swarna"],
    "REDIS_URL": ["http://:hunter2@localhost"],
    "BASE_CURRENCY": ["rupees"],
    "MAX_JUMP_PERCENT": ["one", "5%", "0", "-1", "NaN"],
    "QUARANTINE_RELEASE": ["nobody", "SAME_SOURCE"],
    "QUARANTINE_WAIT": ["999ms"],
    "STANDING_AFTER": ["999ms"],
    "APPROVAL_ABOVE_PERCENT": ["two", "-1", "NaN"],
    "APPROVAL_EXPIRES_AFTER": ["59s"],
    "EMAIL_PORT": ["smtp", "0"],
    "EMAIL_HOST_PASSWORD": ["hunter2"],
    "EMAIL_USE_TLS": ["perhaps"],
    "CONSENSUS_SOURCES": ["two", "-1", "1", "21"],
    "CONSENSUS_TOLERANCE_PERCENT": ["0", "101", "NaN"],
    "FRANKFURTER_URL": ["ftp://host"],
    "OPEN_ER_API_URL": ["ftp://host"],
    "PRICE_UPDATE_INTERVAL": ["99ms", "86401s"],
    "PROVIDER_BUDGET": ["999ms"],
    "FRESHNESS_LIMIT": ["999ms"],
    "CHANGE_THRESHOLD_PERCENT": ["0", "NaN", "Infinity"],
    "FALLBACK_AFTER": ["999ms"],
    "MARKET_HOLIDAYS": ["Christmas"],
    "CLOSED_UPDATE_INTERVAL": ["soon"],
    "TICKS_KEPT_FOR": ["23h"],
    "LOCKS_KEPT_FOR": ["23h", "0"],
    "TIME_ZONE": ["Bombay"],
    "WS_MAX_CONNECTIONS": ["many", "0", "-1", "1.5", "1e3", "9" * 5000],
    "WS_MAX_CONNECTIONS_PER_IP": ["-1"],
    "WS_AUTH_REQUIRED": ["perhaps"],
    "WS_AUTH_RECHECK": ["30001"],
    "TOKEN_TTL": ["soon"],
    "SESSION_TTL": ["59s"],
    "API_RATE_LIMIT": ["-1"],
    "API_USER_RATE_LIMIT": ["-1"],
    "API_RATE_WINDOW": ["soon"],
    "CORS_ALLOWED_ORIGINS": ["shop.example"],
    "EMBED_ALLOWED_ORIGINS": ["shop.example", "https://shop.example; script-src https://evil.example"],
    "WS_RATE_LIMIT": ["0"],
    "WS_USER_RATE_LIMIT": ["0"],
    "WS_RATE_WINDOW": ["soon"],
    "WS_MAX_MESSAGE_BYTES": ["255"],
    "WS_TIMEOUT": ["999ms"],
    "WEB_PROCESSES": ["0", "257"],
    "WS_BATCH_INTERVAL": ["-1"],
    "WS_COMPRESSION_THRESHOLD": ["-1"],
    "WS_DRAIN_TIMEOUT": ["0"],
    "WS_RESTART_SPREAD": ["0"],
    "METRICS_ALLOWED_FROM": ["everybody"],
    **{name: ["api.gold-api.com"] for name in URLS},
    **{name: ["0/day"] for name in PROVIDER_QUOTAS},
    **{name: ["hunter2"] for name in NEEDING_KEYS.values()},
}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Read the settings anew, in an environment in which only these variables are set; None is for one that is not."""

    def load(**variables: str | None) -> dict[str, Any]:
        given = {"SWARNA_STATE_DIR": str(tmp_path / "state"), "SWARNA_ENV_FILE": ""} | variables
        for name in {*VARIABLES, *OUTSIDE}:
            monkeypatch.delenv(name, raising=False)
        for name, value in given.items():
            if value is not None:
                monkeypatch.setenv(name, value)
        return {name: value for name, value in runpy.run_path(str(SETTINGS)).items() if name.isupper()}

    return load


# --- .env.example --------------------------------------------------------------------------------------------------


def test_every_variable_is_explained_and_every_explained_one_is_read() -> None:
    read = set(re.findall(r'(?:env\.\w+[(,]|environ\.get\()\s*"([A-Z_]+)"', SETTINGS.read_text()))
    assert set(EXPLAINED) - OF_PROVIDERS == read - OUTSIDE
    assert len(EXPLAINED) == len(set(EXPLAINED))


def test_of_the_providers_variables_one_of_each_kind_is_explained() -> None:
    assert [name for name in EXPLAINED if name in OF_PROVIDERS] == [
        "GOLDAPI_IO_KEY",
        "GOLDAPI_IO_URL",
        "GOLDAPI_IO_QUOTA",
    ]


def test_what_compose_alone_reads_is_explained_too() -> None:
    explained = re.findall(r"^# ([A-Z_]+)=", OF_COMPOSE, re.MULTILINE)
    read = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert explained
    assert set(explained) == read - set(VARIABLES)


def test_an_env_file_of_the_machine_does_not_undo_what_the_image_needs() -> None:
    of_image = set(re.findall(r"^(?:ENV|   ) ([A-Z_]+)=", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    for_all, _, _ = (ROOT / "docker-compose.yml").read_text().partition("services:")
    assert of_image & set(VARIABLES)
    assert of_image & set(VARIABLES) <= set(re.findall(r"^    ([A-Z_]+): ", for_all, re.MULTILINE))


def test_no_other_part_reads_the_environment() -> None:
    named = re.compile(r'environ(?:\.get\(|\[)\s*"(\w+)"|getenv\("(\w+)"')
    readers = {
        (path.name, *match.groups())
        for folder in ("swarna", "accounts", "prices", "signing", "streaming")
        for path in (ROOT / folder).rglob("*.py")
        for match in named.finditer(path.read_text())
        if path != SETTINGS
    }
    # `up` repeats to people what they set for it, whatever the settings made of that.
    assert {(path, name) for path, *names in readers for name in names if name in VARIABLES} <= {
        ("up.py", "SWARNA_STATE_DIR"),
        ("up.py", "DATABASE_URL"),
    }


def test_the_values_in_the_example_are_the_defaults(
    load: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = tmp_path / ".env"
    example.write_text(re.sub(r"^# ([A-Z_]+=)", r"\1", EXAMPLE, flags=re.MULTILINE))
    monkeypatch.chdir(tmp_path)
    by_default = load(SECRET_KEY="x")
    assert by_default["ENVIRONMENT_ERRORS"] == {}
    assert load(SECRET_KEY="x", SWARNA_ENV_FILE=str(example)) == by_default


def test_the_state_folder_is_in_the_checkout_wherever_one_stands(
    load: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for written in ("", "var"):
        assert load(SWARNA_STATE_DIR=written, SECRET_KEY="x")["STATE_DIR"] == ROOT / "var"
    assert load(SWARNA_STATE_DIR=str(tmp_path), SECRET_KEY="x")["STATE_DIR"] == tmp_path


# --- what may be said ----------------------------------------------------------------------------------------------


def test_every_variable_has_an_example_here() -> None:
    assert set(GOOD) == set(VARIABLES)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_means_the_same_in_the_environment_and_in_the_file(
    load: Callable[..., dict[str, Any]], tmp_path: Path, name: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f'{name}="{GOOD[name]}"\n')
    others = {"SECRET_KEY": "x", "SWARNA_STATE_DIR": str(tmp_path), name: None}
    by_environment = load(**others | {name: GOOD[name]})
    assert by_environment["ENVIRONMENT_ERRORS"] == {}
    assert load(**others, SWARNA_ENV_FILE=str(file)) == by_environment
    assert load(**others) != by_environment


def test_the_environment_wins_over_the_file(load: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("WS_RATE_LIMIT=7\nWS_MAX_CONNECTIONS=8\n")
    settings = load(SWARNA_ENV_FILE=str(file), WS_RATE_LIMIT="9")
    assert (settings["WS_RATE_LIMIT"], settings["WS_MAX_CONNECTIONS"]) == (9, 8)


def test_values_are_read_as_what_they_are(load: Callable[..., dict[str, Any]]) -> None:
    settings = load(**{name: value for name, value in GOOD.items() if name != "SWARNA_STATE_DIR"})
    expected = {
        "WEBSOCKET_PORT": 8080,
        "ALLOWED_HOSTS": ["prices.example", ".example.org"],
        "CSRF_TRUSTED_ORIGINS": ["https://prices.example", "https://example.org"],
        "TRUSTED_PROXIES": [ipaddress.ip_network("10.0.0.5"), ipaddress.ip_network("fd00::/8")],
        "DEBUG": True,
        "LOG_LEVEL": 10,
        "BASE_CURRENCY": "USD",
        "PRICE_PROVIDERS": ["simulated", "gold_api_com"],
        "MAX_JUMP_PERCENT": Decimal("2.5"),
        "QUARANTINE_RELEASE": Release.SECOND_SOURCE,
        "QUARANTINE_WAIT": dt.timedelta(minutes=30),
        "STANDING_AFTER": dt.timedelta(hours=2),
        "APPROVAL_ABOVE_PERCENT": Decimal("2.5"),
        "APPROVAL_EXPIRES_AFTER": dt.timedelta(hours=4),
        "EMAIL_PORT": 25,
        "CONSENSUS_SOURCES": 2,
        "CONSENSUS_TOLERANCE_PERCENT": Decimal("0.5"),
        "PRICE_UPDATE_INTERVAL": dt.timedelta(milliseconds=100),
        "PROVIDER_BUDGET": dt.timedelta(seconds=2.5),
        "FRESHNESS_LIMIT": dt.timedelta(minutes=2),
        "CHANGE_THRESHOLD_PERCENT": Decimal("0.25"),
        "FALLBACK_AFTER": dt.timedelta(days=1),
        "MARKET_CALENDAR": Calendar(
            {**Calendar.built_in().holidays, dt.date(2026, 12, 31): None, dt.date(2026, 11, 26): dt.time(13)}
        ),
        "CLOSED_UPDATE_INTERVAL": dt.timedelta(hours=1),
        "TICKS_KEPT_FOR": dt.timedelta(days=90),
        "LOCKS_KEPT_FOR": dt.timedelta(days=7),
        "TIME_ZONE": "UTC",
        "WS_RATE_WINDOW": dt.timedelta(seconds=90),
        "METRICS_ALLOWED_FROM": [ip_network("192.0.2.7"), ip_network("2001:db8::/32")],
        "REDIS_IS_EMBEDDED": False,
        "CELERY_BROKER_URL": GOOD["REDIS_URL"],
    }
    expected |= dict.fromkeys(URLS, "http://127.0.0.1:8000/provider")
    expected |= dict.fromkeys(PROVIDER_QUOTAS, Quota(5000, "day"))
    expected |= dict.fromkeys(NEEDING_KEYS.values(), "NOT0A1KEY2OF3METALS+/=")
    assert {name: settings[name] for name in expected} == expected
    database = settings["DATABASES"]["default"]
    assert (database["ENGINE"], database["HOST"], database["PORT"], database["NAME"], database["USER"]) == (
        "infra.postgresql",
        "db.example",
        5432,
        "swarna",
        "asha",
    )
    assert "init_command" not in database.get("OPTIONS", {})


def test_a_quota_may_be_none(load: Callable[..., dict[str, Any]]) -> None:
    assert load()["GOLDAPI_IO_QUOTA"] == Quota(100, "month")
    assert load(GOLDAPI_IO_QUOTA="none")["GOLDAPI_IO_QUOTA"] is None


def test_without_configuration_it_runs_on_embedded_parts(load: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    settings = load()
    assert settings["DATABASES"]["default"]["NAME"] == tmp_path / "state/swarna.sqlite3"
    assert (settings["REDIS_IS_EMBEDDED"], settings["REDIS_URL"], settings["CHANNEL_LAYERS"]) == (True, None, {})
    assert settings["FRESHNESS_LIMIT"] is None


# To be empty means something else of these: the first has a test above, and of the second the list is empty then.
WITH_A_MEANING_WHERE_EMPTY = {"SWARNA_STATE_DIR", "METRICS_ALLOWED_FROM"}


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_counts_as_absent(load: Callable[..., dict[str, Any]], tmp_path: Path, empty: str) -> None:
    names = sorted(set(VARIABLES) - WITH_A_MEANING_WHERE_EMPTY)
    by_default = load()
    assert by_default["ENVIRONMENT_ERRORS"] == {}
    assert load(**dict.fromkeys(names, empty)) == by_default
    file = tmp_path / ".env"
    file.write_text("".join(f"{name}={empty}\n" for name in names))
    assert load(SWARNA_ENV_FILE=str(file)) == by_default


def test_the_older_port_counts_where_the_newer_is_empty_too(load: Callable[..., dict[str, Any]]) -> None:
    assert load(WEBSOCKET_PORT="", WS_PORT="4001")["WEBSOCKET_PORT"] == 4001


def test_an_empty_list_lets_no_address_read_the_metrics(load: Callable[..., dict[str, Any]]) -> None:
    assert load(METRICS_ALLOWED_FROM="")["METRICS_ALLOWED_FROM"] == []


def test_a_login_lasts_a_day_by_default(load: Callable[..., dict[str, Any]]) -> None:
    assert load()["SESSION_COOKIE_AGE"] == 24 * 3600
    assert load(SESSION_TTL="30d")["SESSION_COOKIE_AGE"] == 30 * 24 * 3600


def test_the_older_name_of_the_port_is_read_where_the_newer_is_absent(load: Callable[..., dict[str, Any]]) -> None:
    assert load(WS_PORT="4001")["WEBSOCKET_PORT"] == 4001
    assert load(WS_PORT="4001", WEBSOCKET_PORT="4002")["WEBSOCKET_PORT"] == 4002


def test_seconds_without_a_unit_get_an_error_that_names_the_unit(load: Callable[..., dict[str, Any]]) -> None:
    (message,) = load(PROVIDER_BUDGET="10")["ENVIRONMENT_ERRORS"]["PROVIDER_BUDGET"]
    assert message == "must be from 1000 ms to 315360000000 ms; without a unit it is milliseconds"


def test_the_interval_may_be_what_the_schedule_can_keep(load: Callable[..., dict[str, Any]]) -> None:
    shortest = schedule.SHORTEST_INTERVAL // dt.timedelta(milliseconds=1)
    assert load(PRICE_UPDATE_INTERVAL=str(shortest))["PRICE_UPDATE_INTERVAL"] == schedule.SHORTEST_INTERVAL
    assert "PRICE_UPDATE_INTERVAL" in load(PRICE_UPDATE_INTERVAL=str(shortest - 1))["ENVIRONMENT_ERRORS"]


# --- what may not --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_variable_is_reported_and_breaks_nothing_before(
    load: Callable[..., dict[str, Any]], name: str
) -> None:
    for value in BAD[name]:
        errors = load(**{name: value})["ENVIRONMENT_ERRORS"]
        assert list(errors) == [name], value
        assert errors[name]
        assert "hunter2" not in str(errors)


def test_a_malformed_variable_has_its_default_until_it_is_mended(load: Callable[..., dict[str, Any]]) -> None:
    settings = load(WS_BATCH_INTERVAL="soon", API_RATE_LIMIT="-1", GOLDAPI_IO_URL="goldapi.io", WS_PORT="x")
    assert set(settings["ENVIRONMENT_ERRORS"]) == {"WS_BATCH_INTERVAL", "API_RATE_LIMIT", "GOLDAPI_IO_URL", "WS_PORT"}
    assert settings["WS_BATCH_INTERVAL"] == dt.timedelta(seconds=1)
    assert (settings["API_RATE_LIMIT"], settings["WEBSOCKET_PORT"]) == (600, 3001)
    assert settings["GOLDAPI_IO_URL"] == "https://www.goldapi.io"


def said_by_checks() -> list[str]:
    """The messages of `manage.py check` about these settings, each with its id and its hint."""
    return [str(said) for said in run_checks()]


def test_a_source_without_its_key_is_reported_with_a_hint(settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["gold_api_com", "swissquote", *NEEDING_KEYS]
    for said, (name, key) in zip(said_by_checks(), NEEDING_KEYS.items(), strict=True):
        assert f"(swarna.E003) PRICE_PROVIDERS names {name!r}, which needs a key, and {key} is empty." in said
        assert f"HINT: Set {key} in the environment or in .env, or take {name} out of" in said


def test_a_source_with_its_key_is_in_order(settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [*NEEDING_KEYS, "metals_dev"]
    for key in NEEDING_KEYS.values():
        setattr(settings, key, "not-a-key")
    assert said_by_checks() == []
    settings.METALS_DEV_KEY = ""
    (said,) = said_by_checks()
    assert "swarna.E003" in said


def test_a_key_of_a_source_that_is_not_fetched_may_be_absent(settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["gold_api_com"]
    assert said_by_checks() == []


@pytest.mark.parametrize(
    "prefix", ["/gold", "/api", "/api/v1", "/ws", "/metrics", "/static", "/healthz", "/why/5", "/client", "/admin"]
)
def test_a_site_is_not_below_an_address_of_its_own(settings: Settings, prefix: str) -> None:
    settings.URL_PREFIX = prefix
    (said,) = said_by_checks()
    assert f"(swarna.E007) URL_PREFIX is {prefix}, where Swarna has a page or a file of its own." in said
    assert "HINT: Choose a path that Swarna does not have" in said


@pytest.mark.parametrize("prefix", ["", "/gold-prices", "/shop/gold", "/apis"])
def test_a_site_may_be_below_any_other_path(settings: Settings, prefix: str) -> None:
    settings.URL_PREFIX = prefix
    assert said_by_checks() == []


def test_more_sources_cannot_have_to_agree_than_there_are(settings: Settings) -> None:
    settings.PRICE_PROVIDERS, settings.CONSENSUS_SOURCES = ["gold_api_com", "swissquote"], 3
    (said,) = said_by_checks()
    assert "(swarna.E004) CONSENSUS_SOURCES asks for 3 sources to agree, and PRICE_PROVIDERS names 2:" in said
    settings.CONSENSUS_SOURCES = 2
    assert said_by_checks() == []


def test_a_simulated_market_has_no_say_in_what_sources_agree_on(settings: Settings) -> None:
    settings.PRICE_PROVIDERS, settings.CONSENSUS_SOURCES = ["gold_api_com", "simulated"], 2
    (said,) = said_by_checks()
    assert "(swarna.E005) CONSENSUS_SOURCES asks for sources that agree, and PRICE_PROVIDERS names 'simulated'" in said
    settings.CONSENSUS_SOURCES = 0
    assert said_by_checks() == []


def test_a_source_that_is_named_twice_is_one(load: Callable[..., dict[str, Any]]) -> None:
    assert load(PRICE_PROVIDERS="swissquote,gold_api_com,swissquote")["PRICE_PROVIDERS"] == [
        "swissquote",
        "gold_api_com",
    ]


# --- what is kept --------------------------------------------------------------------------------------------------


def test_a_secret_is_drawn_once_and_kept_for_its_owner(load: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    secret = load()["SECRET_KEY"]
    assert len(secret) >= 50
    assert load()["SECRET_KEY"] == secret
    assert (tmp_path / "state/secret-key").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_was_given_is_not_kept(load: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    assert load(SECRET_KEY="given")["SECRET_KEY"] == "given"
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("folder", ["/dev/null", "/dev/null/state", "/proc/state", "/" + "x" * 300])
def test_a_state_folder_that_cannot_be_written_is_one_line(load: Callable[..., dict[str, Any]], folder: str) -> None:
    with pytest.raises(SystemExit) as exit:
        load(SWARNA_STATE_DIR=folder)
    (line,) = str(exit.value).splitlines()
    assert folder in line
    assert "SWARNA_STATE_DIR" in line


@pytest.mark.parametrize("content", [b"\xff\xfeW\x00S\x00", None], ids=["UTF-16", "a folder"])
def test_a_file_that_cannot_be_read_is_one_line(
    load: Callable[..., dict[str, Any]], tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / ".env"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(SystemExit, match=re.escape(f"{file} cannot be read")) as exit:
        load(SWARNA_ENV_FILE=str(file))
    assert len(str(exit.value).splitlines()) == 1


def test_ticks_are_kept_for_good_where_they_are_kept_for_0(load: Callable[..., dict[str, Any]]) -> None:
    assert load(TICKS_KEPT_FOR="0")["TICKS_KEPT_FOR"] is None
