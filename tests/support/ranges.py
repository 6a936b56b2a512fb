"""The cases of the figures of a chart's range, which the server's code and the page's both have to meet."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any, Final

from prices.domain.candles import Candle, Interval
from tests.support.product import ROOT

CASES: Final[list[dict[str, Any]]] = json.loads((ROOT / "tests/support/range_cases.json").read_text())


def candles(case: dict[str, Any]) -> list[Candle]:
    """A case's candles."""
    return [
        Candle(
            interval=Interval.FIVE_MINUTES,
            start=(start := dt.datetime.fromisoformat(began)),
            **{name: Decimal(text) for name, text in zip(("open", "high", "low", "close"), prices, strict=True)},
            ticks=1,
            first_at=start,
            last_at=start,
            seq=seq,
        )
        for began, *prices, seq in case["candles"]
    ]
