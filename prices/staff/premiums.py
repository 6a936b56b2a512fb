"""Premiums as staff edit them: the form, and what screens would show with and without a premium."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from infra.readable import moment
from prices.domain.quotes import PriceKind, Quote, percent
from prices.models import Configuration, LatestPrice, ListedMetal, Premium
from prices.premiums import with_premium
from prices.publishing import ingest
from prices.staff.forms import AuditedForm
from prices.staff.unapproved import BEFORE, multiplier_before


def shown_quote(metal: ListedMetal) -> Quote | None:
    """The shown quote of a metal."""
    latest = LatestPrice.shown().filter(metal=metal).first()
    return latest.quote() if latest else None


def moved_quote(metal: ListedMetal) -> Quote | None:
    """The quote of a metal that a premium moves: the shown one; or, behind a shown fallback, the last live one."""
    shown = shown_quote(metal)
    if shown is None or shown.kind is not PriceKind.FALLBACK:
        return shown
    live = LatestPrice.live(metal.name, shown.currency)
    return live.quote() if live else shown


def under(quote: Quote, multiplier: Decimal) -> Quote:
    """A shown quote under another premium."""
    return with_premium(quote.at_spot(), {quote.metal: multiplier})


def described(quote: Quote, multiplier: Decimal) -> str:
    """A shown quote under a premium, as a sentence without its full stop."""
    spot, then = quote.at_spot().price, under(quote, multiplier).price
    if spot == then != spot * multiplier:
        return f"{quote.metal} is shown as {quote.source} gives it, {spot:,}: no premium is put on that"
    return f"{quote.metal} is {spot:,} × {multiplier.normalize():f} = {then:,} {quote.currency} per gram"


def move_under(quote: Quote, multiplier: Decimal) -> Decimal:
    """The move of a shown quote under a premium, in percent."""
    return percent(under(quote, multiplier).price - quote.price, quote.price)


def _beside_now(
    metal: ListedMetal, quote: Quote, multiplier: Decimal, otherwise: str = "was the last live price"
) -> str:
    """A quote under a premium, beside its price now; `otherwise` says what that is where it is not the shown one."""
    moved = f"{move_under(quote, multiplier):+.1f} %"
    now = "is shown now" if quote == shown_quote(metal) else otherwise
    return f"{described(quote, multiplier)}, {moved} from the {quote.price:,} that {now}"


def _current(metal: ListedMetal, at: dt.datetime, without: Iterable[Premium]) -> Premium | None:
    """A metal's current premium at `at`, leaving out those of `without`."""
    others = Premium.objects.filter(metal=metal, effective_from__lte=at).exclude(pk__in=[each.pk for each in without])
    return others.order_by("effective_from").last()


def _multiplier(premium: Premium | None) -> Decimal:
    return premium.multiplier if premium else Decimal(1)


class PremiumForm(AuditedForm):
    """Shows the price under the premium, and requires a confirmation where it jumps, now or with the next quote."""

    confirm = forms.BooleanField(
        required=False, label="I checked it", help_text="Needed only where the price would jump."
    )

    class Meta:
        model = Premium
        fields = ["metal", "multiplier", "effective_from", "note"]
        help_texts = {"note": "What it is made of. Anybody can read it in the API's config."}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "multiplier" in self.fields:
            self.fields["multiplier"].help_text += f" Now {self._now()}."

    def _now(self) -> str:
        """The shown price and its premium; of all metals where none is chosen yet."""
        premiums = Premium.multipliers(timezone.now())
        chosen = ListedMetal.objects.filter(enabled=True)
        if self.instance.pk:
            chosen = chosen.filter(pk=self.instance.metal_id)
        shown = [described(quote, premiums[quote.metal]) for metal in chosen if (quote := shown_quote(metal))]
        return "; ".join(shown) or "it has no price"

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        metal, multiplier = data.get("metal") or getattr(self.instance, "metal", None), data.get("multiplier")
        moved = moved_quote(metal) if metal else None
        begins = data.get("effective_from")
        if metal and moved and begins and multiplier and 0 < multiplier < 1000 and not data.get("confirm"):
            for becomes in self._becomes(metal, multiplier, begins):
                if abs(move_under(moved, becomes)) > Configuration.load().jump_percent:
                    becoming = f"With it {_beside_now(metal, moved, becomes)}. If it is right, {self.to_confirm}."
                    self.add_error("multiplier", becoming)
        return data

    def _becomes(self, metal: ListedMetal, multiplier: Decimal, begins: dt.datetime) -> list[Decimal]:
        """The multipliers that would be current once this is saved: now and, if it begins later, from then on.

        The current one may be another premium's: a later one's, or, if this one is postponed, the one's before it.
        """
        now = timezone.now()
        newest = _current(metal, now, without=[self.instance])
        if begins > now:
            return [_multiplier(newest), multiplier]
        return [newest.multiplier if newest and newest.effective_from > begins else multiplier]

    def excess(self, limit_percent: Decimal, by: User | None) -> str | None:
        """The move of the last live price, where it is beyond the limit: now, or when this premium begins."""
        data, metal = self.cleaned_data, self.instance.metal
        if not self.instance._state.adding and {"multiplier", "effective_from"}.isdisjoint(self.changed_data):
            return None
        becoming = self._becomes(metal, data["multiplier"], data["effective_from"])
        return _excess(metal, becoming, limit_percent, by)

    def futility(self) -> str:
        metal, now = self.instance.metal, timezone.now()
        newest = _current(metal, now, without=[self.instance])
        if newest is None or newest.effective_from <= self.cleaned_data["effective_from"]:
            return ""
        return f"a later premium of {metal.name} is current by now: this one would change nothing"

    @staticmethod
    def show() -> None:
        ingest.apply_premiums(now=timezone.now())


def _excess(metal: ListedMetal, multipliers: Iterable[Decimal], limit_percent: Decimal, by: User | None) -> str | None:
    """The first of these premiums under which a metal's last live price moves beyond a limit, in words.

    It moves from what it was, at the same spot, before `by` changed premiums of late without approval. Where no source
    has ever given one, the shown price counts; a premium moves no fallback, so the premium itself is measured then.
    """
    now = timezone.now()
    before = multiplier_before(metal, by, now)
    live = LatestPrice.live(metal.name, settings.BASE_CURRENCY)
    quote = live.quote() if live else shown_quote(metal)
    if quote is None or quote.kind is PriceKind.FALLBACK:
        start = _multiplier(_current(metal, now, without=[])) if before is None else before
        return _excess_of_premium(metal, start, multipliers, limit_percent, "of now" if before is None else BEFORE)
    was = "was the last live price" if before is None else f"was the price {BEFORE}"
    quote = quote if before is None else under(quote, before)
    beyond = (each for each in multipliers if abs(move_under(quote, each)) > limit_percent)
    return next((_beside_now(metal, quote, each, was) for each in beyond), None)


def _excess_of_premium(
    metal: ListedMetal, start: Decimal, multipliers: Iterable[Decimal], limit_percent: Decimal, when: str
) -> str | None:
    """The first of these premiums that is itself beyond a limit from the one at the start, in words."""
    for each in multipliers:
        move = percent(each - start, start)
        if abs(move) > limit_percent:
            was = f"{move:+.1f} % from × {start.normalize():f}, the one {when}"
            return f"the premium of {metal.name}, × {each.normalize():f}, is {was}"
    return None


def excess_without(gone: Sequence[Premium], now: dt.datetime, limit_percent: Decimal, by: User) -> str | None:
    """The reason why `by`, with this limit, may not delete premiums of one metal alone; None if they may."""
    moments = {now, *(premium.effective_from for premium in gone if premium.effective_from > now)}
    then = [_multiplier(_current(gone[0].metal, at, without=gone)) for at in sorted(moments)]
    return _excess(gone[0].metal, then, limit_percent, by)


def described_without(gone: Sequence[Premium], now: dt.datetime) -> Iterator[str]:
    """Yield sentences: the shown price of a metal without these premiums, now and when each would have begun."""
    metal = gone[0].metal
    shown = shown_quote(metal)
    if shown is None:
        return
    then = _multiplier(_current(metal, now, without=gone))
    if move_under(shown, then):
        yield f"Without it {_beside_now(metal, shown, then)}."
    else:
        yield f"With or without it {described(shown, then)}."
    for begins in (premium.effective_from for premium in gone if premium.effective_from > now):
        then = _multiplier(_current(metal, begins, without=gone))
        yield f"From {moment(begins, now)} on it would not apply: at today's spot, {described(shown, then)}."
