"""Amounts as staff type and read them: with commas as India or the West writes them, in the digits of any script."""

import re
import unicodedata
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

# 1,20,500 or 120,500: anywhere else a comma may have been meant for a point.
_NUMBER: Final = re.compile(r"(\d+|\d{1,2}(,\d{2})*,\d{3}|\d{1,3}(,\d{3})+)(\.\d+)?")
_HOW: Final = "Write a number such as 12050, 12,050.50 or 1,20,500: commas between thousands, a point before decimals."
_LONGEST: Final = 24  # characters: more than any price has


def read(text: str) -> Decimal:
    """The amount that a text means. Raises ValueError, with what to write instead, where that is not plain."""
    plain = "".join(_digit(character) for character in text if not character.isspace()).removeprefix("₹")
    if not _NUMBER.fullmatch(plain):
        raise ValueError(_HOW)
    return Decimal(plain.replace(",", ""))


def written(amount: Decimal) -> str:
    """An amount with commas, as India writes them where prices are in rupees; with no decimals, or two and more."""
    whole, _, decimals = f"{amount:f}".partition(".")
    decimals = decimals.rstrip("0")
    groups = r"(\d\d)*\d{3}$" if settings.BASE_CURRENCY == "INR" else r"(\d{3})+$"
    whole = re.sub(rf"(?<=\d)(?={groups})", ",", whole)
    return f"{whole}.{decimals.ljust(2, '0')}" if decimals else whole


def _digit(character: str) -> str:
    """A digit of any script, such as Devanagari's, as 0 to 9; any other character as it is."""
    return str(unicodedata.decimal(character, character))


class AmountField(forms.CharField):
    """An amount as `read` takes it; None where nothing is typed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=_LONGEST, widget=forms.TextInput(attrs={"inputmode": "decimal"}), **options)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return read(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error
