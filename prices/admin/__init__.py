"""The admin's pages for staff: metals, prices and their sources, the quarantine, and history to read."""

from prices.admin import (
    approvals,
    bands,
    configuration,
    fallbacks,
    history,
    metals,
    premiums,
    quarantine,
    schedule,
    sources,
)

__all__ = [
    "approvals",
    "bands",
    "configuration",
    "fallbacks",
    "history",
    "metals",
    "premiums",
    "quarantine",
    "schedule",
    "sources",
]
