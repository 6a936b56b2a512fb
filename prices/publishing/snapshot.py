"""All current prices as of one moment: for REST, and for a web process that starts or missed a publication."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from django.db import transaction
from django.db.models import OuterRef, Subquery

from prices import schedule
from prices.domain.positions import Position
from prices.domain.quotes import Change, Metal, PriceKind, Publication, PublishedQuote
from prices.history import candle_store
from prices.models import Head, HeldPrice, LatestPrice, ListedMetal, Price, SignificantChange

# As many publications as a web process keeps for clients that come back: four minutes at one a second.
PUBLICATIONS_KEPT = 256
# As many significant moves as those publications have if every metal moves in each. Mostly they are of several days.
MOVES_KEPT = len(Metal) * PUBLICATIONS_KEPT
# Times to read while publications come in between; the last reading is taken as it is.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every listed metal's published quote, in staff's order; and the publications and moves after a given `since`.

    `position` is the newest publication's. `publications` are oldest first, at most `PUBLICATIONS_KEPT`, the newest.
    `moves`, each with its `seq`, are all those after `moves_since`. Where `since` is of another epoch, both begin with
    the oldest in the database. `known_stale` are metals that a web process found stale by its steady clock, whatever
    the wall clock says.
    """

    position: Position
    quotes: Mapping[Metal, PublishedQuote]
    publications: tuple[Publication, ...]
    moves: tuple[tuple[int, Change], ...]
    moves_since: int
    freshness_limit: dt.timedelta
    known_stale: frozenset[Metal] = frozenset()

    def is_stale(self, published: PublishedQuote, now: dt.datetime) -> bool:
        """Return True if a quote is older than the freshness limit, or contested."""
        quote = published.quote
        is_known = published.is_contested or quote.metal in self.known_stale
        return is_known or schedule.is_stale(quote, now=now, limit=self.freshness_limit)


def read(since: Position | None = None, *, seen: Position | None = None) -> Snapshot:
    """Read the current prices as of one moment; with `since`, also the publications after it.

    Draw a new epoch where this database cannot be the one in which `since`, or else `seen`, was the position. Where
    publications come faster than they can be read, a quote may be newer than `position`: the publication that brought
    it follows, and says the same.
    """
    for _ in range(_ATTEMPTS):
        position = _position(seen or since)
        after = position.seq
        if since is not None:
            after = since.seq if since.epoch == position.epoch else 0
        moves, moves_since = _moves_after(after, position.seq)
        publications = _publications_after(after, position, moves)
        quotes = _current_quotes()
        if Head.current().position == position:
            break
    return Snapshot(
        position=position,
        quotes=quotes,
        publications=publications,
        moves=tuple((move.seq, move.value()) for move in moves),
        moves_since=moves_since,
        freshness_limit=schedule.freshness_limit(),
    )


def locked() -> Snapshot:
    """Read the current prices, and keep any other from being published until the caller's transaction ends."""
    limit = schedule.freshness_limit()  # before: publications wait for the lock
    position = Head.locked().position
    return Snapshot(
        position=position,
        quotes=_current_quotes(),
        publications=(),
        moves=(),
        moves_since=position.seq,
        freshness_limit=limit,
    )


def _position(seen: Position | None) -> Position:
    """The newest position, in a new epoch where this database cannot be the one in which `seen` was the position."""
    head = Head.current()
    if seen is not None and _was_put_back(head, seen):
        with transaction.atomic():
            head = Head.locked()
            if _was_put_back(head, seen):
                head.draw_epoch(f"the database lacks publication {seen.seq} of {seen.epoch}", seen=seen.epoch)
    return head.position


def _was_put_back(head: Head, seen: Position) -> bool:
    """Return True if the database is an older copy of the one where `seen` was the position, even if it grew since."""
    if not seen.epoch or seen.epoch != head.epoch:
        # No new epoch for a superseded one: processes that know different epochs would draw new ones without end.
        return seen.epoch not in ("", *head.superseded.split())
    if seen.seq > head.seq:
        return True
    at = head.published_at
    if seen.seq < head.seq:
        at = Price.objects.filter(seq=seen.seq).values_list("published_at", flat=True).first()
    # If the publication is no longer kept, nothing is known.
    return None not in (at, seen.published_at) and at != seen.published_at


def _current_quotes() -> dict[Metal, PublishedQuote]:
    contesting = HeldPrice.pending().filter(metal=OuterRef("metal"), currency=OuterRef("currency"), contests=True)
    newest = contesting.order_by("-quoted_at").values("quoted_at")[:1]
    shown: dict[str, PublishedQuote] = {}
    for latest in LatestPrice.shown().annotate(contested_at=Subquery(newest)):
        is_contested = _is_contested(latest, latest.contested_at)
        shown.setdefault(latest.metal_id, replace(latest.published(), is_contested=is_contested))
    return {metal: shown[metal] for metal in ListedMetal.metals() if metal in shown}


def _is_contested(latest: LatestPrice, quoted_at: dt.datetime | None) -> bool:
    """Return True if a quote of `quoted_at` that waits in quarantine is newer than the shown one; None: none waits.

    No source's price has been accepted since. Staff's has, where they dated it later.
    """
    return quoted_at is not None and (latest.lane != PriceKind.FALLBACK or latest.quoted_at < quoted_at)


def _moves_after(since: int, until: int) -> tuple[list[SignificantChange], int]:
    """The newest `MOVES_KEPT` moves after `since`, oldest first, and the `seq` after which all are among them."""
    if since >= until:
        return [], since
    newest = list(SignificantChange.shown().filter(seq__gt=since, seq__lte=until)[: MOVES_KEPT + 1])
    moves_since = newest.pop().seq if len(newest) > MOVES_KEPT else since
    return newest[::-1], moves_since


def _publications_after(since: int, until: Position, moves: Iterable[SignificantChange]) -> tuple[Publication, ...]:
    """Publications after `since` whose ticks are kept, oldest first, at most `PUBLICATIONS_KEPT`."""
    if since >= until.seq:
        return ()
    after = max(since, until.seq - PUBLICATIONS_KEPT)
    prices = list(Price.objects.filter(seq__gt=after, seq__lte=until.seq).order_by("seq", "id"))
    by_seq: dict[int, list[SignificantChange]] = {}
    for move in moves:
        by_seq.setdefault(move.seq, []).append(move)
    publications = [
        _published(until.epoch, list(of_seq), by_seq.get(seq or 0, []))
        for seq, of_seq in groupby(prices, key=lambda price: price.seq)
    ]
    if publications:
        rows = candle_store.changed_since(after, min(price.at for price in prices))
        publications[-1] = replace(publications[-1], candles=candle_store.by_metal(rows))
    return tuple(publications)


def _published(epoch: str, prices: list[Price], changes: list[SignificantChange]) -> Publication:
    """The publication of these prices; empty where no price of it is shown here, so that numbers have no gap."""
    first = prices[0]
    assert first.seq is not None
    assert first.published_at is not None
    shown = [price for price in prices if price.is_shown]
    return Publication(
        epoch=epoch,
        seq=first.seq,
        published_at=first.published_at,
        quotes=tuple(price.published() for price in shown),
        changes=tuple(change.value() for change in changes),
    )
