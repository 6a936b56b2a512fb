"""Signed documents as a client reads them."""

from typing import Any

from django.test import Client
from joserfc import jws
from joserfc.jwk import KeySet
from joserfc.jws import CompactSignature

JOSE: dict[str, Any] = {"Accept": "application/jose"}


def verified(client: Client, text: str) -> CompactSignature:
    """A document, verified by the keys that the server publishes. Raises JoseError or ValueError."""
    published = KeySet.import_key_set(client.get("/.well-known/jwks.json").json())
    return jws.deserialize_compact(text, published, algorithms=["Ed25519"])
