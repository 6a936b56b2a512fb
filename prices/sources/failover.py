"""Fetch metals from sources: one after the other until all are there, or side by side."""

import datetime as dt
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from infra.clock import Clock
from infra.formats import to_ms
from prices.domain.quota import Reservation
from prices.domain.quotes import Metal, Quote
from prices.domain.source_quotes import Exclusion, SourceQuote
from prices.providers import PROVIDERS, Provider
from prices.providers.errors import ProviderError, TemporaryError
from prices.providers.http import TRIES, Client

logger = logging.getLogger(__name__)

# Seconds that a good answer waits for others, to go out with them.
_GATHER = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of fetching: all of it within `budget`; the `clock` of quotes, and which of them are stale.

    `reserve` takes a number of calls out of a source's quota; None where the source has none.
    """

    budget: dt.timedelta
    clock: Clock
    is_stale: Callable[[Quote], bool]
    reserve: Callable[[str, int], Reservation | None]


@dataclass(slots=True)
class Outcome:
    """The answers of one source so far: quotes, of which `fresh` are new since the last time, and errors by metal.

    `stale` quotes are shown if there are no better ones; their metals have an error, and are fetched from the next
    source too.
    """

    source: str
    fresh: list[Quote] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    stale: list[Quote] = field(default_factory=list)
    errors: dict[Metal, ProviderError] = field(default_factory=dict)
    is_over: bool = False
    reservation: Reservation | None = None
    calls: int = 0
    seconds: float = 0.0

    @property
    def detail(self) -> str:
        """The errors in one line, metals with the same error together; empty without errors."""
        by_detail: dict[str, list[Metal]] = {}
        for metal in filter(self.errors.__contains__, Metal):
            by_detail.setdefault(str(self.errors[metal]), []).append(metal)
        return "; ".join(f"{', '.join(metals)}: {detail}" for detail, metals in by_detail.items())

    @property
    def all_quotes(self) -> list[Quote]:
        """The fresh and the stale quotes."""
        return [*self.quotes, *self.stale]

    @property
    def answered(self) -> set[Metal]:
        """The metals with an answer, good or bad."""
        return {quote.metal for quote in self.all_quotes} | self.errors.keys()

    @property
    def exclusions(self) -> dict[Metal, SourceQuote]:
        """The source's part in the price of each metal for which it gave no fresh quote."""
        failed = SourceQuote(source=self.source, excluded_by=Exclusion.ERROR)
        stale = {quote.metal: part for quote in self.stale for part in quote.excluded(Exclusion.STALE)}
        return dict.fromkeys(self.errors, failed) | stale

    @property
    def retry_after(self) -> dt.timedelta | None:
        """The longest rest that the source demanded by Retry-After."""
        rests = [error.retry_after for error in self.errors.values() if isinstance(error, TemporaryError)]
        return max((rest for rest in rests if rest), default=None)


def one_after_the_other(
    names: Sequence[str],
    metals: Iterable[Metal],
    terms: Terms,
    *,
    take: Callable[[Outcome], Collection[Metal]],
) -> None:
    """Fetch from each source in turn the metals that the sources before it did not give, or that still need a price.

    A source may use its share of the rest of the budget, so that one that hangs leaves time for the next. Calls
    `take` with a source's outcome whenever it has fresh quotes, and when it is over; `take` returns the metals whose
    quotes were quarantined, which are fetched from the next source too, like those whose quote is stale.
    """
    missing = list(metals)
    deadline = time.monotonic() + terms.budget.total_seconds()
    for position, name in enumerate(names):
        if not missing:
            return
        share = max(0.0, deadline - time.monotonic()) / (len(names) - position)
        fetch = _Fetch(PROVIDERS[name], missing, terms, time.monotonic() + share)
        quarantined = {metal for outcome in fetch.outcomes() for metal in take(outcome)}
        given = {quote.metal for quote in fetch.outcome.quotes} - quarantined
        missing = [metal for metal in missing if metal not in given]


def side_by_side(names: Sequence[str], metals: Sequence[Metal], terms: Terms) -> Iterator[list[Outcome]]:
    """Fetch all metals from all sources at once; yields the outcomes with new answers, or that are over."""
    if not metals:
        return
    deadline = time.monotonic() + terms.budget.total_seconds()
    fetches = [_Fetch(PROVIDERS[name], metals, terms, deadline) for name in names]
    while fetches:
        _gather([call for fetch in fetches for call in fetch.pending], deadline)
        yield [fetch.outcome for fetch in fetches if fetch.settle()]
        fetches = [fetch for fetch in fetches if not fetch.outcome.is_over]


class _Fetch:
    """The calls to one provider, side by side. A call without an answer at the deadline is left behind."""

    def __init__(self, provider: Provider, metals: Sequence[Metal], terms: Terms, deadline: float) -> None:
        batches = [tuple(metals)] if provider.brings_all else [(metal,) for metal in metals]
        reservation = terms.reserve(provider.name, TRIES * len(batches))
        self.outcome = Outcome(provider.name, reservation=reservation)
        self._is_stale = terms.is_stale
        self._deadline = deadline
        self._began = time.monotonic()
        self._client = Client(deadline=deadline, most_calls=reservation.calls if reservation else None)
        pool = ThreadPoolExecutor(len(batches), thread_name_prefix=provider.name)
        self.pending: dict[Future[Mapping[Metal, Quote | ProviderError]], tuple[Metal, ...]] = {
            pool.submit(_call, provider, batch, self._client, terms.clock): batch for batch in batches
        }
        pool.shutdown(wait=False)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome whenever it has fresh quotes, and when it is over."""
        while not self.outcome.is_over:
            _gather(self.pending, self._deadline)
            if self.settle() and (self.outcome.fresh or self.outcome.is_over):
                yield self.outcome

    def settle(self) -> bool:
        """Take the answers that have come. Returns True if there are any, or the fetch is over."""
        self.outcome.fresh = []
        done = [call for call in self.pending if call.done()]
        for call in done:
            self._take(self.pending.pop(call), call)
        if self.pending and _left(self._deadline) == 0.0:
            for metals in self.pending.values():
                self._fail(metals, TemporaryError("no answer in time"))
            self.pending.clear()
        self.outcome.quotes += self.outcome.fresh
        if not self.pending:
            self.outcome.is_over = True
            self.outcome.calls = self._client.calls
            self.outcome.seconds = time.monotonic() - self._began
            if self.outcome.errors:
                logger.warning("%s gave no fresh price: %s", self.outcome.source, self.outcome.detail)
        return bool(done) or self.outcome.is_over

    def _take(self, metals: tuple[Metal, ...], call: Future[Mapping[Metal, Quote | ProviderError]]) -> None:
        try:
            answers = call.result()
        except ProviderError as error:
            self._fail(metals, error)
            return
        except Exception as error:  # a defect in one provider's code must not cost the others
            logger.exception("%s failed on %s", self.outcome.source, ", ".join(metals))
            self._fail(metals, TemporaryError(f"failed ({type(error).__name__})"))
            return
        for metal in metals:
            match answers.get(metal):
                case Quote() as quote if self._is_stale(quote):
                    self.outcome.stale.append(quote)
                    as_of = f"{quote.quoted_at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
                    self._fail((metal,), TemporaryError(f"gives a price of {as_of}, which is stale"))
                case Quote() as quote:
                    self.outcome.fresh.append(quote)
                case ProviderError() as reason:
                    self._fail((metal,), reason)
                case None:
                    self._fail((metal,), TemporaryError("is not in the answer"))

    def _fail(self, metals: Iterable[Metal], error: ProviderError) -> None:
        self.outcome.errors.update(dict.fromkeys(metals, error))


def _call(
    provider: Provider, metals: Sequence[Metal], client: Client, clock: Clock
) -> Mapping[Metal, Quote | ProviderError]:
    """Fetch from a provider, and note in its quotes when that was. Raises ProviderError."""
    answers = provider.fetch(metals, client=client, clock=clock)
    at = to_ms(clock())
    return {
        metal: answer.with_parts(fetched_ms=at) if isinstance(answer, Quote) else answer
        for metal, answer in answers.items()
    }


def _gather(calls: Collection[Future[Any]], deadline: float) -> None:
    """Wait for the first call, and for others that are nearly as quick."""
    wait(calls, _left(deadline), return_when=FIRST_COMPLETED)
    wait(calls, min(_GATHER, _left(deadline)))


def _left(deadline: float) -> float:
    """Seconds until the deadline, plus a moment for calls that end by themselves at the deadline."""
    return max(0.0, deadline + 0.05 - time.monotonic())
