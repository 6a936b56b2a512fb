"""Receipts: all that a published price was made of, so that anyone can compute it once more. Pure; imports no Django.

A `Receipt` is one metal's part in one publication. It is complete in itself: its text, by `encode`, may be copied to
wherever a price has to be proved later. prices/domain/receipt_data.py has it as JSON for clients.

    per gram = raw price x exchange rate / grams of the raw unit             (1 / raw price, of a reciprocal)
    spot     = per gram / premium that the source includes                   (where it includes one)
    spot     = the median of the used sources' spot, if there are several    (the mean of the middle two)
    price    = spot x premium, or per gram itself where the source included the premium

Each of these amounts is computed with 28 digits at least, and rounded to four decimals, half to even.
"""

import datetime as dt
import enum
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from infra.formats import from_ms
from prices.domain.calendar import Calendar
from prices.domain.marks import marks_of
from prices.domain.quotes import DayFigures, Members, Metal, PriceKind, PublishedQuote, Quote, kind_of
from prices.domain.source_quotes import SourceQuote


class Method(enum.StrEnum):
    """The way in which a price came to be published."""

    FIRST = "first"  # the first source, in staff's order, with a fresh price
    CONSENSUS = "consensus"  # the median of sources that agree
    CONFIRMED = "confirmed"  # quarantined at first, and confirmed by a source
    APPROVED = "approved"  # quarantined, and approved by staff
    FALLBACK = "fallback"  # staff's price
    PREMIUM = "premium"  # the shown price under another premium
    RESTORED = "restored"  # the last price that was no fallback, again: after a fallback, or with a close from history
    SIMULATED = "simulated"


class Decision(enum.StrEnum):
    """The decision of a person that made a price what it is."""

    APPROVED = "approved"  # a quarantined price
    ENTERED = "entered"  # a fallback
    PREMIUM = "premium"  # the premium that begins with this price


class DecidedBy(msgspec.Struct, frozen=True, array_like=True):
    """The person behind a price. The role is for everyone, the name for staff alone."""

    decision: Decision
    role: str
    name: str
    at_ms: int


class Receipt(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One metal's receipt; amounts in `currency` per gram of fine metal.

    What was not kept yet when a price was published is None: of a tick from before receipts, `epoch`, `method`,
    `premium`, `age_ms` and `limit_ms`, and its `sources` are empty. `spot` is the price before the premium. `age_ms`
    is the quote's age when it was published, by the hours in which its market was open, and `limit_ms` the freshness
    limit of that time. `based_on` is the publication whose price this one shows again, under another premium or after a
    fallback. `contributors` and `dispersion_percent` are the `Members` of an agreement.
    """

    metal: Metal
    currency: str
    epoch: str | None
    seq: int
    published_ms: int
    price: Decimal
    spot: Decimal
    bid: Decimal | None
    ask: Decimal | None
    open: Decimal
    high: Decimal
    low: Decimal
    previous_close: Decimal | None
    source: str
    quoted_ms: int
    method: Method | None
    premium: Decimal | None
    is_premium_included: bool
    age_ms: int | None
    limit_ms: int | None
    sources: tuple[SourceQuote, ...]
    decided_by: DecidedBy | None = None
    based_on: int | None = None
    example: bool = False
    contributors: int | None = None
    dispersion_percent: Decimal | None = None

    @property
    def kind(self) -> PriceKind:
        return kind_of(self.source)

    @property
    def is_stale(self) -> bool:
        """Return True if the price was stale when it was published; False too where that was not kept."""
        return self.age_ms is not None and self.limit_ms is not None and self.age_ms > self.limit_ms

    def is_stale_at(self, moment: dt.datetime, calendar: Calendar, *, is_contested: bool = False) -> bool | None:
        """Return True if its price was stale at a moment at which it was shown: too old, or contested then.

        None where the freshness limit of then was not kept: nobody knows.
        """
        if is_contested:
            return True
        if self.limit_ms is None:
            return None
        if moment <= from_ms(self.published_ms):
            return self.is_stale
        age = calendar.age(self.source, from_ms(self.quoted_ms), moment)
        return age > dt.timedelta(milliseconds=self.limit_ms)

    def marks_at(self, moment: dt.datetime, calendar: Calendar, *, is_contested: bool = False) -> tuple[str, ...]:
        """The marks of its price at a moment at which it was shown, the most serious first.

        Where nobody knows whether a price of the market was live or stale, it has none.
        """
        is_stale = self.is_stale_at(moment, calendar, is_contested=is_contested)
        if is_stale is None and self.kind is PriceKind.LIVE:
            return ()
        limit = dt.timedelta(milliseconds=self.limit_ms or 0)
        return marks_of(
            self.source,
            is_example=self.example,
            is_stale=is_stale is True,
            is_of_now=calendar.is_of_now(from_ms(self.quoted_ms), moment, limit),
        )

    @property
    def members(self) -> Members | None:
        """The sources that agreed on it, if several did."""
        if self.contributors is None or self.dispersion_percent is None:
            return None
        return Members(self.contributors, self.dispersion_percent)

    def published(self) -> PublishedQuote:
        """The quote as it was published."""
        quote = Quote(
            metal=self.metal,
            price=self.price,
            currency=self.currency,
            source=self.source,
            quoted_at=from_ms(self.quoted_ms),
            bid=self.bid,
            ask=self.ask,
            spot=None if self.spot == self.price else self.spot,
            example=self.example,
            members=self.members,
            sources=self.sources,
        )
        day = DayFigures(open=self.open, high=self.high, low=self.low, previous_close=self.previous_close)
        return PublishedQuote(seq=self.seq, quote=quote, day=day)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Receipt)
_all_decoder = msgspec.json.Decoder(tuple[Receipt, ...])
_sources_decoder = msgspec.json.Decoder(tuple[SourceQuote, ...])


def encode(receipt: Receipt) -> str:
    """A receipt as text, for a row."""
    return _encoder.encode(receipt).decode()


def decode(text: str) -> Receipt:
    """The receipt that `encode` wrote, in this version or an older one."""
    return _decoder.decode(text)


def encode_all(made: Iterable[Receipt]) -> str:
    """Several receipts as one text."""
    return _encoder.encode(tuple(made)).decode()


def decode_all(text: str) -> tuple[Receipt, ...]:
    """The receipts that `encode_all` wrote; none for an empty text."""
    return _all_decoder.decode(text) if text else ()


def encode_sources(sources: Iterable[SourceQuote]) -> str:
    """The parts of a quote as text, for the row of one that may be published later."""
    return _encoder.encode(tuple(sources)).decode()


def decode_sources(text: str) -> tuple[SourceQuote, ...]:
    """The parts that `encode_sources` wrote; none for an empty text."""
    return _sources_decoder.decode(text) if text else ()
