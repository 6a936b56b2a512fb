"""Signed documents: receipts and price locks, as compact JWS (RFC 7515)."""

import enum
from collections.abc import Mapping
from typing import Any

import msgspec
from django.conf import settings
from joserfc import jws

from signing import keys


class Kind(enum.StrEnum):
    """The kinds of documents; the value is `typ` in the header, so that one is not taken for another."""

    RECEIPT = "swarna-receipt+jws"
    LOCK = "swarna-lock+jws"


def sign(kind: Kind, payload: Mapping[str, Any]) -> str:
    """Sign a payload of JSON's types, structs and Decimals, which become strings; returns a compact JWS.

    A person's name must not be in it. The same payload has the same signature for as long as the same key signs, so
    that no signature need be stored. Raises as `keys.current`.
    """
    key = keys.current()
    header = {"alg": keys.ALGORITHM, "kid": key.thumbprint(), "typ": kind.value}
    content = msgspec.json.encode({"iss": settings.SIGNING_ISSUER, **payload})
    return jws.serialize_compact(header, content, key, algorithms=[keys.ALGORITHM])
