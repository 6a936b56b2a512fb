"""JSON that no provider should send, and the ways to change it."""

import copy
import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeAlias

from hypothesis import strategies as st

from prices.domain.quotes import LARGEST_PRICE, Metal, Quote
from prices.providers.errors import ProviderError
from tests.support.quotes import NOW

Path: TypeAlias = tuple[str | int, ...]


def decoded(text: str) -> Any:
    """JSON as `Client.get_json` decodes it."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def changed(answer: Any, path: str, value: Any) -> Any:
    """The answer with another value at a path such as `rates.XAU` or `0.ts`; `...` removes it."""
    return _with(answer, _steps(path), value)


def at(answer: Any, path: str) -> Any:
    """The value at such a path."""
    for step in _steps(path):
        answer = answer[step]
    return answer


def _steps(path: str) -> Path:
    return tuple(int(step) if step.isdecimal() else step for step in path.split("."))


def nested(depth: int) -> Any:
    """Lists in lists."""
    inner: Any = Decimal(1)
    for _ in range(depth):
        inner = [inner]
    return inner


strange_numbers = (
    st.decimals(allow_nan=False, allow_infinity=False)
    | st.builds(lambda sign, exponent: Decimal((sign, (1,), exponent)), st.integers(0, 1), st.integers(-(10**6), 10**6))
    | st.integers(-(10**400), 10**400).map(Decimal)
    | st.sampled_from(["1e999999", "-1e999999", "1e-999999"]).map(Decimal)
)
strange_texts = (
    st.text()
    | st.sampled_from(["NaN", "sNaN", "-Infinity", "1e999999", "1_0", "", " ", "\x00", "٤٢", "\ud800"])
    | strange_numbers.map(str)
    | st.datetimes().map(str)
    | st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat())
)
json_values = st.recursive(
    st.none() | st.booleans() | strange_numbers | strange_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def damaged(answer: Any) -> st.SearchStrategy[Any]:
    """A true answer from which a value, at any depth, is removed or replaced."""
    paths = st.sampled_from(list(_paths(answer)))
    return st.builds(lambda path, value: _with(answer, path, value), paths, json_values | st.just(...))


def check(said: Quote | ProviderError, *, source: str, metal: Metal = Metal.GOLD) -> None:
    """Check the outcome of any answer: an error in one line, or a possible price with a possible time."""
    if isinstance(said, ProviderError):
        assert len(str(said).splitlines()) == 1
        return
    assert 0 < said.price <= LARGEST_PRICE
    assert (said.metal, said.currency, said.source) == (metal, "INR", source)
    assert dt.datetime(2000, 1, 1, tzinfo=dt.UTC) <= said.quoted_at <= NOW


def _paths(answer: Any) -> Iterator[Path]:
    items = answer.items() if isinstance(answer, dict) else enumerate(answer) if isinstance(answer, list) else ()
    for step, inner in items:
        yield (step,)
        yield from ((step, *path) for path in _paths(inner))


def _with(answer: Any, path: Path, value: Any) -> Any:
    step, *rest = path
    other = copy.copy(answer)
    if rest:
        other[step] = _with(answer[step], tuple(rest), value)
    elif value is ...:
        del other[step]
    else:
        other[step] = value
    return other
