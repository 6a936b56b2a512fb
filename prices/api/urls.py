from django.urls import path

from prices.api import history, views

urlpatterns = [
    path("metals/", views.MetalsView.as_view(), name="metals"),
    path("prices/", views.PricesView.as_view(), name="prices"),
    path("prices/<str:metal>/", views.PriceView.as_view(), name="price"),
    path("prices/<str:metal>/history/", history.HistoryView.as_view(), name="history"),
    path("prices/<str:metal>/candles/", history.CandlesView.as_view(), name="candles"),
    path("changes/", history.ChangesView.as_view(), name="changes"),
    path("market/", views.MarketView.as_view(), name="market"),
    path("config/", views.ConfigView.as_view(), name="config"),
    path("fallback-prices/", views.FallbackPricesView.as_view(), name="fallback-prices"),
    path("fallback-prices/<str:metal>/", views.FallbackPriceView.as_view(), name="fallback-price"),
    path("providers/", views.ProvidersView.as_view(), name="providers"),
]
