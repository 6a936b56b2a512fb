"""Middleware that makes answers of the API cacheable, and compresses them; pages stay as they are."""

import re
from typing import Any, Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.middleware.http import ConditionalGetMiddleware
from django.utils.cache import patch_vary_headers

from infra.rest.problems import API

_GZIP: Final = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)


def takes_gzip(accept_encoding: str) -> bool:
    """Return True if a client takes compressed answers by its `Accept-Encoding`, which may refuse them with `q=0`."""
    return _GZIP.search(accept_encoding) is not None


class ApiConditionalGetMiddleware(ConditionalGetMiddleware):
    """Sets an `ETag` on the API's answers to GET, and answers 304 to a client that has them already.

    Where a view sets no `Cache-Control`, an answer is to be revalidated each time, and one to a logged-in client is not
    to be stored.
    """

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if not request.path_info.startswith(API):
            return response
        if "Cache-Control" not in response:
            # The endpoints have authenticated the client by now.
            user = getattr(request, "user", None)
            personal = user is not None and user.is_authenticated
            unsafe = response.status_code >= 400 or request.method not in ("GET", "HEAD", "OPTIONS")
            response["Cache-Control"] = "no-store" if personal or unsafe else "no-cache"
        return super().process_response(request, response)


class ApiGZipMiddleware(GZipMiddleware):
    """Compresses the API's public answers.

    Secrets and pages with a CSRF token are not compressed (BREACH): `no-store` marks them.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not request.path_info.startswith(API):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        is_personal = "no-store" in response.get("Cache-Control", "")
        if is_personal or not takes_gzip(request.headers.get("Accept-Encoding", "")):
            return response
        return super().process_response(request, response)
