"""A metal's receipt in words, for people: how its price came about, and its sources side by side."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django.conf import settings

from infra.formats import from_ms
from infra.readable import moment, percent, span
from prices.domain.marks import LABELS
from prices.domain.quotes import PriceKind
from prices.domain.receipts import Decision, Method, Receipt
from prices.domain.source_quotes import Exclusion, RawUnit, SourceQuote
from prices.staff.amounts import written
from prices.why.calculation import Step, plain, steps
from prices.why.names import NAMED, source_name

NOTHING: Final = "—"
NOT_KEPT: Final = "not kept"
COLUMNS: Final = (
    "Source",
    "It said",
    "Quoted",
    "Fetched",
    "Exchange rate",
    "Spot per gram",
    "From the median",
    "Counted",
)
# By mark: what to know before the price is used.
_WARNINGS: Final = {
    "example": "An example that came with the installation, which no member of staff had entered or confirmed: it is "
    "no price to buy or sell by.",
    "fallback": "A fallback: staff set it for the time in which no source answers. It is not the market's price.",
    "simulated": "The price of a made-up market, for trying things out.",
}
_METHODS: Final = {
    Method.FIRST: "the first source, in staff's order, with a price to show",
    Method.CONSENSUS: "the median of the sources that agreed",
    Method.CONFIRMED: "quarantined at first, then confirmed by another quote",
    Method.APPROVED: "quarantined at first, then approved by staff",
    Method.FALLBACK: "staff's price, as no source had confirmed one",
    Method.PREMIUM: "the price before, under another premium",
    Method.RESTORED: "an earlier price, shown again",
    Method.SIMULATED: "a simulated market",
}
# By the rule that excluded a source: in a sentence, after its name; and in the table.
_EXCLUDED: Final = {
    Exclusion.TOLERANCE: ("was left out, being too far from the median", "no: too far from the median"),
    Exclusion.STALE: ("was left out, as its price was too old", "no: its price was too old"),
    Exclusion.STANDING: ("was left out, as its price stood still while others moved", "no: it stood still"),
    Exclusion.ERROR: ("gave no price", "no: it gave no price"),
    Exclusion.QUARANTINED: ("was left out, as its price was quarantined", "no: it was quarantined"),
    Exclusion.AGREEMENT: ("was left out, as too few sources agreed", "no: too few sources agreed"),
}
_DECIDED: Final = {
    Decision.APPROVED: "approved this price",
    Decision.ENTERED: "entered this price",
    Decision.PREMIUM: "set this premium",
}
_UNITS: Final = {
    RawUnit.GRAM: "gram",
    RawUnit.KILOGRAM: "kilogram",
    RawUnit.TONNE: "tonne",
    RawUnit.TROY_OUNCE: "troy ounce",
}
_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source's part: its name, and its texts in the order of `COLUMNS`."""

    name: str
    is_used: bool
    texts: tuple[str, ...]

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Each text with the name of its column."""
        return list(zip(COLUMNS[1:], self.texts, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One metal's receipt, for a page.

    `answer` is the whole in sentences, `warning` what to know before them; `based_on` is the publication whose price
    was shown again.
    """

    metal: str
    symbol: str
    price: str
    mark: str
    warning: str
    answer: str
    sources: Sequence[SourceRow]
    steps: Sequence[Step]
    facts: Sequence[tuple[str, str]]
    based_on: int | None

    @property
    def label(self) -> str:
        return LABELS.get(self.mark, "")


def story(
    receipt: Receipt, *, at: dt.datetime | None = None, is_contested: bool = False, with_name: bool = False
) -> Story:
    """A receipt as a person reads it, who looks at the screens of a moment `at`, or else of its publication.

    `is_contested`: it was contested then. `with_name`: for staff, with the name of the person who decided.
    """
    moment_of = at or from_ms(receipt.published_ms)
    marks = receipt.marks_at(moment_of, settings.MARKET_CALENDAR, is_contested=is_contested)
    mark = marks[0] if marks else "none"
    return Story(
        metal=receipt.metal.value,
        symbol=receipt.metal.symbol,
        price=written(receipt.price),
        mark=mark,
        warning=_WARNINGS.get(mark, ""),
        answer=" ".join(
            [*_sentences(receipt, with_name=with_name), *_later(receipt, at), *_contested(receipt, is_contested)]
        ),
        # Ours alone, as staff's price, has no other side.
        sources=[_row(source, receipt) for source in receipt.sources if source.source not in NAMED],
        steps=steps(receipt),
        facts=_facts(receipt, with_name=with_name),
        based_on=receipt.based_on,
    )


# --- in sentences ----------------------------------------------------------------------------------------------------


def _sentences(receipt: Receipt, *, with_name: bool) -> list[str]:
    found = [f"{_origin(receipt)}{_premium(receipt)}"]
    found += [f"{_left_out(source, source.excluded_by)}." for source in receipt.sources if source.excluded_by]
    if receipt.decided_by:
        found.append(f"{_decided(receipt, with_name=with_name)}.")
    if receipt.is_stale and receipt.kind is PriceKind.LIVE:
        found.append(f"It was shown as stale: {_age(receipt)}.")
    return found


def _later(receipt: Receipt, at: dt.datetime | None) -> Iterator[str]:
    """A sentence about a moment after the publication, at which its price was still shown."""
    published = from_ms(receipt.published_ms)
    if at is None or at <= published:
        return
    quoted = from_ms(receipt.quoted_ms)
    age = settings.MARKET_CALENDAR.age(receipt.source, quoted, at)
    stale = ", and so was stale" if "stale" in receipt.marks_at(at, settings.MARKET_CALENDAR) else ""
    yield f"At {moment(at, published)} it was still the newest, {span(age.total_seconds())} old{stale}."


def _contested(receipt: Receipt, is_contested: bool) -> Iterator[str]:
    """A sentence about a price that was stale, however young, since a newer one waited in quarantine."""
    if is_contested and receipt.kind is not PriceKind.FALLBACK:
        yield "It was contested, and so shown as stale: a newer quote waited in quarantine."


def _origin(receipt: Receipt) -> str:
    """The beginning of each price's sentence: the origin of its spot price."""
    spot, by = f"{written(receipt.spot)} {receipt.currency} per gram", _by(receipt)
    quoted = moment(from_ms(receipt.quoted_ms), from_ms(receipt.published_ms))
    match receipt.method:
        case Method.FIRST:
            return f"{by} quoted {spot} at {quoted}: the first source, in staff's order, with a price to show"
        case Method.CONSENSUS:
            used, total = sum(source.is_used for source in receipt.sources), len(receipt.sources)
            agreed = f"{_count(used)} of {_count(total)}" if used < total else f"all {_count(total)}"
            return f"{agreed.capitalize()} sources agreed on {spot}, the median of their prices"
        case Method.CONFIRMED | Method.APPROVED:
            let_out = "staff approved it" if receipt.method is Method.APPROVED else "another quote confirmed it"
            return f"A price of {spot} by {by}, quoted at {quoted}, was kept back until {let_out}"
        case Method.FALLBACK if receipt.example:
            return f"No source had confirmed a price, so screens showed an example, {spot}"
        case Method.FALLBACK:
            return f"No source had confirmed a price, so screens showed the one that staff had set, {spot}"
        case Method.PREMIUM:
            return f"The premium changed, so a price of {spot} by {by}, quoted at {quoted}, was shown anew"
        case Method.RESTORED:
            why = "as a fallback had ended, or history had brought its previous close"
            return f"A price of {spot} by {by}, quoted at {quoted}, was shown again, {why}"
        case Method.SIMULATED:
            return f"A simulated market made up {spot}"
        case None:
            return f"The price was {spot} by {by}, quoted at {quoted}, from before receipts were kept"


def _premium(receipt: Receipt) -> str:
    """The end of each price's sentence: from its spot price to the published one."""
    price = written(receipt.price)
    if receipt.is_premium_included and receipt.premium not in (None, 1):
        return f"; its own price, {price}, includes a premium."
    if receipt.price == receipt.spot:
        return "." if receipt.kind is PriceKind.FALLBACK or receipt.premium is None else "; no premium was on it."
    if receipt.premium is None:
        return f"; with a premium that was {price}."
    return f"; with a premium of {_share(receipt.premium)} that was {price}."


def _left_out(source: SourceQuote, by: Exclusion) -> str:
    words = f"{source_name(source.source)} {_EXCLUDED[by][0]}"
    if by is not Exclusion.TOLERANCE or source.deviation_percent is None:
        return words
    return f"{words} ({percent(source.deviation_percent)})"


def _decided(receipt: Receipt, *, with_name: bool) -> str:
    decided = receipt.decided_by
    assert decided is not None
    who = decided.name if with_name and decided.name else "A member of staff"
    role = f" ({decided.role})" if decided.role else ""
    at = moment(from_ms(decided.at_ms), from_ms(receipt.published_ms))
    return f"{who}{role} {_DECIDED[decided.decision]} at {at}"


def _by(receipt: Receipt) -> str:
    return NAMED.get(receipt.source, source_name(receipt.source))


# --- side by side ----------------------------------------------------------------------------------------------------


def _row(source: SourceQuote, receipt: Receipt) -> SourceRow:
    published, exchange = from_ms(receipt.published_ms), source.exchange

    def time(milliseconds: int | None) -> str:
        return NOTHING if milliseconds is None else moment(from_ms(milliseconds), published)

    spot = NOTHING if source.spot is None else written(source.spot)
    rate = NOTHING
    if exchange:
        of, by = f"{plain(exchange.rate)} {receipt.currency} for 1 {source.raw_currency}", source_name(exchange.source)
        rate = f"{of}, by {by} as of {time(exchange.as_of_ms)}"
    return SourceRow(
        source_name(source.source),
        source.is_used,
        (
            _raw(source),
            time(source.quoted_ms),
            time(source.fetched_ms),
            rate,
            f"{spot}, less its own premium" if source.included else spot,
            NOTHING if source.deviation_percent is None else percent(source.deviation_percent),
            _EXCLUDED[source.excluded_by][1] if source.excluded_by else "yes",
        ),
    )


def _raw(source: SourceQuote) -> str:
    if source.raw_price is None or source.raw_unit is None:
        return NOTHING
    if source.raw_unit is RawUnit.RECIPROCAL_TROY_OUNCE:
        return f"{plain(source.raw_price)} troy ounces for 1 {source.raw_currency}"
    return f"{written(source.raw_price)} {source.raw_currency} per {_UNITS[source.raw_unit]}"


# --- the rest --------------------------------------------------------------------------------------------------------


def _facts(receipt: Receipt, *, with_name: bool) -> list[tuple[str, str]]:
    """Further facts about a price, beside its sources: terms with their details."""
    market = [each for each in (receipt.bid, receipt.ask) if each is not None]
    return [
        ("Source", _by(receipt)),
        ("How", _METHODS[receipt.method] if receipt.method else NOT_KEPT),
        ("Quoted", moment(from_ms(receipt.quoted_ms), from_ms(receipt.published_ms))),
        ("When it went out", _age(receipt)),
        ("Spot", written(receipt.spot)),
        ("Premium", _premium_in_full(receipt)),
        *([("Bid, ask", " and ".join(map(written, market)))] if len(market) == 2 else []),
        *([("Decided", _decided(receipt, with_name=with_name))] if receipt.decided_by else []),
    ]


def _age(receipt: Receipt) -> str:
    """The age of a quote when it went out, and whether that was stale."""
    if receipt.age_ms is None:
        return NOT_KEPT
    age = f"{span(receipt.age_ms / 1000)} old"
    if receipt.limit_ms is None or receipt.kind is PriceKind.FALLBACK:
        return age
    return f"{age}, {'stale' if receipt.is_stale else 'fresh'} by the limit of {span(receipt.limit_ms / 1000)}"


def _premium_in_full(receipt: Receipt) -> str:
    if receipt.premium is None:
        return NOT_KEPT
    if receipt.premium == 1:
        return "none"
    included = ", included by the source" if receipt.is_premium_included else ""
    return f"{_share(receipt.premium)} (× {plain(receipt.premium)}){included}"


def _share(multiplier: Decimal) -> str:
    """A premium in percent: `6 %` for 1.06."""
    return f"{plain((multiplier - 1) * 100)} %"


def _count(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else f"{number}"
