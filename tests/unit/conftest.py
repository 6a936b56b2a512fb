"""What makes a unit test one: there is no database for it."""

import pytest


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """In place of the one that makes the test database."""
    pytest.fail("a unit test has no database: put this one into tests/db")
