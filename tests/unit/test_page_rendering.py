"""Pages that are rendered once for all their readers."""

import gzip
import itertools
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Event

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from pages import rendering
from pages.rendering import Pages, Turns
from tests.support.product import wait_until

AT_ONCE = nullcontext


def test_a_page_is_rendered_once_a_version_and_choice() -> None:
    pages, made = Pages(), itertools.count()
    shown = [
        pages.get(version, choice, lambda: f"page {next(made)}", AT_ONCE).plain.decode()
        for version, choice in [(1, "a"), (1, "a"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]
    ]
    assert shown == ["page 0", "page 0", "page 1", "page 0", "page 2", "page 3"]


def test_a_page_is_compressed_once_and_says_whether_it_is_the_same() -> None:
    first, same, other = (Pages().get(1, "a", text.format, AT_ONCE) for text in ("x" * 99, "x" * 99, "y" * 99))
    assert gzip.decompress(first.small) == first.plain
    assert (first.etag == same.etag, first.etag == other.etag) == (True, False)


@pytest.mark.parametrize(
    ("accepted", "is_small"),
    [
        ("gzip, deflate, br", True),
        ("gzip;q=0.8", True),
        ("br;q=1, GZIP ; q=0.001", True),
        ("gzip;q=0, br", False),
        ("gzip; q=0.000", False),
        ("br", False),
        ("", False),
    ],
)
def test_a_page_is_compressed_for_clients_that_take_it(accepted: str, is_small: bool) -> None:
    request = RequestFactory().get("/", headers={"Accept-Encoding": accepted})
    page = rendering.encoded("page")
    answer = rendering.answer(request, page)
    assert answer.get("Content-Encoding") == ("gzip" if is_small else None)
    assert answer.getvalue() == (page.small if is_small else page.plain)


def test_strangers_choices_do_not_fill_the_memory() -> None:
    pages = Pages()
    made: Counter[object] = Counter()

    def get(choice: object) -> None:
        pages.get(1, choice, lambda: made.update([choice]) or "page", AT_ONCE)

    for number in range(3 * rendering._MOST_KEPT):
        get(number)
        get("usual")
    assert len(pages._choices) == rendering._MOST_KEPT
    # What is asked for all the time is not pushed out.
    assert made["usual"] == 1


def test_a_page_that_takes_long_holds_up_no_other() -> None:
    pages, is_held_up, may_end = Pages(), Event(), Event()

    def long() -> str:
        is_held_up.set()
        assert may_end.wait(8)
        return "long"

    with ThreadPoolExecutor() as threads:
        first, second = (threads.submit(pages.get, 1, "long", long, AT_ONCE) for _ in range(2))
        assert is_held_up.wait(8)
        assert pages.get(1, "short", lambda: "short", AT_ONCE).plain == b"short"
        may_end.set()
        assert first.result(8) is second.result(8)


def test_a_client_gets_what_is_to_be_rendered_one_after_another_and_delays_nobody_else() -> None:
    pages, turns, may_end = Pages(), Turns(), Event()
    begun: list[object] = []

    def get(client: str, choice: object) -> bytes:
        def render() -> str:
            begun.append(choice)
            assert choice not in range(8) or may_end.wait(8)
            return f"page {choice}"

        return pages.get(1, choice, render, lambda: turns.of(client)).plain

    with ThreadPoolExecutor(16) as threads:
        # The last one wants what another wants, too.
        strangers = [threads.submit(get, "stranger", choice) for choice in (*range(8), "usual")]
        try:
            assert threads.submit(get, "reader", "usual").result(8) == b"page usual"
            assert threads.submit(get, "reader", "other").result(8) == b"page other"
            assert len(begun) <= 3
        finally:
            may_end.set()
        assert [each.result(8) for each in strangers] == [b"page %d" % number for number in range(8)] + [b"page usual"]
    assert len(begun) == 10
    assert not turns._clients


def test_a_client_that_has_too_many_in_line_is_refused_more_of_what_is_to_be_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering, "_MOST_IN_LINE", 2)
    pages, turns, is_held_up, may_end = Pages(), Turns(), Event(), Event()

    def long() -> str:
        is_held_up.set()
        assert may_end.wait(8)
        return "long"

    def get(client: str, choice: object, render: Callable[[], str] = lambda: "short") -> bytes:
        return pages.get(1, choice, render, lambda: turns.of(client)).plain

    get("reader", "usual")
    with ThreadPoolExecutor() as threads:
        first = threads.submit(get, "stranger", "first", long)
        assert is_held_up.wait(8)
        second = threads.submit(get, "stranger", "second")
        wait_until(lambda: turns._clients["stranger"]._count == 2, "the second in line")
        with pytest.raises(rendering.TooManyAtOnceError):
            get("stranger", "third")
        assert get("stranger", "usual") == get("reader", "third") == b"short"
        may_end.set()
        assert (first.result(8), second.result(8)) == (b"long", b"short")
    assert get("stranger", "fourth") == b"short"


def test_whoever_is_refused_is_told_when_to_come_again() -> None:
    def page(request: HttpRequest) -> HttpResponse:
        raise rendering.TooManyAtOnceError

    answer = rendering.in_turn(page)(HttpRequest())
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
