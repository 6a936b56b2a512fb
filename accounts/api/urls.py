from django.urls import path

from accounts.api import views

urlpatterns = [
    path("token/", views.TokensView.as_view(), name="tokens"),
    path("token/<slug:key>/", views.TokenView.as_view(), name="token"),
]
