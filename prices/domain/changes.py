"""Significant moves of a price. Pure."""

from decimal import ROUND_HALF_EVEN, Decimal

from prices.domain.quotes import PERCENT_STEP, Change, Metal, percent


def significant_change(metal: Metal, old: Decimal, new: Decimal, *, threshold: Decimal) -> Change | None:
    """The move from `old` to `new` if it is larger than `threshold` percent, up or down; else None."""
    moved = percent(new - old, old)
    if abs(moved) <= threshold:
        return None
    return Change(
        metal=metal,
        old_price=old,
        new_price=new,
        change_percent=moved.quantize(PERCENT_STEP, ROUND_HALF_EVEN),
    )
