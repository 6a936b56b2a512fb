"""Signed documents that are not to be believed, each made of a good one."""

import base64
import json
from typing import Any

from joserfc import jws
from joserfc.jwk import OctKey, OKPKey


def with_each_bit_changed(text: str) -> list[str]:
    """The document with one bit changed, for each of its bits, as far as that leaves text."""
    letters = text.encode()
    changed = (
        bytes([*letters[:at], letters[at] ^ 1 << bit, *letters[at + 1 :]])
        for at in range(len(letters))
        for bit in range(7)
    )
    return [each.decode() for each in changed]


def forged(text: str, public: str) -> dict[str, str]:
    """The document's payload signed by others and in other ways, by what is wrong; `public` is the true key's `x`."""
    head, body, _ = text.split(".")
    header, payload = (json.loads(base64.urlsafe_b64decode(f"{part}==")) for part in (head, body))
    content = json.dumps(payload)
    stranger = OKPKey.generate_key("Ed25519")

    def signed(key: Any, **changes: Any) -> str:
        ours = header | changes
        return jws.serialize_compact(ours, content, key, algorithms=[ours["alg"]])

    return {
        "another's key by the true one's name": signed(stranger),
        "an unknown key": signed(stranger, kid=stranger.thumbprint()),
        "no signature": f"{_encoded(header | {'alg': 'none'})}.{body}.",
        "a signature by alg none": f"{_encoded(header | {'alg': 'none'})}.{body}.AA",
        "the public key as a password": signed(OctKey.import_key(public), alg="HS256"),
        "a header without an algorithm": f"{_encoded({'kid': header['kid']})}.{body}.AA",
        "a part too few": f"{head}.{body}",
        "a part too many": f"{text}.AA",
        "nothing": "",
    }


def _encoded(header: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
