"""A problem is logged once when it begins, and with its count once it has ended."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import DisallowedHost

from infra import repeated_logs
from infra.repeated_logs import RepeatedLogsHandler
from tests.support.product import wait_until


class Console:
    """A RepeatedLogsHandler, what it printed, and a clock of its own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.stream = io.StringIO()
        self.handler = RepeatedLogsHandler(ours=("prices", "streaming"), clock=lambda: self.now)
        self.handler.setStream(self.stream)
        self.handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def log(
        self, message: str, *arguments: object, by: str = "celery.beat", level: int = logging.ERROR, error: Any = None
    ) -> None:
        info = (type(error), error, error.__traceback__) if error else None
        self.handler.handle(logging.LogRecord(by, level, "", 0, message, arguments, info))

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def console() -> Iterator[Console]:
    console = Console()
    yield console
    console.handler.close()


def raised(text: str) -> Exception:
    try:
        raise ConnectionError(text)
    except ConnectionError as error:
        return error


def refused(name: str) -> Exception:
    try:
        raise DisallowedHost(name)
    except DisallowedHost as error:
        return error


def test_a_librarys_problem_is_printed_whole_once_and_its_count_when_it_has_ended(console: Console) -> None:
    for number in range(133):
        console.log("cannot send task %d: %s", number, "no", error=raised(f"try {number}"))
        console.now += 0.3
    first = console.lines
    assert first[0] == "ERROR celery.beat: cannot send task 0: no"
    assert first[-1] == "ConnectionError: try 0"
    assert sum("Traceback" in line for line in first) == 1
    console.now += 60
    console.log("something else", by="kombu")
    assert console.lines[len(first) :] == [
        "ERROR celery.beat: 132 more of these in 40 s, the last: cannot send task 132: no",
        "ERROR kombu: something else",
    ]


def test_a_problem_that_comes_back_after_its_end_is_printed_whole_again(console: Console) -> None:
    console.log("it is away")
    console.now += 60
    console.log("it is away")
    assert console.lines == 2 * ["ERROR celery.beat: it is away"]


def test_a_problem_that_goes_on_is_counted_now_and_then(console: Console) -> None:
    for _ in range(1201):
        console.log("it is away, try %d", 1)
        console.now += 1
    assert console.lines == [
        "ERROR celery.beat: it is away, try 1",
        "ERROR celery.beat: 600 more of these in 600 s, the last: it is away, try 1",
        "ERROR celery.beat: 600 more of these in 600 s, the last: it is away, try 1",
    ]


def test_another_logger_or_another_exception_is_another_problem(console: Console) -> None:
    console.log("failed", error=raised("a"))
    console.log("failed", error=raised("b"), by="celery.worker")
    console.log("failed", error=ValueError("c"))
    console.log("failed", level=logging.WARNING)
    console.log("failed otherwise")
    assert sum("failed" in line for line in console.lines) == 5


@pytest.mark.parametrize("by", ["django.request", "prices.tasks"])
def test_a_new_problem_is_not_hidden_by_one_that_comes_from_the_same_line(console: Console, by: str) -> None:
    """As all errors of a database do."""
    for text in ("the database is locked", "the database is locked", "the disk is full", "the disk is full"):
        console.log("Internal Server Error: %s", "/admin/", by=by, error=raised(text))
    assert [line for line in console.lines if line.startswith("ConnectionError")] == [
        "ConnectionError: the database is locked",
        "ConnectionError: the disk is full",
    ]


def test_requests_under_many_names_do_not_fill_the_log(console: Console) -> None:
    for name in ("evil.example", "bad.example", "worse.example"):
        # Django has the name in what others take for a record's format.
        console.log(f"Invalid HTTP_HOST header: {name}", by="django.security.DisallowedHost", error=refused(name))
    assert sum("Traceback" in line for line in console.lines) == 1


def test_our_own_loggers_are_taken_at_their_word(console: Console) -> None:
    for message in ("the database is lost", "the database is back", "the database is lost", "the database is lost"):
        console.log(message, by="streaming.feed")
    for price in (100, 100, 101):
        console.log("gold is quarantined: %d", price, by="prices.publishing.quarantine")
    console.handler.close()
    assert console.lines == [
        "ERROR streaming.feed: the database is lost",
        "ERROR streaming.feed: the database is back",
        "ERROR streaming.feed: the database is lost",
        "ERROR prices.publishing.quarantine: gold is quarantined: 100",
        "ERROR prices.publishing.quarantine: 1 more of these in 0 s, the last: gold is quarantined: 100",
        "ERROR prices.publishing.quarantine: gold is quarantined: 101",
        "ERROR streaming.feed: 1 more of these in 0 s, the last: the database is lost",
    ]


def test_a_record_below_a_warning_is_printed_each_time(console: Console) -> None:
    for _ in range(3):
        console.log("metrics", level=logging.INFO)
    assert console.lines == 3 * ["INFO celery.beat: metrics"]


def test_a_count_comes_though_nothing_else_is_logged(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_logs, "_ENDED_AFTER", 0.05)
    for _ in range(3):
        console.log("it is away")
    console.now += 1
    wait_until(lambda: len(console.lines) == 2, "the count of the problem that has ended")


def test_a_process_that_was_forked_does_not_print_what_its_parent_counts(console: Console) -> None:
    for _ in range(3):
        console.log("it is away")
    console.handler._process = -1  # as in a child: there os.getpid() is another
    console.log("it is away")
    console.handler.close()
    assert console.lines == 2 * ["ERROR celery.beat: it is away"]
