"""The Celery application: `celery -A swarna worker`, `celery -A swarna beat`."""

import io
import logging
import os
import sys
import time
from typing import Any

import kombu
import redis
from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import import_modules
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")

logger = logging.getLogger(__name__)


class BrokerConnection(kombu.Connection):
    """A connection to the broker that worker and beat come back to soon, whatever became of the last one.

    Logs once that Redis takes no tasks, and once that it takes them again.
    """

    _since: float | None = None  # when Redis was first found to take nothing; None while it takes tasks
    _tries = 0

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """Errors after which a worker connects anew; any other ends it.

        A connection that broke while it was being closed leaves kombu's channel half taken apart, and what touches that
        next finds None in the place of its parts.
        """
        return (*super().connection_errors, AttributeError)

    def ensure_connection(self, errback: Any = None, *args: Any, **options: Any) -> Any:
        """Try until there is a connection. Celery leaves the pauses to kombu, whose grow to half a minute."""
        longest = settings.BROKER_LONGEST_PAUSE
        options = {"interval_start": 1, "interval_max": longest} | options
        connection = super().ensure_connection(self._cannot_send, *args, **options)
        self._can_send()
        return connection

    def ensure(self, obj: Any, fun: Any, errback: Any = None, *args: Any, **options: Any) -> Any:
        """Make `fun`, which sends a task, try until it succeeds: beat waits, says so once, and sends what was due."""
        ensured = super().ensure(obj, fun, self._cannot_send, *args, **options)

        def send(*args: Any, **options: Any) -> Any:
            sent = ensured(*args, **options)
            self._can_send()
            return sent

        return send

    def _establish_connection(self) -> Any:
        """Connect, and expect Redis to take a key. Raises redis.RedisError.

        One that is full, or a replica for the moment, answers whoever connects: Celery would connect, be refused and
        connect again, five times a second.
        """
        connection = super()._establish_connection()
        with redis.Redis.from_url(self.as_uri(include_password=True), **settings.REDIS_OPTIONS) as client:
            client.set(f"{settings.REDIS_PREFIX}:broker", "", ex=60)
        return connection

    def _cannot_send(self, error: Exception, pause: float) -> None:
        self._tries += 1
        if pause and self._since is None:  # without a pause it is tried again at once, and may go well
            self._since = time.monotonic()
            logger.error("Redis takes no tasks, trying again: %s", str(error) or type(error).__name__)

    def _can_send(self) -> None:
        if self._since is not None:
            seconds = time.monotonic() - self._since
            logger.warning("Redis takes tasks again, after %.0f s and %d tries", seconds, self._tries)
        self._since, self._tries = None, 0

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
