"""Swarna's settings for a process of the product that reads the time from the file that `CLOCK_FILE` names."""

import datetime as dt
import os
from pathlib import Path

from django.utils import timezone

from infra import clock
from swarna.settings import *  # noqa: F403

_CLOCK = Path(os.environ["CLOCK_FILE"])
# Settings are read before anything that might keep the function.
timezone.now = clock.wall = lambda: dt.datetime.fromisoformat(_CLOCK.read_text())
