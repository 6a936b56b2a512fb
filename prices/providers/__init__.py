"""The code of each provider: a module with a `fetch` (I/O) around a pure `parse`. Its JSON's shape ends at `Quote`."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

from infra.clock import Clock
from prices.domain.provider_table import ARCHIVE_TABLE, PROVIDER_TABLE
from prices.domain.quotes import Metal, Quote
from prices.providers.errors import ProviderError
from prices.providers.http import Client
from prices.providers.parsing import Days


class Fetch(Protocol):
    """Fetch the quotes of these metals, and the reason for each that is missing.

    Raises ProviderError for a failure that concerns all of them. `clock` is read when the answer has come: a quote may
    be made during the call.
    """

    def __call__(
        self, metals: Sequence[Metal], *, client: Client, clock: Clock
    ) -> Mapping[Metal, Quote | ProviderError]: ...


class FetchDays(Protocol):
    """Fetch these metals' past days from `first` to `last`, both included, by UTC.

    Raises NoDataError where the provider has none of them, and another ProviderError for a failure that concerns all.
    """

    def __call__(
        self, metals: Sequence[Metal], first: dt.date, last: dt.date, *, client: Client, now: dt.datetime
    ) -> Days: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider's code. `brings_all`: one call for all metals; else one call a metal, side by side."""

    name: str
    fetch: Fetch
    brings_all: bool = False


def _code(provider: str, function: str) -> Any:
    return getattr(import_module(f"{__name__}.{provider}"), function)


PROVIDERS: Final[Mapping[str, Provider]] = {
    row.name: Provider(name=row.name, fetch=_code(row.name, "fetch"), brings_all=row.brings_all)
    for row in PROVIDER_TABLE.values()
}
FETCH_DAYS: Final[Mapping[str, FetchDays]] = {
    row.name: _code(row.provider, row.fetch) for row in ARCHIVE_TABLE.values()
}
