"""The database's tables: locks, staff's settings of them, and answers that are kept for repeated requests."""

import datetime as dt
import uuid
from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from infra import clock, schema
from locks import rules
from locks.rules import Side
from prices.audit import StaffHistory
from prices.domain.quotes import Metal


class PriceLock(models.Model):
    """A price that holds for a user until it expires, is redeemed or released. `locks/lifecycle.py` alone writes it.

    `id` orders locks; `key` is what clients know. All times are by the database's clock. A lock keeps the terms that it
    was granted under, whatever staff set since.
    """

    class Status(models.TextChoices):
        HELD = rules.Status.HELD.value
        REDEEMED = rules.Status.REDEEMED.value
        EXPIRED = rules.Status.EXPIRED.value
        RELEASED = rules.Status.RELEASED.value

    key = models.UUIDField("id", unique=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    metal = models.CharField(max_length=20, choices=[(metal.value, metal.value) for metal in Metal])
    unit = models.CharField(max_length=20)
    purity = models.CharField(max_length=10)
    side = models.CharField(
        max_length=4, choices=[(side.value, side.value) for side in Side], help_text="The house's side."
    )
    quantity = models.DecimalField(null=True, max_digits=11, decimal_places=4, help_text="In units.")
    reference = models.CharField(max_length=100, blank=True, help_text="The client's own.")
    currency = models.CharField(max_length=3)
    price = models.DecimalField("price per unit", max_digits=18, decimal_places=4)
    epoch = models.CharField(max_length=16)
    seq = models.BigIntegerField(help_text="The newest publication when the price was locked.")
    issued_at = models.DateTimeField("issued at")
    expires_at = models.DateTimeField("expires at")
    receipt = models.TextField(default="", db_default="", help_text="A copy of the receipt of the price.")
    tolerance_percent = models.DecimalField("tolerance, %", max_digits=6, decimal_places=3, null=True)
    passes_on = models.BooleanField("passes on moves in the customer's favour", default=False)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.HELD)
    ended_at = models.DateTimeField(null=True, help_text="When it was redeemed, released or found expired.")
    redeemed_price = models.DecimalField("redeemed at", max_digits=18, decimal_places=4, null=True)
    history = StaffHistory(only_in_changes=True, fields=["id", "user", "metal", "side", "price", "currency", "status"])

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["user", "expires_at"], name="locks_of_a_user"),
            models.Index(fields=["status", "expires_at"], name="locks_by_status"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(price__gt=0), name="locked_price_is_positive"),
            models.CheckConstraint(
                condition=models.Q(status="redeemed", redeemed_price__isnull=False)
                | (~models.Q(status="redeemed") & models.Q(redeemed_price=None)),
                name="a_redeemed_lock_has_a_price",
            ),
            models.CheckConstraint(
                condition=models.Q(status="held", ended_at=None)
                | (~models.Q(status="held") & models.Q(ended_at__isnull=False)),
                name="a_held_lock_has_no_end",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.metal} at {self.price} {self.currency}/{self.unit}"

    @staticmethod
    def over(now: dt.datetime) -> models.Q:
        """The condition of `is_over`, for a query."""
        return models.Q(expires_at__lte=now) | models.Q(issued_at__gt=now + clock.TOLERANCE)

    def is_over(self, now: dt.datetime) -> bool:
        """Return True if a held lock has expired at `now`, by the database's clock."""
        return rules.is_over(issued_at=self.issued_at, expires_at=self.expires_at, now=now)


class LockSettings(models.Model):
    """Staff's settings of locks, for those that are granted from now on. There is one row."""

    enabled = models.BooleanField(
        "locks are granted", default=True, help_text="Off: no lock is granted. Those that are held stay valid."
    )
    ttl_seconds = models.PositiveIntegerField(
        "a lock holds for, s",
        default=7 * 60,
        validators=[MinValueValidator(10), MaxValueValidator(24 * 60 * 60)],
        help_text="From 10 seconds to a day.",
    )
    tolerance_percent = models.DecimalField(
        "tolerance, %",
        max_digits=6,
        decimal_places=3,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text="A lock is not redeemed while the market has moved against the house by more. Empty: it always is.",
    )
    passes_on = models.BooleanField(
        "pass on moves in the customer's favour",
        default=False,
        help_text="A lock is redeemed at the current price where that is better for the customer.",
    )
    most_held = models.PositiveIntegerField(
        "locks that a user may hold",
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="At a time. Each is a free option on the market.",
    )
    most_in_an_hour = models.PositiveIntegerField(
        "locks that a user may take in an hour",
        default=120,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="Released and redeemed ones included.",
    )
    allows_fallback = models.BooleanField(
        "fallback prices may be locked",
        default=False,
        help_text="Staff's price of a metal that no source confirms; never an example that came with the installation.",
    )
    history = StaffHistory()

    class Meta:
        verbose_name = verbose_name_plural = "settings of locks"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="there_is_one_row_of_lock_settings")]

    def __str__(self) -> str:
        return "Settings of locks"

    @classmethod
    def load(cls) -> "LockSettings":
        """The one row, made when it is missing."""
        if row := LockSettings.objects.first():
            return row
        schema.expect_whole()
        # Without a version in the audit: the user whose request comes first has changed nothing.
        LockSettings.objects.bulk_create([LockSettings(pk=1)], ignore_conflicts=True)
        return LockSettings.objects.get()


class KeptAnswer(models.Model):
    """The answer to a request with an `Idempotency-Key`, for when the same is sent again (locks/idempotency.py).

    `fingerprint` is a digest of the request's body.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    address = models.CharField(max_length=200)
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.TextField()
    kept_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "address", "key"], name="one_answer_to_a_users_key_at_an_address")
        ]

    def __str__(self) -> str:
        return f"{self.status} at {self.address}"
