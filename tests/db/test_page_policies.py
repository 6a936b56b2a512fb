"""The Content-Security-Policy of each page."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client


def policy(response: Any) -> dict[str, list[str]]:
    """The directives of a page's policy."""
    parts = [part.split() for part in response["Content-Security-Policy"].split(";")]
    return {name: values for name, *values in parts}


STRICT = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("host", "streams"),
    [
        ("localhost:3001", ["ws://localhost:3001", "wss://localhost:3001"]),
        ("localhost", ["ws://localhost", "wss://localhost"]),
        ("[::1]:3001", []),
    ],
)
def test_the_board_may_load_its_own_files_and_its_own_stream(
    client: Client, seeded: None, host: str, streams: list[str]
) -> None:
    board = client.get("/", headers={"Host": host})
    assert policy(board) == STRICT | {"connect-src": ["'self'", *streams]}
    assert "screen-wake-lock=(self)" in board["Permissions-Policy"]
    assert "fullscreen=(self)" in board["Permissions-Policy"]
    assert "camera=()" in board["Permissions-Policy"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/logout/", "/admin/prices/premium/", "/nowhere", "/admin/nowhere/"])
def test_every_page_of_the_desk_has_the_strict_policy_whatever_its_status(desk: Client, path: str) -> None:
    page = desk.get(path, follow=True)
    assert policy(page) == STRICT
    assert "Permissions-Policy" in page.headers


@pytest.mark.django_db
def test_the_first_page_of_the_desk_may_load_its_own_stream_too(desk: Client) -> None:
    page = desk.get("/admin/")
    assert policy(page) == STRICT | {"connect-src": ["'self'", "ws://testserver", "wss://testserver"]}
    assert "Permissions-Policy" in page.headers


@pytest.mark.django_db
def test_the_login_has_the_strict_policy(client: Client) -> None:
    assert policy(client.get("/admin/login/")) == STRICT


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/metals/", "/api/schema/", "/static/pages/board.js"])
def test_what_is_no_page_says_nothing_of_policies(client: Client, seeded: None, path: str) -> None:
    response = client.get(path)
    response.close()
    assert not {"Content-Security-Policy", "Permissions-Policy"} & set(response.headers)


def test_settings_have_nothing_inline() -> None:
    assert not re.search("unsafe|nonce|\\*", str(settings.CONTENT_SECURITY_POLICY))
