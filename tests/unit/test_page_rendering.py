"""Pages that are rendered once for all their readers."""

import gzip
import itertools

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
    for choice in range(3 * rendering._MOST_KEPT):
        pages.get(1, choice, lambda: "page")
    assert len(pages._pages) <= rendering._MOST_KEPT
