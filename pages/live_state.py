"""All that a page's script begins with: its modules, and the prices and the market as the server wrote them."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from django.conf import settings

from infra import formats
from infra.rest.renderers import NumberRenderer
from pages.memory import Current
from prices.domain.wire import PriceData

# Those that the scripts of all live pages import, so that a browser need not read one module to find the next.
MODULES: Final = (
    "client/dom.js",
    "client/format.js",
    "client/live.js",
    "client/marks.js",
    "client/rows.js",
    "client/swarna-client.js",
    "client/units.js",
    "client/words.js",
    "pages/live-page.js",
    "pages/page.js",
)


def live_state(current: Current, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The state that a script begins with, as on the wire, amounts as numbers; with `more`, which its page adds."""
    quotes = {
        metal.value: msgspec.to_builtins(PriceData.of(published, stale=metal in current.stale), builtin_types=[Decimal])
        for metal, published in current.quotes.items()
    }
    state = {
        "epoch": current.position.epoch,
        "seq": current.position.seq,
        "publishedAt": formats.time(current.published_at) if current.published_at else None,
        "currency": settings.BASE_CURRENCY,
        "quotes": quotes,
        "status": msgspec.to_builtins(current.status),
        "listed": list(current.stored.listed),
        **(more or {}),
    }
    return json.loads(NumberRenderer().render(state))  # type: ignore[no-any-return]
