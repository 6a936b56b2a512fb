"""How variables are written: each parser by itself, and what it says to whoever wrote something else."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from swarna import environment

BAD: dict[Callable[[str], Any], list[str]] = {
    environment.duration: ["soon", "0", "-1", "1 week", "0.4ms", "1e3", "4000d", "9" * 400, "5m 30s", "nan"],
    environment.retention: ["forever", "-1d", "90", "23h", "00"],
    environment.database_url: [
        "swarna",
        "mysql://asha:hunter2@db/swarna",
        "postgres://asha:hunter2@db:port/swarna",
        "postgres://asha:hunter2@[/swarna",
        "https://asha:hunter2@db",
    ],
    environment.redis_url: [
        "localhost:6379",
        "http://:hunter2@localhost",
        "redis://:hunter2@[",
        "redis://:hunter2@localhost:port",
    ],
    environment.http_url: ["api.gold-api.com", "ftp://host", "http://", "http://[", "http://host:port", "//host"],
    environment.url_prefix: ["/gold prices", "/../gold", "/gold?x", "/सोना", "https://prices.example/gold", "/%67old"],
    environment.api_key: ["hunter2", "hunter2 hunter2", "hunter2\thunter2", "hunter2hunter2→", "hunter2" * 100],
    environment.networks: [
        "proxy.example",
        "10.0.0.1/8",
        "10.0.0.5 10.0.0.6",
        "10.0.0.5,",
        "10.0.0.0/33",
        "10.0.0.0/8 fc00::/7",
        "*",
    ],
    environment.origins: [
        "shop.example",
        "https://shop.example/path",
        "https://",
        "ftp://shop.example",
        "https://सोना.example",
        "https://shop.example:99999",
        "https://shop.*",
        'https://shop"example',
    ],
    environment.currency: ["rupees", "₹", "12$", "IN"],
    environment.quota: ["100", "100/week", "0/day", "-1/day", "many/day", "1.5/day", "9999999999/day"],
    environment.market_calendar: [
        "Christmas",
        "2026-12-32",
        "2026-12-25T17:00",
        "2026-12-25, 2026-12-25",
        "2026-12-25T14",
    ],
    environment.time_zone: ["Bombay", "/etc/passwd", "../../etc/passwd", "Asia/", "a\nb"],
}


@pytest.mark.parametrize("parser", BAD, ids=lambda parser: parser.__name__)
def test_other_text_is_refused_without_repeating_it(parser: Callable[[str], Any]) -> None:
    for text in BAD[parser]:
        with pytest.raises(ValidationError) as refused:
            parser(text)
        assert refused.value.messages
        assert "hunter2" not in str(refused.value), text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60000", 60),
        ("1", 0.001),
        ("500ms", 0.5),
        ("60s", 60),
        ("1.5s", 1.5),
        ("5m", 300),
        ("1h", 3600),
        ("1d", 86400),
        (" 10 s ", 10),
        ("3650d", 3650 * 86400),
    ],
)
def test_durations_are_milliseconds_or_have_a_unit(text: str, seconds: float) -> None:
    assert environment.duration(text) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "prefix"), [("", ""), ("/", ""), ("gold", "/gold"), ("/gold/", "/gold"), (" //a//b_2/ ", "/a/b_2")]
)
def test_a_prefix_has_a_slash_before_each_part_and_none_behind(text: str, prefix: str) -> None:
    assert environment.url_prefix(text) == prefix


@given(st.text())
def test_any_other_text_is_no_duration(text: str) -> None:
    try:
        span = environment.duration(text)
    except ValidationError as error:
        assert error.messages
    else:
        assert dt.timedelta(milliseconds=1) <= span <= dt.timedelta(days=3650)
