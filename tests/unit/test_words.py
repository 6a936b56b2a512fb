"""Translations: complete, as `make words` writes them, and in nothing but their own language."""

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Catalog, Message
from babel.messages.pofile import read_po

from prices.domain.marks import LABELS
from tests.support import words
from tests.support.product import ROOT

SCRIPTS = {"hi": "DEVANAGARI", "mr": "DEVANAGARI", "gu": "GUJARATI", "ta": "TAMIL", "te": "TELUGU"}
# What stands in Latin letters in every language: names, and what one types.
LATIN = {"API", "CSV", "JavaScript", "Swarna", "TradingView"}
PLACEHOLDER = re.compile(r"\{\w+\}|%\(\w+\)s")
# Words of one of two languages with the same script, that the other does not have.
ONLY_HINDI = {"है", "हैं", "और", "की", "के", "में", "नहीं", "से", "पर"}
ONLY_MARATHI = {"आहे", "आहेत", "आणि", "नाही", "चा", "ची", "चे", "मध्ये"}


def catalog(language: str) -> Catalog:
    with (words.LOCALE / language / "LC_MESSAGES/django.po").open("rb") as file:
        return read_po(file, locale=language)


def translations(language: str) -> list[tuple[Message, str, str]]:
    """Each message, with each of its English forms beside the translation of it."""
    found = []
    for message in catalog(language):
        if message.id:
            english: Any = message.id if isinstance(message.id, tuple) else (message.id,)
            found += [(message, *pair) for pair in zip(english, words.strings(message), strict=True)]
    return found


def test_every_text_that_is_said_can_be_translated_and_no_other() -> None:
    """The remedy is `make words`."""
    wrong = [path for path, content in words.files().items() if not path.exists() or path.read_bytes() != content]
    assert [path.relative_to(ROOT).as_posix() for path in wrong] == []


def test_there_is_a_catalog_for_each_language_and_for_no_other() -> None:
    expected = set(words.LANGUAGES)
    assert {path.name for path in words.LOCALE.iterdir()} == expected
    assert {path.stem for path in (words.SCRIPTS[0] / "words").iterdir()} == expected


def test_labels_of_prices_are_among_the_texts_of_scripts() -> None:
    """Pure Python, where they are defined too, marks no texts."""
    assert set(LABELS.values()) <= {message.id for message in words.marked()}


def test_texts_of_scripts_are_found_wherever_they_stand() -> None:
    """Within templates, too: here they are found without any knowledge of the language."""
    scripts = [path.read_text() for folder in words.SCRIPTS for path in folder.glob("*.js")]
    said = {text for script in scripts for text in re.findall(r'(?<![\w`])_\(\s*"([^"\\]+)"', script)}
    assert said - {message.id for message in words.marked()} == set()


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    assert [english for message, english, text in translations(language) if not text or message.fuzzy] == []


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_translation_has_the_values_of_its_text(language: str) -> None:
    wrong = [
        (english, text)
        for _, english, text in translations(language)
        if sorted(PLACEHOLDER.findall(english)) != sorted(PLACEHOLDER.findall(text))
    ]
    assert wrong == []


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_translation_cannot_bring_markup_into_a_page(language: str) -> None:
    """Django takes translations of a template's own texts as they are, in attributes too."""
    assert [text for _, _, text in translations(language) if set(text) & set('<>&"\\')] == []


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_translation_is_in_its_languages_script_alone(language: str) -> None:
    assert [text for _, _, text in translations(language) if foreign(text, SCRIPTS[language])] == []


def foreign(text: str, script: str) -> list[str]:
    """The words of a text with a letter or digit of another script, but for those that are Latin everywhere."""
    plain = PLACEHOLDER.sub(" ", text)
    for word in LATIN:
        plain = re.sub(rf"\b{word}\b", " ", plain)
    letters = [letter for letter in plain if unicodedata.category(letter)[0] in "LM"]
    digits = [digit for digit in plain if digit.isdigit() and not digit.isascii()]
    return [letter for letter in letters if not unicodedata.name(letter).startswith(script)] + digits


def test_a_letter_of_another_script_is_found() -> None:
    assert foreign("सोना gold", "DEVANAGARI") == list("gold")
    assert foreign("२४ कैरेट", "DEVANAGARI") == ["२", "४"]
    assert foreign("{count} सेकंड, API", "DEVANAGARI") == []


@pytest.mark.parametrize(("language", "others"), [("hi", ONLY_MARATHI), ("mr", ONLY_HINDI)])
def test_hindi_and_marathi_are_not_mixed(language: str, others: set[str]) -> None:
    found = {word for _, _, text in translations(language) for word in re.findall(r"[\u0900-\u097f]+", text)}
    assert found & others == set()


def test_numbers_have_the_forms_of_their_language() -> None:
    """As `Intl.PluralRules` has them: in Hindi and Gujarati none is said as one."""
    forms = {language: catalog(language).plural_expr for language in words.LANGUAGES}
    assert forms == {"hi": "(n > 1)", "gu": "(n > 1)", "mr": "(n != 1)", "ta": "(n != 1)", "te": "(n != 1)"}


def test_texts_of_templates_are_found(tmp_path: Path) -> None:
    source = (
        "{% load i18n %}{% if x %}{% translate 'Gold' %}{% endif %}{% translate x %}"
        "{% blocktranslate trimmed %}\n  as of\n  {{ time }}\n{% endblocktranslate %}"
        "{% blocktranslate count n=x %}{{ n }} day{% plural %}{{ n }} days{% endblocktranslate %}"
    )
    assert list(words.in_template(source)) == ["Gold", "as of %(time)s", ("%(n)s day", "%(n)s days")]
