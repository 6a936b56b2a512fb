"""Whom cookies are shown to: in one of them is the login of staff, who can set prices."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


class SecureCookiesMiddleware(MiddlewareMixin):
    """A cookie that is given by https comes back by https alone. One given by http, as on one machine, by either."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response
