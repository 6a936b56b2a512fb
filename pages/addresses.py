"""Addresses of pages, whatever they hold."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, QueryDict

# More than any page reads.
_MOST_FIELDS: Final = 100


def of_any_address(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a page read the first fields of a query that has more than Django takes, rather than answer 400."""

    @wraps(view)
    def reading(request: HttpRequest, *args: Any, **options: Any) -> Any:
        try:
            request.GET  # noqa: B018  # Django reads the query now
        except TooManyFieldsSent:
            fields = request.META["QUERY_STRING"].split("&", _MOST_FIELDS)
            request.GET = QueryDict("&".join(fields[:_MOST_FIELDS]))
        return view(request, *args, **options)

    return reading
