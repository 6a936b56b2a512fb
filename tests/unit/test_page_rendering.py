"""Pages that are rendered once for all their readers."""

import gzip
import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from pages import rendering
from pages.rendering import Pages


def test_a_page_is_rendered_once_a_version_and_choice() -> None:
    pages, made = Pages(), itertools.count()
    shown = [
        pages.get(version, choice, lambda: f"page {next(made)}").plain.decode()
        for version, choice in [(1, "a"), (1, "a"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]
    ]
    assert shown == ["page 0", "page 0", "page 1", "page 0", "page 2", "page 3"]


def test_a_page_is_compressed_once_and_says_whether_it_is_the_same() -> None:
    first, same, other = (Pages().get(1, "a", text.format) for text in ("x" * 99, "x" * 99, "y" * 99))
    assert gzip.decompress(first.small) == first.plain
    assert (first.etag == same.etag, first.etag == other.etag) == (True, False)


def test_strangers_choices_do_not_fill_the_memory() -> None:
    pages = Pages()
    made: Counter[object] = Counter()

    def get(choice: object) -> None:
        pages.get(1, choice, lambda: made.update([choice]) or "page")

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
        first, second = (threads.submit(pages.get, 1, "long", long) for _ in range(2))
        assert is_held_up.wait(8)
        assert pages.get(1, "short", lambda: "short").plain == b"short"
        may_end.set()
        assert first.result(8) is second.result(8)
