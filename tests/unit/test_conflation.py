"""The number of publications with some metals, against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from streaming.conflation import Conflation
from streaming.protocol import METALS

KEPT = 8
SOME = st.sets(st.sampled_from(METALS))


@given(st.lists(SOME | st.just("gap"), max_size=30), SOME, st.integers(0, 40))
def test_publications_are_counted_as_far_back_as_they_are_known(
    publications: list[set[str] | str], metals: set[str], newest: int
) -> None:
    conflation, known = Conflation(KEPT), list[set[str]]()
    for each in publications:
        if isinstance(each, str):
            conflation.clear()
            known.clear()
        else:
            conflation.append(each)
            known = [*known, each][-KEPT:]
    counted = known[-newest:] if newest else []
    assert conflation.count(frozenset(metals), newest) == sum(bool(each & metals) for each in counted)
