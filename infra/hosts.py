"""Requests under other names than those of ALLOWED_HOSTS: for health, and for metrics.

Pages, REST and the admin answer to ALLOWED_HOSTS alone: links and forms depend on the name. Health is no secret, and a
load balancer or a supervisor that asks for it has an address and no name. The stream looks at the name for a login
alone (streaming/auth.py): pages of any origin may read it, and whoever has to be known brings a token or that login.
"""

from collections.abc import Callable, Sequence
from typing import Final

from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.http.response import HttpResponseBase

from infra import addresses

HEALTH: Final = ("/healthz", "/readyz")


def health_by_any_host(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Middleware that lets health be asked for by any Host; it goes before all that look at the Host."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path in HEALTH:
            request.get_host = lambda: "localhost"  # type: ignore[method-assign]  # of this request alone
        return get_response(request)

    return middleware


def foreign_name(host: str, allowed: Sequence[str]) -> str | None:
    """The name in a Host header, if a page of somebody else can have it; None for an address and a name of ours.

    Whoever owns a name can make it lead here within a browser (DNS rebinding), which then lets their page read what is
    answered. It cannot be done with an address, nor with a name without a dot, which is this network's own.
    """
    # Containers are called by names with `_` too, which Django, and no other network, takes for none.
    name = split_domain_port(host)[0] or host.lower().partition(":")[0]
    return None if addresses.is_one(host) or "." not in name or validate_host(name, allowed) else name
