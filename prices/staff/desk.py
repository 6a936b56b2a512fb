"""The desk: what staff have to know and decide now, each part only for users who may see it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, cast

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User

from infra.readable import moment, span
from prices.domain.marks import LABELS
from prices.domain.quotes import Metal, PriceKind, PublishedQuote, Quote, percent
from prices.models import FallbackPrice, HeldPrice, LatestPrice, ListedMetal, Premium, ProposedEdit, ProviderState
from prices.premiums import with_premium
from prices.publishing import audience, snapshot
from prices.publishing.quarantine import released_by
from prices.publishing.snapshot import Snapshot
from prices.sources import registry
from prices.sources.health import Health, health, health_detail, quota_left, standing_detail
from prices.staff import feed
from prices.staff.approvals import emergencies, waiting_for
from prices.staff.permissions import may
from prices.staff.row_changes import visible_to

_CHANGES_SHOWN: Final = 5
# Health that needs nobody's attention.
_UNREMARKABLE: Final = (Health.WELL, Health.NEVER_FETCHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMetal:
    """A listed metal's price as screens show it, beside staff's fallback.

    `seq` is that of the publication that brought the price; 0 where there is none. `fallback` is None for users who may
    not view fallbacks, and where there is none; it `is_expired` if it is no longer shown. `live` is the last live
    price, of any age. `premium` is the current multiplier; 1 for users who may not view premiums.
    """

    listed: ListedMetal
    quote: Quote | None
    seq: int
    mark: str
    age: str
    fallback: FallbackPrice | None
    is_expired: bool
    live: Quote | None
    premium: Decimal

    @property
    def label(self) -> str:
        return LABELS.get(self.mark, "No price")

    @property
    def multiplier(self) -> str:
        """The premium in figures; empty where there is none."""
        return "" if self.premium == 1 else f"{self.premium.normalize():f}"

    @property
    def gap(self) -> Decimal | None:
        """The distance of the fallback from the last live price, in percent; None where either is missing."""
        if self.fallback is None or self.live is None:
            return None
        return percent(self.fallback.price - self.live.price, self.live.price)

    @property
    def is_fallback_shown(self) -> bool:
        return self.quote is not None and self.quote.kind is PriceKind.FALLBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPrice:
    """A quarantined price that waits for a decision, and the price that its approval would bring to screens.

    `becomes` is None where its premium would make it a price that cannot be. `released_by` is what may let it out.
    """

    row: HeldPrice
    released_by: str
    shown: Quote | None
    becomes: Quote | None

    @property
    def move(self) -> Decimal | None:
        """The move of the shown price on approval, in percent; None where none is shown."""
        if self.shown is None or self.becomes is None:
            return None
        return percent(self.becomes.price - self.shown.price, self.shown.price)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A price source and how it does, in words."""

    state: ProviderState
    health: str
    is_well: bool
    success: str
    error: str
    quota: str
    standing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """All parts of the desk; a part is None for a user who may not see it.

    `holidays_end` is the day until which the market's holidays are known, if that is less than a year away. `edits` are
    those of others that this user may decide on; `emergencies` were saved without approval within a day;
    `changes` are the newest by staff. `clients` is None where the number is unknown; `next_change` is when the market
    opens or closes next.
    """

    currency: str
    metals: Sequence[ShownMetal]
    waiting: Sequence[WaitingPrice] | None
    sources: Sequence[Source] | None
    changes: Sequence[feed.Entry]
    clients: int | None
    is_market_open: bool
    next_change: dt.datetime
    holidays_end: dt.date | None
    edits: Sequence[ProposedEdit]
    emergencies: Sequence[ProposedEdit]
    may_decide: bool
    may_switch: bool
    may_correct: bool
    may_change_duty: bool


def read(user: User | AnonymousUser, now: dt.datetime) -> Desk:
    """Everything that a member of staff may see on the desk now."""
    current = snapshot.read()
    calendar = settings.MARKET_CALENDAR
    return Desk(
        currency=settings.BASE_CURRENCY,
        metals=_metals(user, current, now),
        waiting=_waiting(current, now) if may(user, "view", HeldPrice) else None,
        sources=_sources(now) if may(user, "view", ProviderState) else None,
        changes=feed.entries(list(visible_to(cast(User, user))[:_CHANGES_SHOWN]), cast(User, user)),
        clients=audience.count(),
        is_market_open=calendar.is_open(now),
        next_change=calendar.next_change(now),
        holidays_end=calendar.runs_out(now),
        edits=list(waiting_for(user, now).order_by("pk")),
        emergencies=list(emergencies(now)),
        may_decide=may(user, "change", HeldPrice),
        may_switch=may(user, "change", ProviderState),
        may_correct=may(user, "change", FallbackPrice),
        may_change_duty=user.has_perm("prices.add_premium"),
    )


def _metals(user: User | AnonymousUser, current: Snapshot, now: dt.datetime) -> list[ShownMetal]:
    currency = settings.BASE_CURRENCY
    fallbacks: dict[str, FallbackPrice] = {}
    if may(user, "view", FallbackPrice):
        fallbacks = {row.metal_id: row for row in FallbackPrice.objects.filter(currency=currency)}
    live = {row.metal_id: row.quote() for row in LatestPrice.objects.filter(lane=PriceKind.LIVE, currency=currency)}
    premiums = Premium.multipliers(now) if may(user, "view", Premium) else {}
    metals = []
    for listed in ListedMetal.objects.filter(enabled=True):
        published = current.quotes.get(Metal(listed.name))
        fallback = fallbacks.get(listed.name)
        expires_at = fallback.expires_at if fallback else None
        metals.append(
            ShownMetal(
                listed=listed,
                quote=published.quote if published else None,
                seq=published.seq if published else 0,
                mark=_mark(published, current, now),
                age=_age(published.quote, now) if published else "",
                fallback=fallback,
                is_expired=expires_at is not None and expires_at <= now,
                live=live.get(listed.name),
                premium=premiums.get(listed.name, Decimal(1)),
            )
        )
    return metals


def _mark(published: PublishedQuote | None, current: Snapshot, now: dt.datetime) -> str:
    """The mark of a shown price, a key of `LABELS`; "none" without one."""
    if published is None:
        return "none"
    quote = published.quote
    if quote.kind is PriceKind.FALLBACK:
        return "example" if quote.example else "fallback"  # old by nature: to call it stale would say nothing
    if current.is_stale(published, now):
        return "stale"
    if quote.kind is PriceKind.SIMULATED:
        return "simulated"
    return "live" if settings.MARKET_CALENDAR.is_of_now(quote.quoted_at, now, current.freshness_limit) else "close"


def _age(quote: Quote, now: dt.datetime) -> str:
    return f"{span((now - quote.quoted_at).total_seconds())} ago"


def _waiting(current: Snapshot, now: dt.datetime) -> list[WaitingPrice]:
    """The pending prices, the oldest first: a new one comes last, and moves no button that staff aim at."""
    pending = HeldPrice.pending().filter(currency=settings.BASE_CURRENCY).select_related("metal").order_by("pk")
    rows = list(pending)
    premiums = Premium.multipliers(now) if rows else {}
    return [
        WaitingPrice(
            row=row,
            released_by=released_by(row, now),
            shown=shown.quote if (shown := current.quotes.get(Metal(row.metal_id))) else None,
            becomes=_approved(row, premiums),
        )
        for row in rows
    ]


def _approved(row: HeldPrice, premiums: Mapping[str, Decimal]) -> Quote | None:
    try:
        return with_premium(row.quote(), premiums)
    except ValueError:
        return None  # so absurd that a premium takes it beyond any price: the desk has to show it all the same


def _sources(now: dt.datetime) -> list[Source]:
    needed = registry.needed(now)
    return [_source(state, now, is_needed=state.name in needed) for state in registry.in_order()]


def _source(state: ProviderState, now: dt.datetime, *, is_needed: bool) -> Source:
    error = f"{moment(state.last_error_at, now)}: {state.last_error}" if state.last_error_at else ""
    its_health = health(state, now, is_needed=is_needed)
    return Source(
        state=state,
        health=health_detail(state, now, is_needed=is_needed),
        is_well=its_health in _UNREMARKABLE,
        success=moment(state.last_success_at, now) if state.last_success_at else "never",
        error=error if its_health is not Health.WELL else "",
        quota=quota_left(state, now),
        standing=standing_detail(state),
    )
