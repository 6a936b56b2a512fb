"""Checks of the configuration, run by `manage.py check` and by every server process at its start."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.urls import Resolver404, get_resolver, resolve

from prices.domain.provider_table import PROVIDER_TABLE
from prices.domain.quotes import SIMULATED
from signing import key_file

# Addresses that no view of Django's answers.
_BESIDE_DJANGO: Final = ("/ws/prices/", "/metrics", "/static/")


@register
def environment_is_readable(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """swarna.E001: a variable of the environment or of `.env` cannot be read."""
    return [
        Error(
            f"{name} cannot be used: {' '.join(messages)}",
            hint=f"Mend {name} in the environment or in .env; .env.example says what it may hold.",
            id="swarna.E001",
        )
        for name, messages in settings.ENVIRONMENT_ERRORS.items()
    ]


@register
def providers_exist(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """swarna.E002: PRICE_PROVIDERS names a source that Swarna does not have."""
    return [
        Error(
            f"PRICE_PROVIDERS names {name!r}, which is not a price source.",
            hint=f"Choose from: {', '.join(sorted(PROVIDER_TABLE))}.",
            id="swarna.E002",
        )
        for name in settings.PRICE_PROVIDERS
        if name not in PROVIDER_TABLE
    ]


@register
def providers_have_their_keys(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """swarna.E003: PRICE_PROVIDERS names a source that needs a key, and there is none."""
    return [
        Error(
            f"PRICE_PROVIDERS names {name!r}, which needs a key, and {key} is empty.",
            hint=f"Set {key} in the environment or in .env, or take {name} out of PRICE_PROVIDERS.",
            id="swarna.E003",
        )
        for name in dict.fromkeys(settings.PRICE_PROVIDERS)
        if (row := PROVIDER_TABLE.get(name)) and row.needs_key and not getattr(settings, key := row.setting("KEY"))
    ]


@register
def a_simulated_market_agrees_with_nobody(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """swarna.E005: a simulated source would count towards the consensus on the market's price."""
    if not settings.CONSENSUS_SOURCES or SIMULATED not in settings.PRICE_PROVIDERS:
        return []
    return [
        Error(
            f"CONSENSUS_SOURCES asks for sources that agree, and PRICE_PROVIDERS names {SIMULATED!r}, "
            "which is no market.",
            hint=f"Take {SIMULATED} out of PRICE_PROVIDERS, or set CONSENSUS_SOURCES to 0.",
            id="swarna.E005",
        )
    ]


@register
def as_many_sources_as_have_to_agree(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """swarna.E004: more sources have to agree than there are: no price would ever be published."""
    names = set(settings.PRICE_PROVIDERS)
    if len(names) >= settings.CONSENSUS_SOURCES:
        return []
    return [
        Error(
            f"CONSENSUS_SOURCES asks for {settings.CONSENSUS_SOURCES} sources to agree, and PRICE_PROVIDERS names "
            f"{len(names)}: no price would ever go out.",
            hint="Name more sources in PRICE_PROVIDERS, or lower CONSENSUS_SOURCES; 0 believes the first that answers.",
            id="swarna.E004",
        )
    ]


@register
def signing_keys_can_be_read(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """swarna.E006: SIGNING_KEYS_FILE cannot be used, or others may read it."""
    if settings.SIGNING_KEYS_FILE is None:
        return []
    try:
        key_file.read(settings.SIGNING_KEYS_FILE)
    except key_file.KeyFileError as error:
        return [Error(f"SIGNING_KEYS_FILE: {error}", hint=error.hint, id="swarna.E006")]
    return []


@register
def url_prefix_is_not_ours(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """swarna.E007: URL_PREFIX is an address of Swarna's own: a request for that would be taken for one of the board."""
    if not settings.URL_PREFIX or not _is_ours(settings.URL_PREFIX):
        return []
    return [
        Error(
            f"URL_PREFIX is {settings.URL_PREFIX}, where Swarna has a page or a file of its own.",
            hint="Choose a path that Swarna does not have, such as /gold-prices, there and in the proxy.",
            id="swarna.E007",
        )
    ]


def _is_ours(prefix: str) -> bool:
    """Return True if there is an address of ours at a prefix, or below it."""
    ours = [*_BESIDE_DJANGO, *(f"/{each.pattern}" for each in get_resolver().url_patterns)]
    if any(each == prefix or each.startswith(f"{prefix}/") for each in ours):
        return True
    try:
        resolve(f"{prefix}/")
    except Resolver404:
        return False
    return True


@register
def holidays_are_known(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """swarna.W001: the market's holidays are known for less than a year to come."""
    until = settings.MARKET_CALENDAR.runs_out(dt.datetime.now(dt.UTC))
    if until is None:
        return []
    return [
        Warning(
            f"The market's holidays are known until {until} alone: on later ones, prices would turn stale.",
            hint="Update Swarna, or name those of the next year in MARKET_HOLIDAYS.",
            id="swarna.W001",
        )
    ]
