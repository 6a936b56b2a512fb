"""Each page for visitors in each language: nothing of it is in another one."""

import re
from html.parser import HTMLParser

import pytest
from django.test import Client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]

NONSENSE = "rows=gold:916:10gram,copper,gold:916:stone,a:b:c:d"
PAGES = [
    "/",
    f"/?{NONSENSE}",
    "/gold/",
    "/silver/?unit=stone&purity=916&range=2D&at=2026-09-26",
    "/gold/?at=2999-01-01",
]
LANGUAGES = ["hi", "gu", "mr", "ta", "te"]
LETTERS = {
    "hi": "\u0900-\u097f",
    "mr": "\u0900-\u097f",
    "gu": "\u0a80-\u0aff",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
}
# Names, and what has no other form in any of the languages.
LATIN = {"API", "CSV", "INR", "JavaScript", "Swarna", "XAG", "XAU", "am", "pm"}
# Of an address, which a notice repeats.
REPEATED = re.compile(r"“[^”]*”|\b\w+=\S+|[\w-]+\.(com|io|dev)\b|https?://\S+")
TEXT_ATTRIBUTES = {"alt", "aria-label", "content", "label", "placeholder", "title"}
VOID = {"meta", "link", "br", "input", "path", "polyline"}


class Texts(HTMLParser):
    """All that a reader of a page sees or hears, but for what is marked as of another language."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        # For each open element, whether what is in it is another language's, or a program's.
        self._foreign = [False]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_foreign = self._foreign[-1] or tag in {"script", "style"} or (tag != "html" and "lang" in given)
        if tag == "meta" and given.get("name") != "description":
            return
        if not is_foreign:
            self.found += [text for name, text in attrs if name in TEXT_ATTRIBUTES and text]
        if tag not in VOID:
            self._foreign.append(is_foreign)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self._foreign.pop()

    def handle_data(self, data: str) -> None:
        if not self._foreign[-1] and data.strip():
            self.found.append(data.strip())


def of_another(text: str, language: str) -> list[str]:
    """The words of a text that are not in the language."""
    words = re.findall(r"[^\W\d_]+", REPEATED.sub(" ", text))
    return [word for word in words if word not in LATIN and not re.fullmatch(f"[{LETTERS[language]}]+", word)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_in_one_language(client: Client, address: str, language: str) -> None:
    joined = "&" if "?" in address else "?"
    answer = client.get(f"{address}{joined}lang={language}")
    assert answer.status_code == 200
    page = Texts()
    page.feed(answer.content.decode())
    assert len(page.found) > 20
    assert [words for text in page.found if (words := of_another(text, language))] == []
