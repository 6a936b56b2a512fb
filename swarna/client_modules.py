"""Addresses that stay, of the browsers' client: `clients/js/client/` as every version of it is to be found."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.templatetags.static import static

from infra import static_files

_MODULES = frozenset(path.stem for path in (settings.BASE_DIR / "clients/js/client").glob("*.js"))
# Modules that version 0.2 has by another name; such addresses go with version 1.0.
_RENAMED = {"use-websocket-prices": "react"}


def client_module(request: HttpRequest, name: str) -> HttpResponse:
    """A module of one line, never cached, that hands on all of what the module by that name of this version exports."""
    name = _RENAMED.get(name, name)
    if name not in _MODULES:
        raise Http404(f"no module {name}; there are {', '.join(sorted(_MODULES))}")
    return _for_all(HttpResponse(f'export * from "{static(f"client/{name}.js")}";\n', content_type="text/javascript"))


def client_release(request: HttpRequest) -> HttpResponse:
    """The hash of all that pages are made of, which a page compares with its own: another one means a newer version."""
    return _for_all(JsonResponse({"release": static_files.release()}))


def _for_all(response: HttpResponse) -> HttpResponse:
    """The answer to pages of any site, requested each time."""
    response["Cache-Control"] = "no-cache"
    response["Access-Control-Allow-Origin"] = "*"
    return response
