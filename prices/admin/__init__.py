"""The staff's desk: what is listed and shown, whom prices come from and whether they are believed; history to read."""

from prices.admin import bands, configuration, fallbacks, held, history, metals, premiums, schedule, sources

__all__ = ["bands", "configuration", "fallbacks", "held", "history", "metals", "premiums", "schedule", "sources"]
