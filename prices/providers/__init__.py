"""Where prices come from. One module a vendor: a `fetch` (I/O) around a pure `parse`; its shape ends at `Quote`."""

import datetime as dt
from collections.abc import Mapping
from typing import Final, Protocol

from prices.providers import gold_api_com, simulated
from prices.quotes import Metal, Quote


class Fetch(Protocol):
    """One metal's quote from a source. Raises ProviderError. `deadline` is a `time.monotonic()`."""

    def __call__(self, metal: Metal, *, deadline: float, now: dt.datetime) -> Quote: ...


PROVIDERS: Final[Mapping[str, Fetch]] = {
    gold_api_com.NAME: gold_api_com.fetch,
    "simulated": simulated.fetch,
}
