"""Vendored files are exactly as their authors published them."""

import hashlib

from tests.support.product import ROOT

VENDOR = ROOT / "tests/support/vendor"
OURS = {"NOTICE.md", "SHA256SUMS"}


def recorded_sums() -> dict[str, str]:
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def test_every_vendored_file_is_unchanged():
    actual = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.name not in OURS
    }
    assert actual == recorded_sums()


def test_every_vendored_script_says_where_it_is_from():
    notice = (VENDOR / "NOTICE.md").read_text()
    assert [path.name for path in VENDOR.glob("*.js") if path.name not in notice] == []
