"""The names of all metrics, those of the price sources and of locks among them."""

import re

import pytest

from locks.metrics import LockCounts
from locks.metrics import metrics as of_locks
from prices.sources.metrics import metrics as of_sources
from streaming.metrics import Metrics
from tests.support.product import ROOT
from tests.support.quotes import NOW


@pytest.mark.django_db
def test_names_follow_prometheus_and_each_is_explained_to_operators() -> None:
    explained = set(re.findall(r"^\| `(swarna_\w+)`", (ROOT / "docs/operations.md").read_text(), re.MULTILINE))
    ours, names = Metrics(), set()
    LockCounts().count_in(ours.store)
    for family in (*ours.registry.collect(), *of_sources(NOW), *of_locks()):
        assert family.documentation.endswith(".")
        names.add(f"{family.name}_total" if family.type == "counter" else family.name)
    assert all(re.fullmatch(r"swarna_[a-z_]+", name) for name in names)
    assert names == explained
