"""Secure cookies: one of them is the login of staff, who can set prices."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


class SecureCookiesMiddleware(MiddlewareMixin):
    """Marks cookies that are set by https as `Secure`; a login by http, as on one machine, works too."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response
