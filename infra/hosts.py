"""Requests under names that ALLOWED_HOSTS does not list: for health, and for metrics.

Pages, REST and the admin answer to ALLOWED_HOSTS alone: links and forms depend on the name. Health is no secret, and a
load balancer or a supervisor knows an address and no name. The stream checks the name for a login alone
(streaming/auth.py): pages of any origin may read it, and a client that has to be known brings a token or that login.
"""

from collections.abc import Callable, Sequence
from typing import Final

from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.http.response import HttpResponseBase

from infra import addresses

HEALTH: Final = ("/healthz", "/readyz")


def health_by_any_host(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Middleware that lets requests for health have any Host; it comes before all middleware that checks the Host."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info in HEALTH:
            request.get_host = lambda: "localhost"  # type: ignore[method-assign]  # of this request alone
        return get_response(request)

    return middleware


def foreign_name(host: str, allowed: Sequence[str]) -> str | None:
    """The name in a Host header, if it may be a stranger's; None for an address and for a name in `allowed`.

    The owner of a name can point it here within a browser (DNS rebinding), which then lets the owner's page read the
    answer. An address cannot be used so, nor a name without a dot, which is this network's own.
    """
    # Containers have names with `_` too, which Django takes for no name.
    name = split_domain_port(host)[0] or host.lower().partition(":")[0]
    return None if addresses.is_address(host) or "." not in name or validate_host(name, allowed) else name
