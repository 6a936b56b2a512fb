"""HTTP: the board, the API, the admin, health."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from prices.models import ListedMetal
from streaming import asyncapi


async def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers: for a supervisor or a load balancer. Says nothing about prices."""
    return HttpResponse("ok", content_type="text/plain")


def board(request: HttpRequest) -> HttpResponse:
    """The board: a page that draws what the stream sends it, with a place for each listed metal."""
    return render(request, "board.html", {"metals": ListedMetal.metals()})


handler400 = "swarna.problems.bad_request"
handler403 = "swarna.problems.permission_denied"
handler404 = "swarna.problems.not_found"
handler500 = "swarna.problems.server_error"


def asyncapi_document(request: HttpRequest) -> HttpResponse:
    """The stream, described for machines."""
    return JsonResponse(asyncapi.document())


urlpatterns = [
    path("", board, name="board"),
    path("healthz", healthz, name="healthz"),
    # Browsers ask for it on pages that name no icon, such as the admin's.
    path("favicon.ico", RedirectView.as_view(url=static("streaming/favicon.svg"))),
    path("admin/", admin.site.urls),
    path("api/v1/", include("prices.api.urls")),
    path("api/v1/auth/", include("accounts.api.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/asyncapi.json", asyncapi_document, name="asyncapi"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
]
