"""What HTTP may keep of the API's answers, and how they are made small. Middleware; pages are left as they are."""

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.middleware.http import ConditionalGetMiddleware
from django.utils.cache import patch_vary_headers

from infra.rest.problems import API


class ApiConditionalGetMiddleware(ConditionalGetMiddleware):
    """An `ETag` on what the API says to a GET, and 304 to who has it already.

    Where a view said nothing of caches, an answer is to be asked for again each time, and one that depends on who asks
    is kept by nobody.
    """

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if not request.path.startswith(API):
            return response
        if "Cache-Control" not in response:
            # Whoever is logged in has been looked up by now: the endpoints ask all clients who they are.
            somebody = getattr(request, "user", None)
            personal = somebody is not None and somebody.is_authenticated
            unsafe = response.status_code >= 400 or request.method not in ("GET", "HEAD", "OPTIONS")
            response["Cache-Control"] = "no-store" if personal or unsafe else "no-cache"
        return super().process_response(request, response)


class ApiGZipMiddleware(GZipMiddleware):
    """Compresses what the API says to everybody.

    Secrets do not go through it, nor do pages with a CSRF token (BREACH): what nobody may store, nobody compresses.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not request.path.startswith(API):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        if "no-store" in response.get("Cache-Control", ""):
            return response
        return super().process_response(request, response)
