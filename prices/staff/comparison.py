"""The current answers of all sources, side by side, for an operator who looks for a fault. Publishes nothing."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median
from typing import Any

from django.conf import settings
from django.utils import timezone

from infra import formats
from infra.clock import Clock
from infra.readable import span
from prices.domain.drift import Levels
from prices.domain.quotes import PERCENT_STEP, Metal, PriceKind, PublishedQuote, Quote, percent
from prices.models import Configuration, LatestPrice, ListedMetal, Premium, ProviderState
from prices.premiums import with_premium
from prices.publishing import snapshot
from prices.publishing.quarantine import Validator
from prices.sanity_bands import bands, last_live, recent_levels
from prices.sources import registry
from prices.sources.failover import Outcome
from prices.sources.fetching import probe
from prices.sources.health import quota_left

_LONGEST_ERROR = 18  # characters in a cell; whole below the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The sources' quotes at `at`, beside the shown prices.

    `states` are the sources in staff's order, as they are after they were fetched. `premiums` are by metal, and
    `violations`, the reasons to quarantine a quote, by metal and source.
    """

    at: dt.datetime
    metals: Sequence[Metal]
    outcomes: Mapping[str, Outcome]
    states: Mapping[str, ProviderState]
    shown: Mapping[Metal, PublishedQuote]
    premiums: Mapping[str, Decimal]
    tolerances: Mapping[str, Decimal]
    violations: Mapping[tuple[Metal, str], str]

    @property
    def missing(self) -> list[Metal]:
        """The metals without a price from any source."""
        return [metal for metal in self.metals if not self.quotes(metal)]

    def quotes(self, metal: Metal) -> dict[str, Quote]:
        """The quotes of a metal, by source."""
        return {
            name: quote
            for name, outcome in self.outcomes.items()
            for quote in outcome.all_quotes
            if quote.metal == metal
        }

    def median(self, metal: Metal) -> Decimal | None:
        """The median of the prices with premium: some sources include one already, others do not."""
        prices = [self._out(quote).price for quote in self.quotes(metal).values()]
        return median(prices) if prices else None

    def deviation(self, quote: Quote) -> Decimal:
        """The deviation of a quote from the median, in percent."""
        middle = self.median(quote.metal)
        assert middle is not None
        return percent(self._out(quote).price - middle, middle).quantize(PERCENT_STEP, ROUND_HALF_EVEN) + 0

    def _out(self, quote: Quote) -> Quote:
        return with_premium(quote, self.premiums)

    # --- for people ------------------------------------------------------------------------------------------------

    def table(self) -> str:
        """The sources' quotes, and beneath them how they compare; within 100 columns for three sources."""
        parts = [
            _aligned([*self._quoted(), *self._measured()]),
            _aligned(self._compared()),
            "\n".join(self._remarks()) or "Nothing to report.",
        ]
        return "\n\n".join(parts)

    def _quoted(self) -> list[list[str]]:
        return [
            [f"{settings.BASE_CURRENCY} per gram", *self.outcomes],
            *([metal.value, *(self._cell(metal, name) for name in self.outcomes)] for metal in self.metals),
        ]

    def _cell(self, metal: Metal, name: str) -> str:
        quote = self.quotes(metal).get(name)
        if quote is None:
            error = str(self.outcomes[name].errors.get(metal, "was not fetched"))
            return error if len(error) <= _LONGEST_ERROR else f"{error[: _LONGEST_ERROR - 1]}…"
        return f"{quote.price:,} {self._age(quote)}"

    def _age(self, quote: Quote) -> str:
        return span((self.at - quote.quoted_at).total_seconds())

    def _measured(self) -> list[list[str]]:
        outcomes, states = self.outcomes.values(), self.states.values()
        return [
            ["took", *(f"{outcome.seconds * 1000:.0f} ms" for outcome in outcomes)],
            ["calls", *(str(outcome.calls) for outcome in outcomes)],
            ["quota left", *(quota_left(state, self.at) or "—" for state in states)],
            ["enabled", *("yes" if state.enabled else "no" for state in states)],
        ]

    def _compared(self) -> list[list[str]]:
        rows = [["from the median", *self.outcomes, "on screen now"]]
        for metal in self.metals:
            quotes = self.quotes(metal)
            shown = self.shown.get(metal)
            rows.append(
                [
                    f"{metal} {middle:,.2f}" if (middle := self.median(metal)) else metal.value,
                    *(self._off(quotes[name]) if name in quotes else "—" for name in self.outcomes),
                    f"{shown.quote.price:,} {shown.quote.source} {self._age(shown.quote)}" if shown else "nothing",
                ]
            )
        return rows

    def _off(self, quote: Quote) -> str:
        return f"{self.deviation(quote):+} %{' !' if self._is_off(quote) else ''}"

    def _is_off(self, quote: Quote) -> bool:
        """Return True if a quote is further from the median than its source's tolerance."""
        return abs(self.deviation(quote)) > self.tolerances[quote.source]

    def _remarks(self) -> list[str]:
        lines = [f"{name}: {outcome.detail}" for name, outcome in self.outcomes.items() if outcome.errors]
        lines += [
            f"{name}: {metal} would be quarantined: {detail}" for (metal, name), detail in self.violations.items()
        ]
        if any(self._is_off(quote) for outcome in self.outcomes.values() for quote in outcome.all_quotes):
            lines.append("!: further from the median than is tolerated.")
        lines += [
            f"{metal}: × {self.premiums[metal].normalize():f} before it is shown and compared."
            for metal in self.metals
            if self.premiums[metal] != 1
        ]
        return lines

    # --- for programs ----------------------------------------------------------------------------------------------

    def data(self) -> dict[str, Any]:
        """The comparison as JSON data, with the API's names; prices per gram as sources gave them."""
        return {
            "at": formats.time(self.at),
            "currency": settings.BASE_CURRENCY,
            "unit": "gram",
            "metals": {metal.value: self._metal(metal) for metal in self.metals},
            "providers": {name: self._provider(name) for name in self.outcomes},
        }

    def _metal(self, metal: Metal) -> dict[str, Any]:
        shown = self.shown.get(metal)
        return {
            "prices": {
                name: {
                    "price": quote.price,
                    "timestamp": formats.time(quote.quoted_at),
                    "deviationPercent": self.deviation(quote),
                    "wouldBeHeld": self.violations.get((metal, name)),
                }
                for name, quote in self.quotes(metal).items()
            },
            "errors": {
                name: str(outcome.errors[metal]) for name, outcome in self.outcomes.items() if metal in outcome.errors
            },
            "premium": self.premiums[metal],
            "median": self.median(metal),
            "onScreen": shown
            and {
                "price": shown.quote.price,
                "source": shown.quote.source,
                "timestamp": formats.time(shown.quote.quoted_at),
            },
        }

    def _provider(self, name: str) -> dict[str, Any]:
        outcome, state = self.outcomes[name], self.states[name]
        return {
            "enabled": state.enabled,
            "latencyMs": round(outcome.seconds * 1000),
            "calls": outcome.calls,
            "quotaLeft": state.calls_left(self.at),
            "complaint": outcome.detail,
        }


def compare(names: Collection[str], clock: Clock = timezone.now) -> Comparison:
    """Fetch once from these sources, within their quotas, and compare their answers."""
    outcomes = probe(names, clock)
    now = clock()
    configuration = Configuration.load()
    validator = Validator(
        last=lambda metal: last_live(metal, settings.BASE_CURRENCY),
        levels=lambda metal: _levels(metal, now),
        bands=bands(settings.BASE_CURRENCY),
        max_jump_percent=configuration.jump_percent,
        max_drift_percent=configuration.drift_percent,
        now=now,
    )
    violations = {
        (quote.metal, name): violation.detail
        for name, outcome in outcomes.items()
        for quote in outcome.all_quotes
        if quote.kind is PriceKind.LIVE and (violation := validator.violation_of(quote))
    }
    return Comparison(
        at=now,
        metals=ListedMetal.metals(),
        outcomes=outcomes,
        states={source.name: source for source in registry.in_order() if source.name in outcomes},
        shown=snapshot.read().quotes,
        premiums=Premium.multipliers(now),
        tolerances=registry.tolerances(),
        violations=violations,
    )


def _levels(metal: Metal, now: dt.datetime) -> Levels:
    live = LatestPrice.live(metal, settings.BASE_CURRENCY)
    return recent_levels(live, now) if live else Levels()


def _aligned(rows: list[list[str]]) -> str:
    """Rows of cells as text, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
