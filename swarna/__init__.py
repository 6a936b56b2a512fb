"""Swarna: live precious-metal prices over WebSocket."""

__version__ = "0.2.0"  # see CHANGELOG.md
