"""The texts of a page, and which of their words are not in its language."""

import re
from html.parser import HTMLParser
from typing import Final

LETTERS: Final = {
    "hi": "\u0900-\u097f",
    "mr": "\u0900-\u097f",
    "gu": "\u0a80-\u0aff",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
}
# Names, and what has no other form in any of the languages.
LATIN: Final = {"API", "CSV", "INR", "JavaScript", "Swarna", "XAG", "XAU", "am", "pm"}
# A notice repeats parts of the address; a source is a site.
_REPEATED: Final = re.compile(r"“[^”]*”|\b\w+=\S+|[\w-]+\.(com|io|dev)\b|https?://\S+")
_JOINERS: Final = re.compile("[\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}]")
_TEXT_ATTRIBUTES: Final = {"alt", "aria-label", "content", "label", "placeholder", "title"}
_VOID: Final = {"br", "input", "link", "meta"}


class _Texts(HTMLParser):
    """All that a reader of a page sees or hears, but for what is marked as of another language."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        # For each open element, whether what is in it is another language's, or a program's.
        self._foreign = [False]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_foreign = self._foreign[-1] or tag in {"script", "style"} or (tag != "html" and "lang" in given)
        if not is_foreign and (tag != "meta" or given.get("name") == "description"):
            self.found += [text for name, text in attrs if name in _TEXT_ATTRIBUTES and text]
        if tag not in _VOID:
            self._foreign.append(is_foreign)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Pass over a shape: it says nothing."""

    def handle_endtag(self, tag: str) -> None:
        self._foreign.pop()

    def handle_data(self, data: str) -> None:
        if not self._foreign[-1] and data.strip():
            self.found.append(data.strip())


def texts_of(page: str) -> list[str]:
    """The texts of a page's HTML: its content, and what is read out of it."""
    texts = _Texts()
    texts.feed(page)
    return texts.found


def words_of_another(page: str, language: str) -> list[str]:
    """The words of a page's HTML that are not in the language."""
    own = re.compile(f"[{LETTERS[language]}]+")
    words = (
        word for text in texts_of(page) for word in re.findall(r"[^\W\d_]+", _JOINERS.sub("", _REPEATED.sub(" ", text)))
    )
    return [word for word in words if word not in LATIN and not own.fullmatch(word)]
