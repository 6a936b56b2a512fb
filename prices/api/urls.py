from django.urls import path, register_converter
from django.urls.converters import StringConverter

from prices.api import history, proposals, receipts, views
from prices.domain.quotes import METAL_NAMES


class MetalConverter(StringConverter):
    """A metal's name or ISO code in a path, as its name. Any other text stays, for the view to reject."""

    def to_python(self, value: str) -> str:
        return METAL_NAMES[value].value if value in METAL_NAMES else value


register_converter(MetalConverter, "metal")

urlpatterns = [
    path("metals/", views.MetalsView.as_view(), name="metals"),
    path("prices/", views.PricesView.as_view(), name="prices"),
    path("prices/<metal:metal>/", views.PriceView.as_view(), name="price"),
    path("prices/<metal:metal>/history/", history.HistoryView.as_view(), name="history"),
    path("prices/<metal:metal>/candles/", history.CandlesView.as_view(), name="candles"),
    path("publications/<seq>/", receipts.PublicationView.as_view(), name="publication"),
    path("changes/", history.ChangesView.as_view(), name="changes"),
    path("market/", views.MarketView.as_view(), name="market"),
    path("config/", views.ConfigView.as_view(), name="config"),
    path("fallback-prices/", views.FallbackPricesView.as_view(), name="fallback-prices"),
    path("fallback-prices/<metal:metal>/", views.FallbackPriceView.as_view(), name="fallback-price"),
    path("proposals/", proposals.ProposalsView.as_view(), name="proposals"),
    path("proposals/<int:number>/", proposals.ProposalView.as_view(), name="proposal"),
    path("providers/", views.ProvidersView.as_view(), name="providers"),
]
