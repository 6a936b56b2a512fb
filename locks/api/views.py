"""Locks by REST: each user's own."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from infra.rest import strict
from infra.rest.problems import CONTENT_TYPE, problem
from infra.rest.renderers import NumberRenderer
from infra.rest.strict import StrictView
from locks import idempotency, lifecycle
from locks.api import answers, examples
from locks.api.serializers import (
    LockSerializer,
    LocksQuerySerializer,
    LocksSerializer,
    NothingSerializer,
    RefusalSerializer,
    WantedSerializer,
)
from locks.idempotency import Answer
from locks.lifecycle import TooLargeError, Wanted
from locks.models import PriceLock
from locks.refusals import RefusalError
from locks.rules import Side
from prices.api import pages
from prices.api.answers import known_stale
from prices.domain.quotes import Metal
from signing import keys
from signing.api import SIGNED, JoseRenderer, SignedView

_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_REFUSED: Final = OpenApiResponse(RefusalSerializer)


def _key_parameter(*, required: bool) -> OpenApiParameter:
    return OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "pattern": "^[!-~]{1,200}$"},
        OpenApiParameter.HEADER,
        required=required,
        description="A text of your own, new for each request; ASCII without spaces. If no answer reaches you, send the"
        " same request with the same key again: it is done once, and gets the answer that it had. Kept for 24 hours.",
    )


class LocksView(StrictView):
    """Your locks."""

    tag = "Price locks"
    permission_classes = [IsAuthenticated]

    @property
    def query_serializer(self) -> type[strict.StrictQuerySerializer]:  # type: ignore[override]
        reads = self.request is None or self.request.method in ("GET", "HEAD")
        return LocksQuerySerializer if reads else strict.StrictQuerySerializer

    @extend_schema(operation_id="v1_locks_list", responses=LocksSerializer, examples=[examples.LOCKS])
    def get(self, request: Request) -> Response:
        """Your locks, newest first."""
        assert request.user.is_authenticated
        lifecycle.settle(user=request.user)
        params, locks = self.params, lifecycle.of(request.user)
        if "status" in params:
            locks = locks.filter(status=params["status"])
        found, more = pages.newest_first(locks, "id", params.get("cursor"), params["limit"])
        address = pages.link(request, {"cursor": pages.cursor(found[-1].pk, found[-1].pk)}) if more else None
        headers = {"Link": f'<{address}>; rel="next"'} if address else {}
        return Response({"data": [answers.of(lock) for lock in found], "next": address}, headers=headers)

    @extend_schema(
        parameters=[_key_parameter(required=False)],
        request=WantedSerializer,
        responses={
            201: LockSerializer,
            (409, CONTENT_TYPE): _REFUSED,
            (422, CONTENT_TYPE): _REFUSED,
            (429, CONTENT_TYPE): _REFUSED,
        },
        examples=[examples.WANTED, examples.GRANTED, examples.UNAVAILABLE, examples.REUSED, examples.TOO_MANY],
    )
    def post(self, request: Request) -> HttpResponse:
        """Lock the current price, so that it holds while a customer pays."""
        given = strict.body(request, WantedSerializer)
        given |= {"metal": Metal(given["metal"]), "side": Side(given["side"])}
        assert request.user.is_authenticated
        user, stale = request.user, known_stale(request._request)
        try:
            return _once(
                request, HTTPStatus.CREATED, lambda: lifecycle.grant(Wanted(**given), user=user, known_stale=stale)
            )
        except TooLargeError as error:
            raise ValidationError(
                {"unit": ["The price per unit is too large to be locked: choose a smaller unit."]}
            ) from error


class LockView(SignedView):
    """One of your locks."""

    tag = "Price locks"
    permission_classes = [IsAuthenticated]

    @extend_schema(
        responses={(200, NumberRenderer.media_type): LockSerializer, (200, JoseRenderer.media_type): str},
        examples=[examples.LOCK, SIGNED],
    )
    def get(self, request: Request, id: UUID) -> Response:
        """One lock, with the receipt of its price; as `application/jose`, its `jws` alone."""
        assert request.user.is_authenticated
        lifecycle.settle(user=request.user, key=id)
        lock = lifecycle.of(request.user).filter(key=id).first()
        if lock is None:
            raise _not_found()
        return Response(answers.signed(lock) if self.wants_jws else answers.with_receipt(lock))

    @extend_schema(responses={204: None, (409, CONTENT_TYPE): _REFUSED}, examples=[examples.REDEEMED_ALREADY])
    def delete(self, request: Request, id: UUID) -> Response:
        """Release a lock. One that has expired or was released stays as it is; a redeemed one is a 409."""
        assert request.user.is_authenticated
        try:
            with transaction.atomic():
                lifecycle.release(key=id, user=request.user)
        except PriceLock.DoesNotExist as error:
            raise _not_found() from error
        except RefusalError as refusal:
            raise answers.refused(refusal) from refusal
        return Response(status=HTTPStatus.NO_CONTENT)


class RedeemView(StrictView):
    """The redemption of one of your locks."""

    tag = "Price locks"
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="v1_locks_redeem",
        parameters=[_key_parameter(required=True)],
        request=None,
        responses={
            200: LockSerializer,
            (409, CONTENT_TYPE): _REFUSED,
            (410, CONTENT_TYPE): _REFUSED,
            (422, CONTENT_TYPE): _REFUSED,
        },
        examples=[examples.REDEEMED, examples.REDEEMED_ALREADY, examples.MOVED, examples.EXPIRED, examples.REUSED],
    )
    def post(self, request: Request, id: UUID) -> HttpResponse:
        """Redeem a lock, once: the customer has paid. `redeemedPrice` is the price to charge."""
        strict.body(request, NothingSerializer)
        assert request.user.is_authenticated
        user, stale = request.user, known_stale(request._request)
        if request.headers.get("Idempotency-Key") is None:
            needed = "Send this header with a text of your own, and if no answer comes, the same again."
            raise ValidationError({"Idempotency-Key": [needed]})
        try:
            return _once(request, HTTPStatus.OK, lambda: lifecycle.redeem(id, user=user, known_stale=stale))
        except PriceLock.DoesNotExist as error:
            raise _not_found() from error


def _once(request: Request, status: HTTPStatus, work: Callable[[], PriceLock]) -> HttpResponse:
    """The answer to a request that is done once, however often it is sent with one key."""

    def answer() -> Answer:
        try:
            return Answer(status, _json(answers.of(work())))
        except RefusalError as refusal:
            if refusal.wait is not None:
                raise  # the same may be sent again then
            error = answers.refused(refusal)
            content = problem(error.status_code, str(refusal), members=error.members)
            return Answer(error.status_code, _json(content))

    assert request.user.is_authenticated
    keys.current()  # before the transaction, so that the process remembers it
    one = idempotency.Request(request.user, request.path, _key(request), request.data)
    try:
        done = idempotency.once(one, answer)
    except RefusalError as refusal:
        raise answers.refused(refusal) from refusal
    content_type = CONTENT_TYPE if done.status >= HTTPStatus.BAD_REQUEST else NumberRenderer.media_type
    return HttpResponse(done.body, status=done.status, content_type=content_type)


def _json(content: Any) -> str:
    return NumberRenderer().render(content).decode()


def _key(request: Request) -> str | None:
    """The request's `Idempotency-Key`; None if it has none. Raises ValidationError."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise ValidationError({"Idempotency-Key": ["Write 1 to 200 ASCII characters without spaces."]})
    return key


def _not_found() -> NotFound:
    return NotFound("You have no lock with this id. GET locks/ lists yours.")
