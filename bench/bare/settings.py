"""Ours, but for the one view."""

from swarna.settings import *  # noqa: F403

ROOT_URLCONF = "bench.bare.urls"
