"""No token and no key of a price source stands in the log."""

import logging
import sys
from typing import Any

import pytest
from django.conf import settings
from pytest_django import Settings

from infra.redaction import TOKEN_PREFIX, without_secrets, without_tokens
from infra.repeated_logs import RepeatedLogsHandler

TOKEN = f"{TOKEN_PREFIX}0a1b2c3d" + "4e5f6a7b" * 7


def logged(message: str, *arguments: object, failing: bool = False) -> str:
    """The line as the product's own handler would print it."""
    # Beside it, there are pytest's.
    handler = next(each for each in logging.getLogger("streaming").handlers if type(each) is RepeatedLogsHandler)
    error = None
    if failing:
        try:
            raise ValueError(f"cannot use {TOKEN}")
        except ValueError:
            error = sys.exc_info()
    return handler.format(logging.LogRecord("streaming", logging.ERROR, "", 0, message, arguments, error))


def test_a_token_is_cut_down_to_its_key() -> None:
    assert without_tokens(f"a {TOKEN} b {TOKEN}") == f"a {TOKEN[:15]}… b {TOKEN[:15]}…"
    assert without_tokens("nothing secret") == "nothing secret"


def test_a_clients_message_is_logged_without_the_token_in_it() -> None:
    line = logged("a defect of ours, met by the client's message %.200r", f'{{"type":"ping","token":"{TOKEN}"}}')
    assert TOKEN[:15] in line
    assert TOKEN[:16] not in line


def test_one_that_a_limit_has_cut_is_not_logged_either() -> None:
    assert TOKEN[:16] not in logged("%.40r", TOKEN)


def test_a_traceback_is_logged_without_the_token_in_it() -> None:
    line = logged("a defect", failing=True)
    assert "Traceback" in line
    assert TOKEN[:16] not in line


def test_every_handler_formats_like_this() -> None:
    logging: dict[str, Any] = settings.LOGGING
    formatters = logging["formatters"]
    for handler in logging["handlers"].values():
        assert formatters[handler["formatter"]]["()"] == "infra.redaction.TokenlessFormatter"


@pytest.mark.parametrize("name", settings.SECRET_SETTINGS)
def test_a_providers_key_is_taken_out_however_it_is_written(name: str, settings: Settings) -> None:
    setattr(settings, name, "not+a/key")
    said = "a not+a/key b NOT+A/KEY c ?api_key=not%2Ba%2fkey&d"
    assert without_secrets(said) == "a … b … c ?api_key=…&d"
    line = logged("%s", said)
    assert line == without_secrets(line)
    assert without_secrets(TOKEN) == without_tokens(TOKEN)


def test_of_two_keys_of_which_one_begins_the_other_nothing_is_left(settings: Settings) -> None:
    settings.GOLDAPI_IO_KEY, settings.METALS_DEV_KEY = "not-a-key", "not-a-key-at-all"
    assert without_secrets("a not-a-key-at-all b not-a-key c") == "a … b … c"


def test_without_keys_a_text_stays_as_it_is() -> None:
    assert without_secrets("nothing secret, nor anything empty") == "nothing secret, nor anything empty"
