"""The chain that fails over: each metal from the first source, in order, that has it."""

import datetime as dt
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from infra.clock import Clock
from prices.domain.quota import Booking
from prices.domain.quotes import Metal, Quote
from prices.providers import PROVIDERS, Source
from prices.providers.errors import ProviderError, TemporaryError
from prices.providers.http import TRIES, Client

logger = logging.getLogger(__name__)

# Seconds that a good answer waits for others, to go out with them.
_GATHER = 0.3

IsStale: TypeAlias = Callable[[Quote], bool]
# Takes a source's name and how many calls it may need; what its quota grants of them, None where it has no quota.
Book: TypeAlias = Callable[[str, int], Booking | None]


@dataclass(slots=True)
class Outcome:
    """What one source gave so far: quotes, of which `fresh` have come since the last look, and errors by metal.

    `stale` are quotes too, better than none; but for their metals, which have an error, the next source is asked.
    `held`, which the caller fills in, are metals whose quotes were not believed: for them the next source is asked too.
    """

    source: str
    fresh: list[Quote] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    stale: list[Quote] = field(default_factory=list)
    errors: dict[Metal, ProviderError] = field(default_factory=dict)
    held: set[Metal] = field(default_factory=set)
    is_over: bool = False
    booking: Booking | None = None
    calls: int = 0
    seconds: float = 0.0

    @property
    def complaint(self) -> str:
        """The errors in one line, metals with the same trouble together; empty where all went well."""
        troubles: dict[str, list[Metal]] = {}
        for metal in filter(self.errors.__contains__, Metal):
            troubles.setdefault(str(self.errors[metal]), []).append(metal)
        return "; ".join(f"{', '.join(metals)}: {trouble}" for trouble, metals in troubles.items())

    @property
    def said(self) -> list[Quote]:
        """All quotes, the stale ones too."""
        return [*self.quotes, *self.stale]

    @property
    def answered(self) -> set[Metal]:
        """The metals of which an answer has come, good or bad."""
        return {quote.metal for quote in self.said} | self.errors.keys()

    @property
    def retry_after(self) -> dt.timedelta | None:
        """The longest rest that the source asked for."""
        asked = [error.retry_after for error in self.errors.values() if isinstance(error, TemporaryError)]
        return max((rest for rest in asked if rest), default=None)


def one_after_the_other(
    names: Sequence[str],
    metals: Iterable[Metal],
    *,
    budget: dt.timedelta,
    clock: Clock,
    is_stale: IsStale,
    book: Book,
) -> Iterator[Outcome]:
    """Ask each source in turn for the metals that those before it did not give, or gave a stale quote of.

    A source may use its share of what is left of `budget`, so that one that hangs leaves time for the next. Yields a
    source's outcome whenever there are fresh quotes in it, and when it is over.
    """
    missing = list(metals)
    deadline = time.monotonic() + budget.total_seconds()
    for position, name in enumerate(names):
        if not missing:
            return
        share = max(0.0, deadline - time.monotonic()) / (len(names) - position)
        until = time.monotonic() + share
        asking = _Asking(PROVIDERS[name], missing, deadline=until, clock=clock, is_stale=is_stale, book=book)
        yield from asking.outcomes()
        given = {quote.metal for quote in asking.outcome.quotes} - asking.outcome.held
        missing = [metal for metal in missing if metal not in given]


def side_by_side(
    names: Sequence[str],
    metals: Sequence[Metal],
    *,
    budget: dt.timedelta,
    clock: Clock,
    is_stale: IsStale,
    book: Book,
) -> Iterator[list[Outcome]]:
    """Ask all sources at once for all metals; yields those with new answers, or that are over, as they come."""
    if not metals:
        return
    deadline = time.monotonic() + budget.total_seconds()
    askings = [
        _Asking(PROVIDERS[name], metals, deadline=deadline, clock=clock, is_stale=is_stale, book=book) for name in names
    ]
    while askings:
        _gather([call for asking in askings for call in asking.pending], deadline)
        yield [asking.outcome for asking in askings if asking.settle()]
        askings = [asking for asking in askings if not asking.outcome.is_over]


class _Asking:
    """The calls to one source, side by side. What has not answered by the deadline is left behind, not waited for."""

    def __init__(
        self,
        source: Source,
        metals: Sequence[Metal],
        *,
        deadline: float,
        clock: Clock,
        is_stale: IsStale,
        book: Book,
    ) -> None:
        together = [tuple(metals)] if source.brings_all else [(metal,) for metal in metals]
        booking = book(source.name, TRIES * len(together))
        self.outcome = Outcome(source.name, booking=booking)
        self._is_stale = is_stale
        self._deadline = deadline
        self._began = time.monotonic()
        self._client = Client(deadline=deadline, most_calls=booking.calls if booking else None)
        pool = ThreadPoolExecutor(len(together), thread_name_prefix=source.name)
        self.pending: dict[Future[Mapping[Metal, Quote | ProviderError]], tuple[Metal, ...]] = {
            pool.submit(source.fetch, asked, client=self._client, clock=clock): asked for asked in together
        }
        pool.shutdown(wait=False)

    def outcomes(self) -> Iterator[Outcome]:
        """The outcome, each time that there are fresh quotes in it, and at the end."""
        while not self.outcome.is_over:
            _gather(self.pending, self._deadline)
            if self.settle() and (self.outcome.fresh or self.outcome.is_over):
                yield self.outcome

    def settle(self) -> bool:
        """Take the answers that have come. Whether that is news: there are some, or it is over."""
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
                logger.warning("%s gave no fresh price: %s", self.outcome.source, self.outcome.complaint)
        return bool(done) or self.outcome.is_over

    def _take(self, metals: tuple[Metal, ...], call: Future[Mapping[Metal, Quote | ProviderError]]) -> None:
        try:
            answers = call.result()
        except ProviderError as error:
            self._fail(metals, error)
            return
        except Exception as error:  # a defect in one source's code must not keep the others from being asked
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
                case ProviderError() as trouble:
                    self._fail((metal,), trouble)
                case None:
                    self._fail((metal,), TemporaryError("is not in the answer"))

    def _fail(self, metals: Iterable[Metal], error: ProviderError) -> None:
        self.outcome.errors.update(dict.fromkeys(metals, error))


def _gather(calls: Collection[Future[Any]], deadline: float) -> None:
    """Wait for the first of the calls, and for those that are nearly as quick."""
    wait(calls, _left(deadline), return_when=FIRST_COMPLETED)
    wait(calls, min(_GATHER, _left(deadline)))


def _left(deadline: float) -> float:
    """Seconds until the deadline, and a moment for those who keep it themselves."""
    return max(0.0, deadline + 0.05 - time.monotonic())
