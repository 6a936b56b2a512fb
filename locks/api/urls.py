from django.urls import path

from locks.api import views

urlpatterns = [
    path("", views.LocksView.as_view(), name="locks"),
    path("<uuid:id>/", views.LockView.as_view(), name="lock"),
    path("<uuid:id>/redeem/", views.RedeemView.as_view(), name="redeem-lock"),
]
