"""The Celery application: `celery -A swarna worker`, `celery -A swarna beat`."""

import io
import logging
import os
import sys
from typing import Any

import kombu
from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import import_modules
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")

logger = logging.getLogger(__name__)


class BrokerConnection(kombu.Connection):
    """A connection to the broker that worker and beat come back to soon, whatever became of the last one."""

    _is_waiting = False

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """Errors after which a worker connects anew; any other ends it.

        A connection that broke while it was being closed leaves kombu's channel half taken apart, and what touches that
        next finds None in the place of its parts.
        """
        return (*super().connection_errors, AttributeError)

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Try until there is a connection. Celery leaves the pauses to kombu, whose grow to half a minute."""
        longest = settings.BROKER_LONGEST_PAUSE
        return super().ensure_connection(*args, **{"interval_start": 1, "interval_max": longest} | options)

    def ensure(self, obj: Any, fun: Any, errback: Any = None, *args: Any, **options: Any) -> Any:
        """Make `fun`, which sends a task, try until it succeeds: beat waits, says so once, and sends what was due."""
        ensured = super().ensure(obj, fun, errback or self._cannot_send, *args, **options)

        def send(*args: Any, **options: Any) -> Any:
            sent = ensured(*args, **options)
            if self._is_waiting:
                self._is_waiting = False
                logger.warning("Redis takes tasks again")
            return sent

        return send

    def _cannot_send(self, error: Exception, pause: float) -> None:
        if pause and not self._is_waiting:  # without one it is tried again at once, and may go well
            self._is_waiting = True
            logger.error("Redis does not take a task, trying again: %s", str(error) or type(error).__name__)

    def channel(self) -> Any:
        """A channel that puts no task back when it is closed: over a connection that is lost that cannot be done, and
        kombu would write each to a file instead. The next slot's task does what one that was taken and lost did not.
        """
        channel: Any = super().channel()
        channel.do_restore = False
        return channel


class BrokerProtocol(AMQP):
    """Celery's own, with our connections."""

    Connection = BrokerConnection


app = Celery("swarna", amqp=BrokerProtocol)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


# Of the signals that worker and beat both send, the one that comes before either has read the database.
@import_modules.connect
def refuse_a_bad_configuration(**kwargs: Any) -> None:
    """Run Django's checks, whose errors Celery itself would not heed, and end with what they say."""
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError

    try:
        call_command("check", stdout=io.StringIO())  # that all is well goes without saying
    except SystemCheckError as error:
        sys.exit(str(error))
