"""Ours, with one page more."""

from swarna.settings import *  # noqa: F403  (settings are made to be taken whole)

ROOT_URLCONF = "bench.bare.beside_pages"
