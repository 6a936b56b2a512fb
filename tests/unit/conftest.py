"""Keep unit tests from the database."""

import pytest


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """Replaces the fixture that makes the test database."""
    pytest.fail("a unit test has no database: put this one into tests/db")
