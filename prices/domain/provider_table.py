"""The providers that prices may come from, a line each: settings, checks, docs and tests read these tables. Pure.

A provider's name is the source on its prices; its code is the module of that name in prices/providers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prices.domain.quotes import SIMULATED


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow:
    """One provider; `gives` tells people what its prices are.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRow:
    """One way to a provider's past days, by the function `fetch` of its module; `gives` tells people what comes.

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
        ProviderRow(name="gold_api_com", gives="price", url="https://api.gold-api.com"),
        ProviderRow(
            name="goldapi_io",
            gives="price, bid, ask, the day's figures",
            url="https://www.goldapi.io",
            needs_key=True,
            quota=_FREE,
        ),
        ProviderRow(
            name="metals_dev", gives="price", url="https://api.metals.dev", needs_key=True, quota=_FREE, brings_all=True
        ),
        ProviderRow(
            name="metalpriceapi",
            gives="price; a daily one in the free plan",
            url="https://api.metalpriceapi.com",
            needs_key=True,
            quota=_FREE,
            brings_all=True,
        ),
        ProviderRow(
            name="swissquote",
            gives="bid, ask and their middle, in US dollars; undocumented, and no terms of use were found",
            url="https://forex-data-feed.swissquote.com",
        ),
        ProviderRow(name=SIMULATED, gives="a random walk, for demonstrations", brings_all=True),
    )
}
ARCHIVE_TABLE: Final[Mapping[str, ArchiveRow]] = {
    row.name: row
    for row in (
        ArchiveRow(name="goldapi_io", provider="goldapi_io", gives="open, high, low, close"),
        ArchiveRow(
            name="metals_dev", provider="metals_dev", gives="one price a day", days_per_call=30, brings_all=True
        ),
        ArchiveRow(
            name="metalpriceapi",
            provider="metalpriceapi",
            gives="one price a day; in small plans fewer days a call, or one (`--days-per-call`)",
            days_per_call=365,
            brings_all=True,
        ),
        # For as many calls as there are metals and days.
        ArchiveRow(
            name="metalpriceapi_ohlc", provider="metalpriceapi", gives="open, high, low, close", fetch="fetch_ohlc"
        ),
    )
}
