"""The Celery application: `celery -A swarna worker`, `celery -A swarna beat`."""

import io
import os
import sys
from typing import Any

import kombu
from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import import_modules
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")


class BrokerConnection(kombu.Connection):
    """A connection to the broker that worker and beat come back to soon, whatever became of the last one."""

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
