"""Swarna: live precious-metal prices over WebSocket."""
