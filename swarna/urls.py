"""HTTP: the board, the API, the admin, health."""

from collections.abc import Callable
from functools import cache
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import include, path, re_path, register_converter, reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from infra.rest.problems import unknown_address
from infra.rest.strict import Choice, StrictQuerySerializer, StrictView
from pages import developers
from pages.addresses import of_any_address
from pages.board import board
from pages.embed import embed
from pages.metal import MetalConverter, metal
from pages.rendering import in_turn
from pages.screen import screen
from pages.widgets import widgets
from prices.admin import changes
from prices.why import views as why
from signing.api import jwks
from streaming import asyncapi
from streaming.api import StreamView
from swarna import __version__
from swarna.client_modules import client_module, client_release
from swarna.page_policies import in_frames, with_our_frames, with_the_stream, without_cookies
from swarna.readiness import readyz


def read_only(view: Callable[..., Any]) -> Callable[..., Any]:
    """Restrict a view to GET and HEAD; any other method is 405, with or without a CSRF token."""
    return csrf_exempt(require_safe(view))


def visitors_page(view: Callable[..., Any]) -> Callable[..., Any]:
    """A read-only page that connects to the stream, whatever its address holds."""
    return read_only(of_any_address(with_the_stream(in_turn(view))))


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200, for a supervisor or a load balancer. It says nothing about prices."""
    return HttpResponse("ok", content_type="text/plain")


handler400 = "infra.rest.problems.bad_request"
handler403 = "infra.rest.problems.permission_denied"
handler500 = "infra.rest.problems.server_error"


class SchemaQuerySerializer(StrictQuerySerializer):
    """The format of the schema."""

    format = Choice(["yaml", "json"], required=False)


class SchemaView(StrictView):
    """The API, described for machines, as YAML or JSON."""

    # `?format=` chooses the first of two renderers of a format.
    renderer_classes = [OpenApiYamlRenderer, OpenApiYamlRenderer2, OpenApiJsonRenderer2, OpenApiJsonRenderer]
    query_serializer = SchemaQuerySerializer

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response(_schema())


@cache
def _schema() -> Any:
    """The OpenAPI document, made once: it takes a tenth of a second."""
    generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]  # drf-spectacular leaves this untyped
    return generator.get_schema(request=None, public=True)


class AsyncApiView(StrictView):
    """The stream, described for machines."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response(asyncapi.document(__version__, settings.URL_PREFIX))


class DocsView(SpectacularSwaggerSplitView):
    """Swagger's page, without inline scripts and styles, which the policy would block."""

    url_name = "schema"
    template_name = "docs.html"
    http_method_names = ["get", "head"]  # OPTIONS would answer 500

    def _get_schema_url(self, request: Request) -> str:
        # The library hands on `lang` and `version`, which our schema does not have: Swagger would show that error.
        return reverse(self.url_name)


# Icons in its style sheet are allowed.
docs = csp_update({"img-src": ["data:"]})(DocsView.as_view())

register_converter(MetalConverter, "metalname")

urlpatterns = [
    path("", visitors_page(board), name="board"),
    path("<metalname:metal>/", visitors_page(metal), name="metal"),
    path("developers/widgets/", visitors_page(with_our_frames(widgets)), name="widgets"),
    path("embed/", visitors_page(in_frames(without_cookies(embed))), name="embed"),
    path("developers/", read_only(in_turn(developers.document)), name="developers"),
    path("developers/<slug:name>/", read_only(in_turn(developers.document)), name="developers"),
    path("developers/programs/<slug:name>.py", read_only(developers.program), name="developers-program"),
    path("screen/", visitors_page(without_cookies(screen)), name="screen"),
    path("why/", read_only(why.at_moment), name="why-at"),
    path("why/<int:seq>/", read_only(why.publication), name="why"),
    path("healthz", read_only(healthz), name="healthz"),
    path("readyz", read_only(readyz), name="readyz"),
    path(".well-known/jwks.json", read_only(jwks), name="jwks"),
    path("client/v1/release.json", read_only(client_release), name="client-release"),
    path("client/v1/<slug:name>.js", read_only(client_module), name="client-module"),
    # Version 0.2 has it there, before it had an address that stays; this one goes with version 1.0.
    path("static/streaming/<slug:name>.js", read_only(client_module)),
    # Browsers request it on pages that name no icon, such as the admin's.
    path("favicon.ico", read_only(RedirectView.as_view(url=static("streaming/favicon.svg")))),
    path("admin/changes/", admin.site.admin_view(changes.changes), name="staff_changes"),
    path("admin/changes/<int:id>/undo/", admin.site.admin_view(changes.undo_change), name="undo_change"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("prices.api.urls")),
    path("api/v1/locks/", include("locks.api.urls")),
    path("api/v1/stream/", StreamView.as_view(), name="stream"),
    path("api/v1/auth/", include("accounts.api.urls")),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/asyncapi.json", AsyncApiView.as_view(), name="asyncapi"),
    path("api/docs/", docs, name="docs"),
    re_path("^api/", unknown_address),
]
