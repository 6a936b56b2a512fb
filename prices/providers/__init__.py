"""Where prices come from. One module a vendor: a `fetch` (I/O) around a pure `parse`; its shape ends at `Quote`."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from infra.clock import Clock
from prices.domain.quotes import SIMULATED, Metal, Quote
from prices.providers import gold_api_com, goldapi_io, metalpriceapi, metals_dev, simulated, swissquote
from prices.providers.errors import ProviderError
from prices.providers.http import Client
from prices.providers.parsing import Days


class Fetch(Protocol):
    """What a source says of each of these metals. Raises ProviderError for what concerns all of them.

    `clock` is read when the answer has come: a quote may have been made while it was waited for.
    """

    def __call__(
        self, metals: Sequence[Metal], *, client: Client, clock: Clock
    ) -> Mapping[Metal, Quote | ProviderError]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A vendor. `brings_all`: one call for all metals; else `fetch` is called with one metal at a time, side by side.

    `includes_premium`: its prices hold duty and the like already. `key`: the setting with its key, where it needs one.
    """

    name: str
    fetch: Fetch
    brings_all: bool = False
    includes_premium: bool = False
    key: str = ""


PROVIDERS: Final[Mapping[str, Provider]] = {
    source.name: source
    for source in (
        Provider(name=gold_api_com.NAME, fetch=gold_api_com.fetch),
        Provider(name=goldapi_io.NAME, fetch=goldapi_io.fetch, key="GOLDAPI_IO_KEY"),
        Provider(name=metals_dev.NAME, fetch=metals_dev.fetch, brings_all=True, key="METALS_DEV_KEY"),
        Provider(name=metalpriceapi.NAME, fetch=metalpriceapi.fetch, brings_all=True, key="METALPRICEAPI_KEY"),
        Provider(name=swissquote.NAME, fetch=swissquote.fetch),
        Provider(name=SIMULATED, fetch=simulated.fetch, brings_all=True),
    )
}


class FetchDays(Protocol):
    """What a vendor says of these metals on the days from `first` to `last`, both with them, of UTC.

    Raises NoDataError where it has nothing of any of them, and other ProviderErrors for what concerns all of them.
    """

    def __call__(
        self, metals: Sequence[Metal], first: dt.date, last: dt.date, *, client: Client, now: dt.datetime
    ) -> Days: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Where a vendor keeps its past days, by its name. `source` is the vendor, whose key and quota it shares.

    `days_per_call` is the most that one call may ask for; `brings_all`: of all metals, else `fetch` is called with one.
    """

    name: str
    source: str
    fetch: FetchDays
    days_per_call: int = 1
    brings_all: bool = False


ARCHIVES: Final[Mapping[str, Archive]] = {
    archive.name: archive
    for archive in (
        Archive(name="goldapi_io", source=goldapi_io.NAME, fetch=goldapi_io.fetch_days),
        Archive(
            name="metals_dev",
            source=metals_dev.NAME,
            fetch=metals_dev.fetch_days,
            days_per_call=metals_dev.MOST_DAYS,
            brings_all=True,
        ),
        Archive(
            name="metalpriceapi",
            source=metalpriceapi.NAME,
            fetch=metalpriceapi.fetch_days,
            days_per_call=metalpriceapi.MOST_DAYS,
            brings_all=True,
        ),
        # The day's figures in place of its last price, for as many calls as there are metals and days.
        Archive(name="metalpriceapi_ohlc", source=metalpriceapi.NAME, fetch=metalpriceapi.fetch_ohlc),
    )
}
