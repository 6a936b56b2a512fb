"""A user, with a token and a login, of the web process that a test module's own fixture `members` is."""

import itertools

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser

from accounts import tokens
from tests.support.server import Server

_numbers = itertools.count(1000)


def somebody() -> User:
    """Create a user whose number no other database's user has: rates are counted by it, in one Redis for all tests."""
    number = next(_numbers)
    user: User = User.objects.create(pk=number, username=f"asha-{number}")
    return user


@pytest.fixture
def asha(members: Server) -> User:
    """Somebody new for each test."""
    user: User = members.do(somebody)
    return user


@pytest.fixture
def token(members: Server, asha: User) -> str:
    """The text of a token of hers."""
    text: str = members.do(lambda: tokens.issue(asha)[1])
    return text


@pytest.fixture
def session(members: Server, asha: User) -> str:
    """The key of her login."""

    def log_in() -> str:
        browser = Browser()
        browser.force_login(asha)
        return browser.cookies["sessionid"].value

    key: str = members.do(log_in)
    return key
