"""HTTP: the board, the API, the admin, health."""

from functools import cache
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.request import Request
from rest_framework.response import Response

from prices.models import ListedMetal
from streaming import asyncapi
from swarna.problems import unknown_address
from swarna.readiness import readyz
from swarna.requests import StrictView


async def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers: for a supervisor or a load balancer. Says nothing about prices."""
    return HttpResponse("ok", content_type="text/plain")


def board(request: HttpRequest) -> HttpResponse:
    """The board: a page that draws what the stream sends it, with a place for each listed metal."""
    return render(request, "board.html", {"metals": ListedMetal.metals()})


handler400 = "swarna.problems.bad_request"
handler403 = "swarna.problems.permission_denied"
handler500 = "swarna.problems.server_error"


class SchemaView(StrictView):
    """The API, described for machines, as YAML or JSON."""

    renderer_classes = SpectacularAPIView.renderer_classes

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response(_schema())


@cache
def _schema() -> Any:
    """Made once: it takes a tenth of a second."""
    generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]  # drf-spectacular leaves this untyped
    return generator.get_schema(request=None, public=True)


class AsyncApiView(StrictView):
    """The stream, described for machines."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response(asyncapi.document())


# It has no answer to OPTIONS but a defect.
docs = SpectacularSwaggerView.as_view(url_name="schema", http_method_names=["get", "head"])

urlpatterns = [
    path("", board, name="board"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    # Browsers ask for it on pages that name no icon, such as the admin's.
    path("favicon.ico", RedirectView.as_view(url=static("streaming/favicon.svg"))),
    path("admin/", admin.site.urls),
    path("api/v1/", include("prices.api.urls")),
    path("api/v1/auth/", include("accounts.api.urls")),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/asyncapi.json", AsyncApiView.as_view(), name="asyncapi"),
    path("api/docs/", docs, name="docs"),
    re_path("^api/", unknown_address),
]
