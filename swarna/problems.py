"""What the API answers where it cannot do what it is asked: problem details (RFC 9457), one shape everywhere.

`errors` names each field that is at fault, with what is wrong with it; it is there where a field is.
"""

from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

CONTENT_TYPE: Final = "application/problem+json"
API: Final = "/api/"

Errors = dict[str, list[str]]


def problem(status: int, detail: str, errors: Errors | None = None) -> dict[str, Any]:
    """A problem's members: `detail` is for people, `errors` are by field."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **({"errors": errors} if errors else {}),
    }


def of_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: any refusal as a problem. None for a defect, which Django handles."""
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, ValidationError):
        errors = _by_field(response.data)
        detail = " ".join(f"{field}: {' '.join(messages)}" for field, messages in errors.items())
        response.data = problem(response.status_code, detail, errors)
    else:
        response.data = problem(response.status_code, str(response.data["detail"]))
    response.content_type = CONTENT_TYPE
    return response


def answer(status: int, detail: str) -> HttpResponse:
    """A problem outside DRF."""
    return JsonResponse(problem(status, detail), status=status, content_type=CONTENT_TYPE)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: a host that is not ours, too many fields, a header that cannot be."""
    if request.path.startswith(API):
        return answer(400, "This request cannot be read. Mind its Host header: ALLOWED_HOSTS lists the names.")
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if request.path.startswith(API):
        return answer(403, "You may not do this.")
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404: an address that there is not."""
    if request.path.startswith(API):
        return answer(404, "There is nothing at this address. /api/docs/ shows what there is.")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: a defect of ours, which is logged."""
    if request.path.startswith(API):
        return answer(500, "This is a defect of ours, and has been logged. Try again later.")
    return defaults.server_error(request)


def _by_field(data: Any) -> Errors:
    """DRF's messages by the field they are about; those about the whole are under its own name for that."""
    if not isinstance(data, dict):
        data = {api_settings.NON_FIELD_ERRORS_KEY: data}
    return {str(field): _messages(messages) for field, messages in data.items()}


def _messages(said: Any) -> list[str]:
    """What DRF says about one field, whose own parts may be named in it."""
    if isinstance(said, dict):
        return [f"{part}: {message}" for part, inner in said.items() for message in _messages(inner)]
    if isinstance(said, list):
        return [message for inner in said for message in _messages(inner)]
    return [str(said)]
