"""axe, the checker of accessibility, in a page of a test's browser."""

import os
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.product import ROOT

_AXE = ROOT / "tests/support/typescript/node_modules/axe-core/axe.min.js"


def violations(page: Page, *more: str) -> dict[str, list[str]]:
    """The rules of axe that a page breaks, of WCAG 2.2 AA and of good practice, each with the elements that break it.

    `more` are rules beyond these, such as those of AAA.

    Without axe the test is skipped, or fails where REQUIRE_TYPESCRIPT=1 is set.
    """
    if not _AXE.exists():
        give_up = pytest.fail if os.environ.get("REQUIRE_TYPESCRIPT") == "1" else pytest.skip
        give_up("no axe: install Node with npm, and run `make test`")
    page.evaluate(_AXE.read_text())
    run = "(rules) => axe.run(document, { rules }).then((results) => results.violations)"
    found: list[dict[str, Any]] = page.evaluate(run, {rule: {"enabled": True} for rule in more})
    return {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found}
