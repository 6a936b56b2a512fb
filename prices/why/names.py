"""Names of sources, as people know them."""

import re
from typing import Final

# Sources that are no provider's, in a sentence.
NAMED: Final = {
    "consensus": "the sources that agreed",
    "fallback": "staff",
    "simulated": "a simulated market",
}


def source_name(name: str) -> str:
    """A source as the board names it: `gold-api.com` for `gold_api_com`."""
    return re.sub(r"_(com|io|dev)$", r".\1", name).replace("_", "-")
