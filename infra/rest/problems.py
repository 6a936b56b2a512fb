"""Problem details (RFC 9457), the one shape of all the API's error answers.

Where fields are at fault, `errors` has messages by field.
"""

import logging
import math
import sys
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, TypeGuard, TypeVar

from django.db import DatabaseError, OperationalError, ProgrammingError
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.views import defaults
from django.views.decorators.common import no_append_slash
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView, exception_handler

from infra.schema import UnpreparedDatabaseError

CONTENT_TYPE: Final = "application/problem+json"
API: Final = "/api/"

# PostgreSQL's codes for a missing table or column; SQLite raises OperationalError.
_MISSING: Final = ("42P01", "42703")

Errors = dict[str, list[str]]
_Response = TypeVar("_Response", bound=HttpResponseBase)
logger = logging.getLogger(__name__)


class _NoDatabaseError(APIException):
    """The database is away, being restored or migrated, or has no free connection: temporary, and no client's fault."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The database cannot be asked now. Try again in a few seconds."
    wait = 5  # seconds; DRF sends it as Retry-After


class StreamOnlyError(APIException):
    """A request that only a web process can answer, for as long as it has the stream; and it reached Django."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "This server has no stream. An ASGI server that runs swarna.asgi:application has."
    wait = 5


class CodedError(APIException):
    """A refusal that programs tell from others by its `code`.

    `members` are further ones of the problem; `wait` is the number of seconds after which to try again, if known.
    """

    def __init__(
        self, status: int, detail: str, *, code: str, wait: float | None = None, members: Mapping[str, Any]
    ) -> None:
        super().__init__(detail)
        self.status_code = status
        self.members = {"code": code, **members}
        if wait is not None:
            self.wait = math.ceil(wait) or 1


def problem(
    status: int, detail: str, errors: Errors | None = None, *, members: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """The members of a problem; `detail` is for people. A `code` among `members` is its type, too."""
    return {
        "type": f"urn:swarna:{members['code']}" if "code" in members else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **({"errors": errors} if errors else {}),
        **members,
    }


def of_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: answer with a problem. None for a defect, which Django handles."""
    if _is_no_database(error):
        _log_no_database(error)
        error = _NoDatabaseError()
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, ValidationError):
        errors = _by_field(response.data)
        detail = " ".join(f"{field}: {' '.join(messages)}" for field, messages in errors.items())
        response.data = problem(response.status_code, detail, errors)
    else:
        members = error.members if isinstance(error, CodedError) else {}
        response.data = problem(response.status_code, str(response.data["detail"]), members=members)
    response.content_type = CONTENT_TYPE
    # Whichever format was requested: CSV, HTML and YAML have no form for a problem.
    context["request"].accepted_renderer = APIView.renderer_classes[0]()  # JSON's
    context["request"].accepted_media_type = CONTENT_TYPE
    return logged(response) if isinstance(error, _NoDatabaseError) else response


def logged(response: _Response) -> _Response:
    """Mark a response as logged: Django would log each 5xx once more, under each path anew."""
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def answer(status: int, detail: str) -> HttpResponse:
    """A response with a problem, outside DRF."""
    return JsonResponse(problem(status, detail), status=status, content_type=CONTENT_TYPE)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: an unlisted host, too many fields, an impossible header."""
    if request.path_info.startswith(API):
        return answer(400, "This request cannot be read. Mind its Host header: ALLOWED_HOSTS lists the names.")
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if request.path_info.startswith(API):
        return answer(403, "You may not do this.")
    return defaults.permission_denied(request, exception)


@csrf_exempt
@no_append_slash
def unknown_address(request: HttpRequest) -> HttpResponse:
    """The view of all unknown addresses under /api/; a view, as DEBUG switches Django's handler404 off.

    Where only the slash at the end is missing, GET is redirected. Other methods get a detail that says so: a redirect
    would lose their body.
    """
    if request.path.endswith("/") or resolve(f"{request.path_info}/").func is unknown_address:
        return answer(404, "There is nothing at this address. /api/docs/ shows what there is.")
    if request.method in ("GET", "HEAD"):
        return HttpResponsePermanentRedirect(request.get_full_path(force_append_slash=True))
    return answer(404, "This address ends with a slash: send the same to it with one. Nothing was done.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: 503 where the database is away, else 500 for a defect, which is logged."""
    error = sys.exc_info()[1]
    if _is_no_database(error):
        _log_no_database(error)
        status, detail = _NoDatabaseError.status_code, _NoDatabaseError.default_detail
        is_page = not request.path_info.startswith(API)
        response = defaults.server_error(request) if is_page else answer(status, detail)
        response.status_code = status
        response["Retry-After"] = str(_NoDatabaseError.wait)
        return logged(response)
    if request.path_info.startswith(API):
        return answer(500, "This is a defect of ours, and has been logged. Try again later.")
    return defaults.server_error(request)


def _is_no_database(error: BaseException | None) -> TypeGuard[DatabaseError]:
    if isinstance(error, ProgrammingError):
        return getattr(error.__cause__, "sqlstate", None) in _MISSING
    return isinstance(error, OperationalError | UnpreparedDatabaseError)


def _log_no_database(error: DatabaseError) -> None:
    logger.error("the database cannot be used: %s", str(error).partition("\n")[0])


def _by_field(data: Any) -> Errors:
    """DRF's messages by field; those about the whole body are under DRF's name for that."""
    if not isinstance(data, dict):
        data = {api_settings.NON_FIELD_ERRORS_KEY: data}
    return {str(field): _messages(messages) for field, messages in data.items()}


def _messages(errors: Any) -> list[str]:
    """DRF's messages about one field, those about its parts preceded by their names."""
    if isinstance(errors, dict):
        return [f"{part}: {message}" for part, inner in errors.items() for message in _messages(inner)]
    if isinstance(errors, list):
        return [message for inner in errors for message in _messages(inner)]
    return [str(errors)]
