"""Policies for browsers: what a page may load and do."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.constants import SELF
from csp.decorators import csp_replace, csp_update
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.clickjacking import xframe_options_exempt


class PagePoliciesMiddleware(CSPMiddleware):
    """Sets `CONTENT_SECURITY_POLICY` and `PERMISSIONS_POLICY`, on HTML alone: other content loads and does nothing."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not response.get("Content-Type", "").startswith("text/html"):
            return response
        response["Permissions-Policy"] = settings.PERMISSIONS_POLICY
        return super().process_response(request, response)


def with_the_stream(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a page connect to the stream at its own host."""

    @wraps(view)
    def connecting(request: HttpRequest, *args: Any, **options: Any) -> Any:
        allowed = csp_update({"connect-src": _streams_at(request.get_host())})
        return allowed(view)(request, *args, **options)

    return connecting


def with_our_frames(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a page show others of this host in frames: those that `in_frames` lets it."""
    return csp_replace({"frame-src": [SELF]})(view)


def in_frames(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let pages of `EMBED_ALLOWED_ORIGINS`, and our own, show a page in a frame."""

    @wraps(view)
    def framed(request: HttpRequest, *args: Any, **options: Any) -> Any:
        allowed = csp_replace({"frame-ancestors": [SELF, *settings.EMBED_ALLOWED_ORIGINS]})
        # This older header knows no list; where both are there, browsers read the policy alone.
        return xframe_options_exempt(allowed(view))(request, *args, **options)

    return framed


def without_cookies(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer as if the request had no cookie: none is read, set or deleted, whatever it holds."""

    @wraps(view)
    def unknowing(request: HttpRequest, *args: Any, **options: Any) -> Any:
        request.COOKIES.clear()
        # Set already, where the cookie for forms holds nonsense.
        request.META["CSRF_COOKIE_NEEDS_UPDATE"] = False
        return view(request, *args, **options)

    return unknowing


def _streams_at(host: str) -> list[str]:
    """The stream's sources at a host, for older browsers, whose `self` excludes WebSockets.

    Empty at an IPv6 address, which no policy can name.
    """
    return [] if host.startswith("[") else [f"ws://{host}", f"wss://{host}"]
