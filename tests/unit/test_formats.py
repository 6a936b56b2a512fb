"""The visitors' pages in their reader's language: which one, and numbers, times and names in it."""

from zoneinfo import ZoneInfo

import pytest
from django.test import RequestFactory, override_settings

from pages import languages
from pages.formats import Formats
from pages.languages import Language
from tests.support.format_cases import ZONE, Case, called, cases

ZONES = [
    ("Asia/Kolkata", "India Standard Time", "भारतीय मानक समय"),
    ("UTC", "Coordinated Universal Time", "समन्वित वैश्विक समय"),
    # Not the name of its winter or its summer alone.
    ("America/New_York", "Eastern Time", "उत्तरी अमेरिकी पूर्वी समय"),
]
BY_BROWSER = ("Accept-Language",)
BY_COOKIE = ("Accept-Language", "Cookie")


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.locale} {case.call} {case.of}")
def test_python_writes_as_browsers_do(case: Case) -> None:
    """tests/browser/test_words_js.py has the same cases."""
    formats = Formats(case.locale.partition("-")[0], case.locale, ZONE)
    assert called(formats, case.call, case.of) == case.text


@pytest.mark.parametrize(
    ("address", "accepted", "language"),
    [
        ("/", "", Language("en", BY_BROWSER)),
        ("/", "ta", Language("ta", BY_BROWSER)),
        ("/", "fr, gu-IN;q=0.8, hi;q=0.9", Language("hi", BY_BROWSER)),
        ("/", "fr, *", Language("en", BY_BROWSER)),
        ("/", "\x00;q=;;", Language("en", BY_BROWSER)),
        ("/?lang=mr", "ta", Language("mr", ())),
        ("/?lang=HI-in", "ta", Language("hi", ())),
        ("/?lang=fr", "ta", Language("ta", BY_BROWSER)),
        ("/?lang=", "ta", Language("ta", BY_BROWSER)),
        ("/?lang=<script>&lang=te", "ta", Language("te", ())),
    ],
)
def test_the_address_chooses_the_language_else_the_browser_does(
    address: str, accepted: str, language: Language
) -> None:
    request = RequestFactory().get(address, HTTP_ACCEPT_LANGUAGE=accepted)
    assert languages.chosen(request) == language


@pytest.mark.parametrize(
    ("address", "remembered", "language"),
    [
        ("/", "te", Language("te", BY_COOKIE)),
        ("/", None, Language("ta", BY_COOKIE)),
        ("/", "fr", Language("ta", BY_COOKIE)),
        ("/?lang=gu", "te", Language("gu", ())),
    ],
)
def test_a_remembered_language_is_before_the_browsers(address: str, remembered: str | None, language: Language) -> None:
    request = RequestFactory().get(address, HTTP_ACCEPT_LANGUAGE="ta")
    assert languages.chosen(request, remembered, reads_cookie=True) == language


@pytest.mark.parametrize(
    ("language", "currency", "locale"),
    [
        ("en", "INR", "en-IN"),
        ("hi", "INR", "hi-IN"),
        ("en", "USD", "en-US"),
        ("ta", "USD", "ta-IN"),
        ("en", "JPY", "en-001"),
    ],
)
def test_the_locale_is_of_the_language_and_the_currency(language: str, currency: str, locale: str) -> None:
    with override_settings(BASE_CURRENCY=currency):
        assert Language(language).locale == locale
        assert Language(language).format.language == language


@pytest.mark.parametrize(("zone", "english", "hindi"), ZONES)
def test_a_time_zone_is_called_by_its_name(zone: str, english: str, hindi: str) -> None:
    names = [Formats(locale[:2], locale, ZoneInfo(zone)).zone for locale in ("en-IN", "hi-IN")]
    assert names == [english, hindi]
