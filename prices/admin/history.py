"""Published prices and significant moves, to read."""

from django.contrib import admin

from infra.readable import to_the_second
from prices.admin.pages import ReadOnlyAdmin
from prices.models import Price, SignificantChange


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    """Published prices, newest first."""

    list_display = ["since", "metal", "price", "currency", "source", "quoted", "seq"]
    list_filter = ["metal", "source", "at"]
    list_select_related = ["metal"]
    show_full_result_count = False

    @admin.display(ordering="at", description="from")
    def since(self, price: Price) -> str:
        return to_the_second(price.at)

    @admin.display(ordering="quoted_at", description="quoted at")
    def quoted(self, price: Price) -> str:
        return to_the_second(price.quoted_at)


@admin.register(SignificantChange)
class SignificantChangeAdmin(ReadOnlyAdmin):
    list_display = ["published", "metal", "old_price", "new_price", "change_percent"]
    exclude = ["receipt"]  # for programs
    list_filter = ["metal"]
    list_select_related = ["metal"]

    @admin.display(ordering="seq", description="published at")
    def published(self, change: SignificantChange) -> str:
        return to_the_second(change.published_at)
