"""E-mails to staff about edits that wait for approval, were decided, or were saved without one.

A mail server that is away costs a save a few seconds and a line in the log; the desk shows all the same.
"""

import logging
import smtplib
from collections.abc import Iterable

from django.conf import settings
from django.contrib.auth.models import User
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from infra.readable import moment
from prices.models import ProposedEdit

logger = logging.getLogger(__name__)


def proposed(proposal: ProposedEdit, approvers: Iterable[User], site: str) -> None:
    """Tell those who may approve an edit that it waits for them."""
    until = moment(proposal.expires_at, timezone.now())
    subject = f"{proposal.proposed_by} asks for approval of a price"
    _send(approvers, subject, f"It waits until {until} for one of you to approve or reject it:", proposal, site)


def decided(proposal: ProposedEdit, site: str) -> None:
    """Tell the editor what became of an edit."""
    editor = proposal.proposed_by
    subject = f"Your edit of a price was {proposal.decided_words(timezone.now())}"
    _send([editor] if editor else [], subject, proposal.outcome or "", proposal, site)


def overridden(proposal: ProposedEdit, site: str) -> None:
    """Tell all staff that an edit was saved without approval."""
    subject = f"Emergency: {proposal.decided_by} changed a price without approval"
    everybody = User.objects.filter(is_active=True, is_staff=True)
    _send(everybody, subject, f"The emergency, as {proposal.decided_by} calls it: {proposal.outcome}", proposal, site)


def _send(to: Iterable[User], subject: str, lead: str, proposal: ProposedEdit, site: str) -> None:
    addresses = sorted({user.email for user in to if user.email})
    if not settings.EMAIL_HOST or not addresses:
        lacking = "EMAIL_HOST is not set" if not settings.EMAIL_HOST else "nobody concerned has an address"
        logger.warning("no e-mail was sent (%s): %s", lacking, subject)
        return
    address = site + reverse("admin:prices_proposededit_change", args=[proposal.pk])
    reason = f"Reason: {proposal.reason}" if proposal.reason else ""
    body = "\n\n".join(filter(None, (lead, proposal.summary, proposal.detail, reason, address)))
    try:
        mail.send_mail(f"Swarna: {subject}", body, None, addresses)
    except (smtplib.SMTPException, OSError) as error:
        logger.error("the mail server did not take a message (%s): %s", str(error) or type(error).__name__, subject)
