"""Policies for browsers: what a page may load and do."""

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class PagePoliciesMiddleware(CSPMiddleware):
    """Sets `CONTENT_SECURITY_POLICY` and `PERMISSIONS_POLICY`, on HTML alone: other content loads and does nothing."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not response.get("Content-Type", "").startswith("text/html"):
            return response
        response["Permissions-Policy"] = settings.PERMISSIONS_POLICY
        return super().process_response(request, response)
