"""prices/domain/provider_table.py, and the tables of docs/sources.md that are written from it."""

import inspect
from collections.abc import Iterator

import pytest

from prices.domain.provider_table import ARCHIVE_TABLE, PROVIDER_TABLE
from prices.providers import FETCH_DAYS, PROVIDERS
from tests.support import docs_tables


def sources() -> Iterator[str]:
    for row in PROVIDER_TABLE.values():
        calls = "none" if not row.url else "one" if row.brings_all else "one a metal"
        key = f"`{row.setting('KEY')}`" if row.needs_key else "none"
        yield f"| `{row.name}` | {calls} | {row.gives} | {key} | {row.quota if row.url else ''} | {row.url} |"


def archives() -> Iterator[str]:
    for row in ARCHIVE_TABLE.values():
        metals = "all metals" if row.brings_all else "one metal"
        days = "one day" if row.days_per_call == 1 else f"{row.days_per_call} days"
        yield f"| `{row.name}` | {metals}, {days} | {row.gives} |"


TABLES = {
    "the sources": docs_tables.table("| source | calls a refresh | gives | key | quota | address |", sources()),
    "the archives": docs_tables.table("| `--provider` | a call brings | gives |", archives()),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_page_has_the_table_as_it_is(name: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-tables"):
        docs_tables.write(name, TABLES[name])
    assert docs_tables.written(name) == TABLES[name], "write it anew: pytest --write-tables"


def test_each_provider_and_each_archive_has_its_code() -> None:
    assert {name: row.brings_all for name, row in PROVIDER_TABLE.items()} == {
        name: provider.brings_all for name, provider in PROVIDERS.items()
    }
    assert set(FETCH_DAYS) == set(ARCHIVE_TABLE)
    for provider in PROVIDERS.values():
        assert list(inspect.signature(provider.fetch).parameters) == ["metals", "client", "clock"], provider.name
    for name, fetch_days in FETCH_DAYS.items():
        assert list(inspect.signature(fetch_days).parameters) == ["metals", "first", "last", "client", "now"], name
    assert {row.provider for row in ARCHIVE_TABLE.values()} <= set(PROVIDER_TABLE)
