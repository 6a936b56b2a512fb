"""The languages of the visitors' pages: which one a request is answered in, and the locale that goes with it."""

import datetime as dt
from collections.abc import Mapping
from typing import Final, NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation.trans_real import parse_accept_lang_header

from infra.formats import clipped
from pages.formats import Formats, formats

ENGLISH: Final = "en"
# Whose English is written where prices are in a currency; clients/js/client/format.js has the same.
_ENGLISH_OF: Final[Mapping[str, str]] = {
    "AED": "AE",
    "EUR": "150",
    "GBP": "GB",
    "INR": "IN",
    "SGD": "SG",
    "USD": "US",
}


class Language(NamedTuple):
    """The language of an answer, one of `settings.LANGUAGES`, and the request's headers that it was chosen by."""

    code: str
    varies_on: tuple[str, ...] = ()

    @property
    def locale(self) -> str:
        """The locale where prices are in the base currency."""
        return locale_of(self.code, settings.BASE_CURRENCY)

    @property
    def catalog(self) -> str:
        """The static file of the words that scripts say; empty for English, which is in the scripts."""
        return "" if self.code == ENGLISH else f"client/words/{self.code}.js"

    @property
    def time_zone(self) -> dt.tzinfo:
        """The time zone that times are written in; its text is its name."""
        return timezone.get_default_timezone()

    @property
    def format(self) -> Formats:
        """The formats of the language, for Python and templates."""
        return formats(self.code, self.locale, self.time_zone)


def chosen(request: HttpRequest, remembered: str | None = None, *, reads_cookie: bool = False) -> Language:
    """The language of `?lang=`; else the remembered one; else the first that the browser accepts; else English.

    One that is not ours is passed over. `remembered` comes from a cookie, on a page that `reads_cookie`.
    """
    named = request.GET.get("lang")
    if named is not None and (language := known(named)):
        return Language(language, ())
    varies_on = ("Accept-Language", "Cookie") if reads_cookie else ("Accept-Language",)
    if remembered is not None and (language := known(remembered)):
        return Language(language, varies_on)
    accepted = parse_accept_lang_header(request.headers.get("Accept-Language", ""))
    return Language(next(filter(None, (known(tag) for tag, _ in accepted)), ENGLISH), varies_on)


def unknown(request: HttpRequest) -> str:
    """The text of `?lang=`, clipped, where it names none of our languages; else empty."""
    named = request.GET.get("lang", "").strip()
    return clipped(named) if named and not known(named) else ""


def known(tag: str) -> str | None:
    """The language of a tag such as `hi-IN`, if it is one of ours."""
    code = tag.lower().partition("-")[0]
    return code if code in dict(settings.LANGUAGES) else None


def locale_of(language: str, currency: str) -> str:
    """The locale of a language where prices are in a currency: `en-IN` and `hi-IN` for INR."""
    return f"{language}-{_ENGLISH_OF.get(currency, '001') if language == ENGLISH else 'IN'}"
