"""A fixture without any counted attempt at a password."""

import itertools
import os

import pytest
from pytest_django import Settings

from accounts import attempts
from infra.fixed_window import FixedWindowCounter

_numbers = itertools.count()


@pytest.fixture
def attempts_of_nobody(monkeypatch: pytest.MonkeyPatch, settings: Settings, valkey: str) -> FixedWindowCounter:
    """Counters of attempts without any, and passwords that are cheap to check."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    fresh = FixedWindowCounter(valkey, f"test-attempts-{os.getpid()}-{next(_numbers)}", attempts.WINDOW)
    monkeypatch.setattr(attempts, "_counter", lambda: fresh)
    return fresh
