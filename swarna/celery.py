"""The Celery application: `celery -A swarna worker`, `celery -A swarna beat`."""

import io
import logging
import os
import sys
import time
from typing import Any

import kombu
from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import import_modules
from django.conf import settings

from infra.process.valkey import expect_writable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")

logger = logging.getLogger(__name__)


class BrokerConnection(kombu.Connection):
    """A connection to the broker that worker and beat soon open again, whatever ended the last one.

    Logs once that Redis takes no tasks, and once that it takes them again.
    """

    _since: float | None = None  # when Redis first took no task; None while it takes tasks
    _tries = 0

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """Errors after which a worker connects again; any other ends it.

        A connection that broke while it was being closed leaves kombu's channel half taken apart: its next use raises
        AttributeError, as some of its parts are None.
        """
        return (*super().connection_errors, AttributeError)

    def ensure_connection(self, errback: Any = None, *args: Any, **options: Any) -> Any:
        """Try until there is a connection. Celery leaves the pauses to kombu, where they grow to half a minute."""
        longest = settings.BROKER_LONGEST_PAUSE
        options = {"interval_start": 1, "interval_max": longest} | options
        connection = super().ensure_connection(self._cannot_send, *args, **options)
        self._can_send()
        return connection

    def ensure(self, obj: Any, fun: Any, errback: Any = None, *args: Any, **options: Any) -> Any:
        """Let `fun`, which sends a task, try until it succeeds: beat waits, logs it once, and sends the task."""
        ensured = super().ensure(obj, fun, self._cannot_send, *args, **options)

        def send(*args: Any, **options: Any) -> Any:
            sent = ensured(*args, **options)
            self._can_send()
            return sent

        return send

    def _establish_connection(self) -> Any:
        """Connect, and expect Redis to take a key. Raises redis.RedisError.

        A Redis that takes none accepts connections: Celery would connect, be refused and connect again, five times a
        second.
        """
        connection = super()._establish_connection()
        expect_writable(self.as_uri(include_password=True))
        return connection

    def _cannot_send(self, error: Exception, pause: float) -> None:
        self._tries += 1
        if pause and self._since is None:  # without a pause it tries again at once, and may succeed
            self._since = time.monotonic()
            logger.error("Redis takes no tasks, trying again: %s", str(error) or type(error).__name__)

    def _can_send(self) -> None:
        if self._since is not None:
            seconds = time.monotonic() - self._since
            logger.warning("Redis takes tasks again, after %.0f s and %d tries", seconds, self._tries)
        self._since, self._tries = None, 0

    def channel(self) -> Any:
        """A channel that does not return unfinished tasks to the queue when it is closed.

        Over a lost connection that is impossible, and kombu would write each task to a file. The next slot's task does
        the work of a lost one.
        """
        channel: Any = super().channel()
        channel.do_restore = False
        return channel


class BrokerProtocol(AMQP):
    """Celery's own AMQP class, with our connections."""

    Connection = BrokerConnection


app = Celery("swarna", amqp=BrokerProtocol)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


# The signal of both worker and beat that comes before either has read the database.
@import_modules.connect
def refuse_a_bad_configuration(**kwargs: Any) -> None:
    """Run Django's checks, whose errors Celery itself ignores, and exit with their messages."""
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError

    try:
        call_command("check", stdout=io.StringIO())  # prints nothing where all is well
    except SystemCheckError as error:
        sys.exit(str(error))
