"""Receipts of publications: made and stored by the publication writer, and read by a publication or by a moment.

For a tick that was published before there were receipts, one is made that says what is known of it.
"""

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final, TypeAlias

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from msgspec import structs

from accounts.roles import role_of
from infra import formats
from infra.formats import from_ms, to_ms
from prices import sql
from prices.audit import StaffChange, open_change
from prices.domain import receipts
from prices.domain.consensus import CONSENSUS
from prices.domain.quotes import Metal, PriceKind, Quote, shown_kinds
from prices.domain.receipts import DecidedBy, Decision, Method
from prices.history import partitions
from prices.models import (
    FallbackPrice,
    HeldPrice,
    LatestPrice,
    Premium,
    Price,
    Receipt,
    ReceiptMonth,
    SignificantChange,
)
from prices.premiums import before_premium, included_premium

# Ticks from before receipts are searched so far for the last one that was published by a moment: they are in the order
# of the moments from which they were the price, which a late price or a fallback may leave.
_TICKS_BACK: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """The reason why a price is published: its method, and the person or publication behind it, if there is one.

    `change` is the change by staff that the price is the first of; `based_on`, the publication that showed the price
    before.
    """

    method: Method
    decided_by: DecidedBy | None = None
    change: StaffChange | None = None
    based_on: int | None = None


# --- making ----------------------------------------------------------------------------------------------------------


def of_fallback(quote: Quote) -> Grounds:
    """The grounds of staff's price: who entered it last; nobody, for an example."""
    versions = FallbackPrice.history.filter(metal=quote.metal, currency=quote.currency)
    return _by_version(Method.FALLBACK, Decision.ENTERED, versions)


def of_premium(metal: Metal, at: dt.datetime, based_on: int | None = None) -> Grounds:
    """The grounds of a price under another premium: who entered that."""
    premium = Premium.current(at).get(metal)
    versions = Premium.history.filter(id=premium.pk) if premium else Premium.history.none()
    return _by_version(Method.PREMIUM, Decision.PREMIUM, versions, based_on)


def of_approval(by: str, at: dt.datetime) -> Grounds:
    """The grounds of a quarantined price that a member of staff approved."""
    decided_by = DecidedBy(Decision.APPROVED, role_of(by), by, to_ms(at))
    return Grounds(method=Method.APPROVED, decided_by=decided_by, change=open_change.get())


def _by_version(method: Method, decision: Decision, versions: Any, based_on: int | None = None) -> Grounds:
    """The grounds of a price that staff entered: who saved the newest of these versions, as a query."""
    newest = versions.select_related("change__by").order_by("-history_id").first()
    change: StaffChange | None = newest.change if newest else None
    if change is None or change.by is None:
        return Grounds(method=method, change=change, based_on=based_on)
    name = change.by.get_username()
    decided_by = DecidedBy(decision, role_of(name), name, to_ms(change.at))
    return Grounds(method=method, decided_by=decided_by, change=change, based_on=based_on)


def usual_method(quote: Quote) -> Method:
    """The method of a quote that is published as it comes."""
    if quote.kind is PriceKind.LIVE:
        return Method.CONSENSUS if quote.source == CONSENSUS else Method.FIRST
    return Method.FALLBACK if quote.kind is PriceKind.FALLBACK else Method.SIMULATED


def make(
    quote: Quote, price: Price, grounds: Grounds, *, premium: Decimal, epoch: str, limit: dt.timedelta
) -> receipts.Receipt:
    """The receipt of a `quote`, before any premium of ours, that goes out as this `price`."""
    assert price.published_at is not None
    spot, included = before_premium(quote), included_premium(quote)
    age = settings.MARKET_CALENDAR.age(quote.source, quote.quoted_at, price.published_at)
    return structs.replace(
        of_tick(price),
        epoch=epoch,
        spot=spot.price,
        method=grounds.method,
        premium=premium,
        is_premium_included=included != 1,
        age_ms=max(formats.milliseconds(age), 0),
        limit_ms=formats.milliseconds(limit),
        sources=spot.parts(),
        decided_by=grounds.decided_by,
        based_on=grounds.based_on,
    )


def store(made: Sequence[receipts.Receipt], published_at: dt.datetime) -> None:
    """Write the receipts of one publication, in its transaction."""
    for month in partitions.ensure([published_at], partitions.RECEIPTS):
        first = ReceiptMonth(month=month, first_seq=made[0].seq)
        ReceiptMonth.objects.bulk_create([first], ignore_conflicts=True)
    sql.insert([Receipt.of(receipt, published_at) for receipt in made])


def keep_copy(receipt: receipts.Receipt, change: StaffChange) -> None:
    """Copy a receipt into a change of staff's, unless it has one of the metal: later prices are not its first."""
    kept = receipts.decode_all(change.receipts)
    if receipt.metal not in {each.metal for each in kept}:
        change.receipts = receipts.encode_all([*kept, receipt])
        StaffChange.objects.filter(pk=change.pk).update(receipts=change.receipts)


# --- reading ---------------------------------------------------------------------------------------------------------


def of_publication(seq: int) -> list[receipts.Receipt]:
    """The receipts of a publication, of the metals that may be shown here; empty where none is kept.

    Once the publication is deleted, they are the copies that its significant moves keep.
    """
    for rows in where_it_may_be(seq):
        if found := [receipts.decode(text) for text in rows]:
            return found
    if ticks := Price.shown().filter(seq=seq):
        return [of_tick(tick) for tick in ticks]
    moves = SignificantChange.shown().filter(seq=seq).exclude(receipt="")
    return [receipts.decode(text) for text in moves.values_list("receipt", flat=True)]


def at(metal: Metal, moment: dt.datetime) -> receipts.Receipt | None:
    """The receipt of the price that screens showed at a moment: the last one published by then, if it is kept.

    Publications count by the millisecond, as clients know their times.
    """
    until = from_ms(to_ms(moment) + 1)
    for rows in published_before(metal, until):
        for text in rows[:1]:
            receipt = receipts.decode(text)
            is_ours = receipt.currency == settings.BASE_CURRENCY
            if is_ours and receipt.kind in shown_kinds(settings.PRICE_PROVIDERS):
                return receipt
    ticks = Price.shown().filter(metal=metal, at__lt=until)[:_TICKS_BACK]
    by_then = [tick for tick in ticks if tick.seq and tick.published_at and tick.published_at < until]
    last = max(by_then, key=lambda tick: (tick.published_at, tick.seq), default=None)
    return of_tick(last) if last else None


def is_contested(receipt: receipts.Receipt, moment: dt.datetime) -> bool:
    """Return True if the price of a receipt was contested at a moment at which it was shown, and so stale.

    Where it is not known when a quarantined price began to contest the shown one, it did so once it waited.
    """
    until = from_ms(to_ms(moment) + 1)
    contesting = HeldPrice.objects.annotate(since=Coalesce("contested_at", "waiting_since", "held_at")).filter(
        Q(decided_at=None) | Q(decided_at__gte=until),
        metal=receipt.metal,
        currency=receipt.currency,
        contests=True,
        since__lt=until,
    )
    if receipt.kind is PriceKind.FALLBACK:
        contesting = contesting.filter(quoted_at__gt=from_ms(receipt.quoted_ms))
    return contesting.exists()


def spot_quote(latest: LatestPrice) -> Quote:
    """The quote of a row less our premium, made of what it was made of, to be published again."""
    quote = latest.quote().at_spot()
    return replace(quote, sources=of_latest(latest).sources)


# The texts of receipts, as a query. On PostgreSQL most of its time is planning, which takes a fraction for one month's
# table, one column and few conditions.
_Texts: TypeAlias = "QuerySet[Receipt, str]"


def published_before(metal: Metal, until: dt.datetime) -> Iterator[_Texts]:
    """The receipts of a metal's prices before a moment, the newest first.

    First all of its month; then those that may be shown, of all months. Most moments have a publication before them in
    their month, which may be shown.
    """
    in_order = Receipt.objects.order_by("-published_at", "-seq").values_list("text", flat=True)
    of_metal = in_order.filter(metal=metal, published_at__lt=until)
    yield of_metal.filter(published_at__gte=_begin(partitions.month_of(until)))
    yield of_metal.filter(currency=settings.BASE_CURRENCY, lane__in=shown_kinds(settings.PRICE_PROVIDERS))


def current(metal: Metal) -> receipts.Receipt | None:
    """The receipt of a metal's current price; None where it has no price."""
    latest = LatestPrice.shown().filter(metal=metal).first()
    return of_latest(latest) if latest else None


def of_latest(latest: LatestPrice) -> receipts.Receipt:
    """The receipt of a metal's latest price of a price kind, however long ago that was published."""
    key = {"seq": latest.seq, "metal": latest.metal_id, "published_at": latest.published_at}
    row = Receipt.objects.filter(**key).first()
    return row.value() if row else of_tick(latest)


def of_tick(tick: Price | LatestPrice) -> receipts.Receipt:
    """The receipt of a published tick, as far as the tick itself says."""
    assert tick.seq is not None
    assert tick.published_at is not None
    return receipts.Receipt(
        metal=Metal(tick.metal_id),
        currency=tick.currency,
        epoch=None,
        seq=tick.seq,
        published_ms=to_ms(tick.published_at),
        price=tick.price,
        spot=tick.spot or tick.price,
        bid=tick.bid,
        ask=tick.ask,
        open=tick.open,
        high=tick.high,
        low=tick.low,
        previous_close=tick.previous_close,
        source=tick.source,
        quoted_ms=to_ms(tick.quoted_at),
        method=None,
        premium=None,
        is_premium_included=False,
        age_ms=None,
        limit_ms=None,
        sources=(),
        example=tick.example,
        contributors=tick.contributor_count,
        dispersion_percent=tick.dispersion_percent,
    )


# The months with receipts, each with its first publication, oldest first; by database.
_months: dict[str, list[tuple[int, dt.date]]] = {}


def where_it_may_be(seq: int) -> Iterator[_Texts]:
    """A publication's receipts in the month in which it should be; then in all.

    The clock may have stepped, or the database have begun anew since this process read the months.
    """
    rows = Receipt.shown().filter(seq=seq).order_by().values_list("text", flat=True)
    if connection.vendor == "postgresql":
        months = _months_until_now()
        if number := bisect_right(months, seq, key=itemgetter(0)):
            month = months[number - 1][1]
            yield rows.filter(published_at__gte=_begin(month), published_at__lt=_begin(partitions.next_month(month)))
    yield rows


def _months_until_now() -> list[tuple[int, dt.date]]:
    database = str(connection.settings_dict["NAME"])
    known = _months.get(database, [])
    if not known or known[-1][1] < partitions.month_of(timezone.now()):
        known = _months[database] = list(ReceiptMonth.objects.order_by("first_seq").values_list("first_seq", "month"))
    return known


def _begin(month: dt.date) -> dt.datetime:
    return dt.datetime.combine(month, dt.time(), dt.UTC)
