"""What was published, to read."""

from django.contrib import admin

from prices.admin.pages import ReadOnlyAdmin
from prices.models import Price, SignificantChange
from prices.words import to_the_second


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    """What was published, newest first."""

    list_display = ["published_at", "metal", "price", "currency", "source", "quoted", "tick_id"]
    list_filter = ["metal", "source", "tick__published_at"]
    list_select_related = ["metal", "tick"]
    show_full_result_count = False

    @admin.display(ordering="tick_id")
    def published_at(self, price: Price) -> str:
        return to_the_second(price.tick.published_at)

    @admin.display(ordering="quoted_at", description="quoted at")
    def quoted(self, price: Price) -> str:
        return to_the_second(price.quoted_at)


@admin.register(SignificantChange)
class SignificantChangeAdmin(ReadOnlyAdmin):
    list_display = ["published_at", "metal", "old_price", "new_price", "change_percent"]
    list_filter = ["metal"]
    list_select_related = ["metal", "tick"]

    @admin.display(ordering="tick_id")
    def published_at(self, change: SignificantChange) -> str:
        return to_the_second(change.tick.published_at)
