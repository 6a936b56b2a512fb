"""The chain that fails over: each metal from the first source, in order, that has it."""

import datetime as dt
import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from prices.providers import PROVIDERS, Fetch
from prices.providers.errors import ProviderError, TemporaryError
from prices.quotes import Metal, Quote

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """What one source gave: quotes, and for each metal without one the reason."""

    provider: str
    quotes: list[Quote] = field(default_factory=list)
    errors: dict[Metal, ProviderError] = field(default_factory=dict)

    @property
    def complaint(self) -> str:
        """The errors in one line, metals with the same trouble together; empty where all went well."""
        troubles: dict[str, list[Metal]] = {}
        for metal, error in self.errors.items():
            troubles.setdefault(str(error), []).append(metal)
        return "; ".join(f"{', '.join(metals)}: {trouble}" for trouble, metals in troubles.items())

    @property
    def retry_after(self) -> dt.timedelta | None:
        """The longest rest that the source asked for."""
        asked = [error.retry_after for error in self.errors.values() if isinstance(error, TemporaryError)]
        return max((rest for rest in asked if rest), default=None)


def ask(
    providers: Sequence[str], metals: Iterable[Metal], *, budget: dt.timedelta, now: dt.datetime
) -> Iterable[Outcome]:
    """Ask each source in turn for the metals that those before it did not give; yields each source's outcome at once.

    A source may use its share of what is left of `budget`, so that one that hangs leaves time for the next.
    """
    missing = list(metals)
    deadline = time.monotonic() + budget.total_seconds()
    for position, name in enumerate(providers):
        if not missing:
            return
        now_monotonic = time.monotonic()
        share = max(0.0, deadline - now_monotonic) / (len(providers) - position)
        outcome = _ask_one(name, PROVIDERS[name], missing, now_monotonic + share, now)
        if outcome.errors:
            logger.warning("%s gave no price: %s", name, outcome.complaint)
        given = {quote.metal for quote in outcome.quotes}
        missing = [metal for metal in missing if metal not in given]
        yield outcome


def _ask_one(name: str, fetch: Fetch, metals: Sequence[Metal], deadline: float, now: dt.datetime) -> Outcome:
    """All metals side by side. What has not answered by the deadline is left behind, not waited for."""
    outcome = Outcome(name)
    pool = ThreadPoolExecutor(len(metals), thread_name_prefix=name)
    calls: dict[Metal, Future[Quote]] = {
        metal: pool.submit(fetch, metal, deadline=deadline, now=now) for metal in metals
    }
    wait(calls.values(), timeout=max(0.0, deadline - time.monotonic()) + 0.05)
    pool.shutdown(wait=False, cancel_futures=True)
    for metal, call in calls.items():
        if not call.done():
            outcome.errors[metal] = TemporaryError("no answer in time")
            continue
        try:
            outcome.quotes.append(call.result())
        except ProviderError as error:
            outcome.errors[metal] = error
        except Exception as error:  # a defect in one source's code must not keep the others from being asked
            logger.exception("%s failed on %s", name, metal)
            outcome.errors[metal] = TemporaryError(f"failed ({type(error).__name__})")
    return outcome
