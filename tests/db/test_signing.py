"""Signed documents, and the keys that sign them."""

import io
import json
import logging
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction
from django.test import Client
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from pytest_django import Settings

from infra import clock
from signing import keys
from signing.documents import Kind, sign
from signing.key_file import KeyFileError
from signing.models import SigningKey
from tests.support.tampering import forged, with_each_bit_changed

pytestmark = pytest.mark.django_db

RECEIPT = {"epoch": "q7Vb2xWk", "seq": 18231, "metals": {"gold": {"price": Decimal("13221.39")}}}
ADDRESS = "/.well-known/jwks.json"


@pytest.fixture
def key_set(client: Client) -> Callable[[], KeySet]:
    """The keys as the server publishes them now."""
    return lambda: KeySet.import_key_set(client.get(ADDRESS).json())


def read(text: str, published: KeySet) -> Any:
    """The payload, verified by the published keys. Raises JoseError or ValueError."""
    return json.loads(jws.deserialize_compact(text, published, algorithms=["Ed25519"]).payload)


def private_part() -> str:
    return SigningKey.objects.get(current=True).private


# --- documents -----------------------------------------------------------------------------------------------------


def test_a_document_is_verified_by_the_published_keys_and_says_what_it_is(key_set: Callable[[], KeySet]) -> None:
    text = sign(Kind.RECEIPT, RECEIPT)
    document = jws.deserialize_compact(text, key_set(), algorithms=["Ed25519"])
    (key,) = key_set().keys
    assert document.headers() == {"alg": "Ed25519", "kid": key.kid, "typ": "swarna-receipt+jws"}
    assert jws.extract_compact(sign(Kind.LOCK, {}).encode()).headers()["typ"] == "swarna-lock+jws"


def test_amounts_in_a_document_are_strings_and_it_says_who_signed(
    key_set: Callable[[], KeySet], settings: Settings
) -> None:
    settings.SIGNING_ISSUER = "https://prices.example"
    payload = read(sign(Kind.RECEIPT, RECEIPT), key_set())
    assert payload == RECEIPT | {"iss": "https://prices.example", "metals": {"gold": {"price": "13221.39"}}}


def test_the_same_document_has_the_same_signature() -> None:
    assert sign(Kind.RECEIPT, RECEIPT) == sign(Kind.RECEIPT, RECEIPT)


def test_no_bit_of_a_document_can_be_changed(key_set: Callable[[], KeySet]) -> None:
    text = sign(Kind.RECEIPT, {"seq": 18231})
    published = key_set()
    for changed in with_each_bit_changed(text):
        with pytest.raises((JoseError, ValueError)):
            read(changed, published)


def test_what_others_signed_is_not_believed(key_set: Callable[[], KeySet]) -> None:
    text = sign(Kind.RECEIPT, RECEIPT)
    published = key_set()
    for what, forgery in forged(text, SigningKey.objects.get().public).items():
        with pytest.raises((JoseError, ValueError)):
            pytest.fail(f"{what}: {read(forgery, published)}")


# --- the published keys --------------------------------------------------------------------------------------------


def test_keys_are_for_pages_of_any_origin_and_for_caches(client: Client) -> None:
    assert client.get(ADDRESS).json() == {"keys": []}
    sign(Kind.RECEIPT, RECEIPT)
    answer = client.get(ADDRESS, headers={"Origin": "https://somewhere.example"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/jwk-set+json")
    assert (answer["Access-Control-Allow-Origin"], answer["Cache-Control"]) == ("*", "public, max-age=300")
    assert "Cookie" not in answer.get("Vary", "")
    (key,) = answer.json()["keys"]
    assert {name: key[name] for name in ("kty", "crv", "use", "alg")} == {
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "alg": "Ed25519",
    }
    assert set(key) - {"kty", "crv", "use", "alg"} == {"x", "kid"}
    assert client.post(ADDRESS).status_code == 405


def test_a_key_that_was_rotated_out_verifies_what_it_signed_and_can_sign_no_more(
    key_set: Callable[[], KeySet], client: Client
) -> None:
    old, its_private_part = sign(Kind.RECEIPT, RECEIPT), private_part()
    said = io.StringIO()
    call_command("rotatesigningkey", stdout=said)
    new = sign(Kind.RECEIPT, RECEIPT)
    kids = [key["kid"] for key in client.get(ADDRESS).json()["keys"]]
    assert [jws.extract_compact(text.encode()).headers()["kid"] for text in (new, old)] == kids
    assert kids[0] in said.getvalue()
    assert read(old, key_set()) == read(new, key_set())
    assert its_private_part not in SigningKey.objects.values_list("private", flat=True)
    assert SigningKey.objects.exclude(private="").count() == 1


@pytest.mark.django_db(transaction=True)
def test_keys_are_published_while_the_database_is_away() -> None:
    client = Client(raise_request_exception=False)

    def away(*query: Any) -> None:
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(away):
        assert client.get(ADDRESS).status_code == 503
    sign(Kind.RECEIPT, RECEIPT)
    before = client.get(ADDRESS).content
    with connection.execute_wrapper(away):
        assert client.get(ADDRESS).content == before


@pytest.mark.django_db(transaction=True)
def test_a_key_that_was_rolled_back_signs_nothing(key_set: Callable[[], KeySet]) -> None:
    with transaction.atomic():
        sign(Kind.LOCK, {})
        transaction.set_rollback(True)
    assert read(sign(Kind.LOCK, {"id": "7"}), key_set())["id"] == "7"


@pytest.mark.django_db(transaction=True)
def test_a_document_costs_no_query_for_a_minute(
    django_assert_num_queries: Callable[[int], AbstractContextManager[Any]],
) -> None:
    sign(Kind.RECEIPT, RECEIPT)
    with django_assert_num_queries(0):
        sign(Kind.RECEIPT, RECEIPT)


# --- secrecy -------------------------------------------------------------------------------------------------------


def test_the_private_part_is_in_no_page_export_or_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    exported = io.StringIO()
    text = sign(Kind.RECEIPT, RECEIPT)
    call_command("rotatesigningkey", stdout=exported)
    call_command("dumpdata", "--all", stdout=exported)
    secret = private_part()
    assert len(secret) == 43
    seen = [text, exported.getvalue(), client.get(ADDRESS).content.decode(), repr(SigningKey.objects.all())]
    seen += [record.getMessage() for record in caplog.records if not record.name.startswith("django.db")]
    assert not [each for each in seen if secret in each]
    assert SigningKey not in admin.site._registry


def test_a_copy_without_private_parts_draws_a_key_of_its_own(key_set: Callable[[], KeySet]) -> None:
    text, dump = sign(Kind.RECEIPT, RECEIPT), io.StringIO()
    call_command("dumpdata", "signing", stdout=dump)
    SigningKey.objects.all().delete()
    SigningKey.objects.bulk_create(SigningKey(kid=row["pk"], **row["fields"]) for row in json.loads(dump.getvalue()))
    assert sign(Kind.RECEIPT, RECEIPT) != text
    assert read(text, key_set())["seq"] == 18231


# --- SIGNING_KEYS_FILE ---------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path, settings: Settings) -> Path:
    path = tmp_path / "keys.json"
    settings.SIGNING_KEYS_FILE = path
    return path


def test_a_file_is_made_by_the_command_private_and_signs(file: Path, key_set: Callable[[], KeySet]) -> None:
    call_command("rotatesigningkey", stdout=io.StringIO())
    assert file.stat().st_mode & 0o777 == 0o600
    assert run_checks() == []
    assert read(sign(Kind.RECEIPT, RECEIPT), key_set())["seq"] == 18231
    assert list(SigningKey.objects.values_list("private", "current")) == [("", None)]


def test_a_file_is_rotated_and_what_it_lost_is_published_for_good(file: Path, key_set: Callable[[], KeySet]) -> None:
    by_database = KeySet([OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": "A" * 43})])  # none of ours
    documents = []
    for _ in range(2):
        call_command("rotatesigningkey", stdout=io.StringIO())
        documents.append(sign(Kind.RECEIPT, RECEIPT))
    first, second = json.loads(file.read_text())["keys"]
    assert ("d" in first, "d" in second) == (True, False)
    file.unlink()
    call_command("rotatesigningkey", stdout=io.StringIO())
    for text in (*documents, sign(Kind.RECEIPT, RECEIPT)):
        assert read(text, key_set())["seq"] == 18231
        with pytest.raises((JoseError, ValueError)):
            read(text, by_database)


def test_with_a_file_the_database_keeps_no_private_part(
    settings: Settings, tmp_path: Path, key_set: Callable[[], KeySet]
) -> None:
    before = sign(Kind.RECEIPT, RECEIPT)
    settings.SIGNING_KEYS_FILE = tmp_path / "keys.json"
    call_command("rotatesigningkey", stdout=io.StringIO())
    assert not SigningKey.objects.exclude(private="").exists()
    for text in (before, sign(Kind.RECEIPT, RECEIPT)):
        assert read(text, key_set())["seq"] == 18231


GOOD = json.dumps({"keys": [OKPKey.generate_key("Ed25519").as_dict(private=True)]})
PUBLIC = json.dumps({"keys": [OKPKey.generate_key("Ed25519").as_dict(private=False)]})
OTHER_CURVE = json.dumps({"keys": [OKPKey.generate_key("X25519").as_dict(private=True)]})


UNUSABLE = {
    "none": (None, 0o600, "is not there", "Make it by `manage.py rotatesigningkey`"),
    "readable by all": (GOOD, 0o644, "is open to others (mode 0644)", "Run `chmod 600 "),
    "writable by a group": (GOOD, 0o620, "is open to others (mode 0620)", "Run `chmod 600 "),
    "no JSON": ("{", 0o600, "is no JWK Set", "Make it by"),
    "a list": ("[]", 0o600, "is no JWK Set", "Make it by"),
    "no key": ('{"keys": []}', 0o600, "has no private key (`d`) in its first place", "Put first the key"),
    "a public key": (PUBLIC, 0o600, "has no private key (`d`) in its first place", "Put first the key"),
    "a key of another curve": (OTHER_CURVE, 0o600, "Key 1 of", "Make it by"),
    "a password": ('{"keys": [{"kty": "oct", "k": "c2VjcmV0IHNlY3JldA"}]}', 0o600, "Key 1 of", "Make it by"),
    "a text": ('{"keys": ["c2VjcmV0IHNlY3JldA"]}', 0o600, "Key 1 of", "Make it by"),
}


@pytest.mark.parametrize(("content", "mode", "said", "remedy"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_file_that_cannot_be_used_is_an_error_that_says_what_to_do(
    file: Path, content: str | None, mode: int, said: str, remedy: str
) -> None:
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    (error,) = run_checks()
    assert (error.id, said in error.msg, remedy in (error.hint or "")) == ("swarna.E006", True, True), error
    assert not re.search(r"c2Vjc|\"d\"", f"{error.msg} {error.hint}")
    with pytest.raises(KeyFileError):
        keys.current()


@pytest.mark.django_db(transaction=True)
def test_a_process_goes_on_with_the_key_of_a_file_that_is_open_to_others_since(
    file: Path, key_set: Callable[[], KeySet], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    call_command("rotatesigningkey", stdout=io.StringIO())
    before = sign(Kind.RECEIPT, RECEIPT)
    file.chmod(0o644)
    in_two_minutes = clock.steady() + 120
    monkeypatch.setattr(clock, "steady", lambda: in_two_minutes)
    assert sign(Kind.RECEIPT, RECEIPT) == before
    assert read(before, key_set())["seq"] == 18231
    assert "documents are signed with the key of before" in caplog.messages[-1]
    assert f"Run `chmod 600 {file}`" in caplog.messages[-1]
    keys.forget()
    with pytest.raises(KeyFileError):
        sign(Kind.RECEIPT, RECEIPT)


def test_a_folder_that_cannot_be_written_is_an_error_that_says_what_to_do(file: Path, settings: Settings) -> None:
    settings.SIGNING_KEYS_FILE = file / "in a folder that is not there"
    with pytest.raises(CommandError, match=r"cannot be written: No such file or directory\. Run this with"):
        call_command("rotatesigningkey", stdout=io.StringIO())
    assert not list(file.parent.iterdir())
