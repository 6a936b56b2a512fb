"""Ours, and the one address."""

from swarna.settings import *  # noqa: F403  (settings are made to be taken whole)

ROOT_URLCONF = "bench.inside.urls"
