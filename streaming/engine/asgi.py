"""One run of an ASGI application, for a connection or a request: the events that it receives, and its end."""

import asyncio
import logging
from typing import Any, Final, Protocol

from infra.asgi import Application, Message, Send

logger = logging.getLogger(__name__)

# Seconds that an application has to end after its client.
_TO_END: Final = 10.0


class Runs:
    """The runs of one application in this process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, application: Application) -> None:
        self.loop = loop
        self._application = application
        self._tasks: set[asyncio.Future[None]] = set()

    def start(self, run: "Run", scope: Any, send: Send) -> None:
        """Run the application with this scope, and with the events of `run`."""
        run.task = task = asyncio.ensure_future(self._application(scope, run.receive, send), loop=self.loop)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(run.task_ended)

    async def end(self, within: float) -> None:
        """Wait for all runs to end, cancel those that have not within so many seconds, and wait a second for them."""
        if self._tasks:
            _, late = await asyncio.wait(tuple(self._tasks), timeout=within)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)


class Owner(Protocol):
    """The connection or request that a run of the application is for."""

    def taken(self) -> None:
        """The application has taken an event."""

    def ended(self, error: BaseException | None) -> None:
        """The application has ended, by an exception or without one."""


class Run:
    """One run of the application: the events that wait for it, and its task until it has ended."""

    __slots__ = ("_deadline", "_loop", "_receiver", "events", "owner", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        self.events: list[Message] = []
        self.task: asyncio.Future[None] | None = None
        self._loop = loop
        self.owner: Owner | None = owner
        self._receiver: asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    async def receive(self) -> Message:
        """ASGI's `receive`."""
        while not self.events:
            self._receiver = self._loop.create_future()
            await self._receiver
        event = self.events.pop(0)
        if self.owner is not None:
            self.owner.taken()
        return event

    def add(self, event: Message) -> None:
        """Add an event."""
        self.events.append(event)
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    def disconnect(self, event: Message) -> None:
        """Add the last event, and give the application some time to end after it."""
        if self.task is not None:
            self.add(event)
            self._deadline = self._loop.call_later(_TO_END, self.task.cancel)

    def task_ended(self, task: "asyncio.Future[None]") -> None:
        """Take note of the task's end: nothing here refers to it any more, nor to the owner."""
        if self._deadline is not None:
            self._deadline.cancel()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("an exception in the application", exc_info=error)
        owner, self.owner, self.task, self._receiver = self.owner, None, None, None
        if owner is not None:
            owner.ended(error)
