"""Edits that wait for another person's approval, by REST: to look at, and to decide."""

from http import HTTPStatus
from typing import Any

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from infra.rest import strict
from infra.rest.strict import StrictView
from prices.api import examples
from prices.api.edits import StaffPermission
from prices.api.serializers import DecisionSerializer, ProposalSerializer
from prices.models import ProposedEdit
from prices.staff import decisions
from prices.staff.decisions import DecisionError

# The newest in the list.
_MOST_LISTED = 100
_DECISIONS = {"approve": decisions.approve, "reject": decisions.reject}


class _NotTakenError(APIException):
    """A decision that was not taken: the edit is decided or expired already, or the user's own."""

    status_code = HTTPStatus.CONFLICT


class ProposalsView(StrictView):
    """The newest hundred edits that waited for another person's approval, or do: for staff."""

    tag = "Staff"
    permission_classes = [StaffPermission]
    staff_model = ProposedEdit

    @extend_schema(
        operation_id="v1_proposals_list", responses=ProposalSerializer(many=True), examples=[examples.PROPOSAL]
    )
    def get(self, request: Request) -> Response:
        return Response([_answer(proposal) for proposal in _proposals()[:_MOST_LISTED]])


class ProposalView(StrictView):
    """An edit that waited for another person's approval, or does: for staff."""

    tag = "Staff"
    permission_classes = [StaffPermission]
    staff_model = ProposedEdit

    @extend_schema(responses=ProposalSerializer, examples=[examples.PROPOSAL])
    def get(self, request: Request, number: int) -> Response:
        return Response(_answer(_proposal(number)))

    @extend_schema(
        request=DecisionSerializer,
        responses={
            200: ProposalSerializer,
            409: OpenApiResponse(description="Not decided: it is your own edit, or it no longer waits."),
        },
        examples=[examples.PROPOSAL, examples.DECISION],
    )
    def patch(self, request: Request, number: int) -> Response:
        """Approve or reject another person's edit. An approved one is saved at once, by the rules of now.

        If it can no longer be saved, its `state` is `refused`, and `outcome` says why.
        """
        given = strict.body(request, DecisionSerializer)
        _proposal(number)
        assert request.user.is_authenticated
        site = request.build_absolute_uri("/")[:-1]
        try:
            _DECISIONS[given["decision"]](number, by=request.user, reason=given.get("reason", ""), site=site)
        except DecisionError as error:
            raise _NotTakenError(f"Nothing was done: {error}.") from error
        return Response(_answer(_proposal(number)))


def accepted(request: Request, proposal: ProposedEdit) -> Response:
    """The answer to an edit that waits; `Location` is where its decision will be."""
    where = request.build_absolute_uri(reverse("proposal", args=[proposal.pk]))
    return Response(_answer(proposal), status=HTTPStatus.ACCEPTED, headers={"Location": where})


def _proposals() -> Any:
    return ProposedEdit.objects.select_related("proposed_by", "decided_by")


def _proposal(number: int) -> ProposedEdit:
    proposal: ProposedEdit | None = _proposals().filter(pk=number).first()
    if proposal is None:
        raise NotFound(f"There is no proposed edit {number}. GET proposals/ lists them.")
    return proposal


def _answer(proposal: ProposedEdit) -> Any:
    names = ("summary", "detail", "reason", "outcome", "proposed_at", "expires_at", "decided_at")
    users = {"proposed_by": proposal.proposed_by, "decided_by": proposal.decided_by}
    return ProposalSerializer(
        {
            "id": proposal.pk,
            "state": proposal.state(timezone.now()),
            **{name: getattr(proposal, name) for name in names},
            **{name: user and user.get_username() for name, user in users.items()},
        }
    ).data
