"""Additions to the tables of `prices`: a task by the clock, and models whose changes by staff are audited."""

from locks.forms import LockSettingsForm
from locks.models import LockSettings, PriceLock
from prices import schedule
from prices.schedule import TaskByTheClock
from prices.staff.row_changes import AUDITED, Audited

TASK_NAME = "clean-locks"


def register() -> None:
    """Add them. To be called once, when all models are loaded."""
    schedule.BY_THE_CLOCK[TASK_NAME] = TaskByTheClock(
        "locks.tasks.clean_locks",
        "Deletes locks that were never redeemed, after LOCKS_KEPT_FOR, and the answers to requests of a day ago.",
        minute="35",
    )
    AUDITED[LockSettings] = Audited(lambda row: "Settings of locks", LockSettingsForm)
    AUDITED[PriceLock] = Audited(
        lambda row: f"Lock {row.id}: {row.side} {row.metal} at {row.price} {row.currency}",
        None,
        final_because="its user has been told, and may have locked another price",
    )
