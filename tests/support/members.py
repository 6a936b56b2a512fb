"""A user, with a token and a login, of the web process that a test module's own fixture `members` is."""

import itertools

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser

from accounts import tokens
from tests.support.server import Server

_numbers = itertools.count()


@pytest.fixture
def asha(members: Server) -> User:
    """Somebody new for each test: a rate is a user's."""
    user: User = members.do(lambda: User.objects.create(username=f"asha-{next(_numbers)}"))
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
