"""The providers that prices may come from, a line each: settings, checks, docs and tests read these tables. Pure.

A provider's name is the source on its prices; its code is the module of that name in prices/providers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prices.domain.quotes import SIMULATED


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider; `gives` describes its prices to people.

    `url` is its base address, and `quota` the calls of its free plan: defaults of the settings `<NAME>_URL` and
    `<NAME>_QUOTA`. Without a `url` it makes no calls, and has neither. `needs_key`: there is a `<NAME>_KEY` too.
    `brings_all`: one call for all metals; else one a metal. `includes_premium`: duty and the like are in its prices.
    """

    name: str
    gives: str
    url: str = ""
    needs_key: bool = False
    quota: str = "none"
    brings_all: bool = False
    includes_premium: bool = False

    def setting(self, suffix: str) -> str:
        """The name of one of its settings, such as `METALS_DEV_KEY` for `KEY`."""
        return f"{self.name.upper()}_{suffix}"


@dataclass(frozen=True, slots=True)
class ArchiveRow:
    """One way to a provider's past days, by the function `fetch` of its module; `gives` describes its prices to people.

    `days_per_call` is the most that one call may fetch. `brings_all`: one call for all metals; else for one.
    """

    name: str
    provider: str
    gives: str
    fetch: str = "fetch_days"
    days_per_call: int = 1
    brings_all: bool = False


_FREE: Final = "100/month"
PROVIDER_TABLE: Final[Mapping[str, ProviderRow]] = {
    row.name: row
    for row in (
        ProviderRow("gold_api_com", "price", "https://api.gold-api.com"),
        ProviderRow(
            "goldapi_io", "price, bid, ask, the day's figures", "https://www.goldapi.io", needs_key=True, quota=_FREE
        ),
        ProviderRow("metals_dev", "price", "https://api.metals.dev", needs_key=True, quota=_FREE, brings_all=True),
        ProviderRow(
            "metalpriceapi",
            "price; a daily one in the free plan",
            "https://api.metalpriceapi.com",
            needs_key=True,
            quota=_FREE,
            brings_all=True,
        ),
        ProviderRow(
            "swissquote",
            "bid, ask and their middle, in US dollars; undocumented, and no terms of use were found",
            "https://forex-data-feed.swissquote.com",
        ),
        ProviderRow(SIMULATED, "a random walk, for demonstrations", brings_all=True),
    )
}
_FEWER: Final = "one price a day; in small plans fewer days a call, or one (`--days-per-call`)"
ARCHIVE_TABLE: Final[Mapping[str, ArchiveRow]] = {
    row.name: row
    for row in (
        ArchiveRow("goldapi_io", "goldapi_io", "open, high, low, close"),
        ArchiveRow("metals_dev", "metals_dev", "one price a day", days_per_call=30, brings_all=True),
        ArchiveRow("metalpriceapi", "metalpriceapi", _FEWER, days_per_call=365, brings_all=True),
        ArchiveRow("metalpriceapi_ohlc", "metalpriceapi", "open, high, low, close", fetch="fetch_ohlc"),
    )
}
