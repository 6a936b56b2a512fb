"""`manage.py seed`: write the rows that a fresh database needs before the first price; harmless on any other."""

import datetime as dt
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from prices import schedule
from prices.domain.quotes import Metal, PriceKind, usual_kind
from prices.domain.units import per_gram
from prices.models import EXAMPLES_NOTE, FallbackPrice, ListedMetal
from prices.publishing import ingest
from prices.staff import changes

# goldapi.io's prices in INR per troy ounce in July 2025: old, dated so, and shown as examples until staff enter theirs.
_FALLBACK_AS_OF: Final = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
_FALLBACK_PER_OUNCE: Final = {
    Metal.GOLD: Decimal("286877.2"),
    Metal.SILVER: Decimal("3267.3"),
    Metal.PLATINUM: Decimal("118954.04"),
    Metal.PALLADIUM: Decimal("102613.34"),
}


class Command(BaseCommand):
    help = (
        "Create what is missing of the metals, examples of fallback prices in INR and the schedule, take over a "
        "changed PRICE_UPDATE_INTERVAL, and show the fallback of each metal that has no price yet."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with changes.one_change(reason="manage.py seed"):
            for position, (metal, per_ounce) in enumerate(_FALLBACK_PER_OUNCE.items()):
                listed, _ = ListedMetal.objects.get_or_create(
                    name=metal.value, defaults={"display_name": metal.value.title(), "position": position}
                )
                FallbackPrice.objects.get_or_create(
                    metal=listed,
                    currency="INR",
                    defaults={
                        "price": per_gram(per_ounce),
                        "as_of": _FALLBACK_AS_OF,
                        "note": EXAMPLES_NOTE,
                        "example": True,
                    },
                )
            schedule.apply_deployment()
        if not FallbackPrice.objects.filter(currency=settings.BASE_CURRENCY).exists():
            self.stderr.write(
                f"There is no fallback price in {settings.BASE_CURRENCY}: with no source, nothing can be shown, and a "
                "source's first price is published unchecked. Staff enter them at /admin/prices/fallbackprice/."
            )
        self._tell_of_examples()
        now = timezone.now()
        # A first screen shows these, and waits neither for a worker nor for a source's timeout.
        ingest.fall_back_where_due(now=now, unpriced_only=True)
        ingest.withdraw_fallbacks(now=now)  # an earlier version may have shown examples in place of a source's prices

    def _tell_of_examples(self) -> None:
        """Tell whoever starts the product that staff have yet to enter fallback prices; not where all is simulated."""
        if usual_kind(settings.PRICE_PROVIDERS) is PriceKind.SIMULATED:
            return
        if examples := ", ".join(fallback.metal_id for fallback in FallbackPrice.examples()):
            self.stderr.write(
                f"The fallback prices of {examples} are examples, set by nobody. They are never shown in place of a "
                "source's price, so nothing stands in for one in an outage. Staff enter today's at "
                "/admin/prices/fallbackprice/all/."
            )
