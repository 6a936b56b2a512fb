"""The database's tables. Prices are written by prices/publishing/ingest.py and by backfills, and never changed."""

import datetime as dt
import logging
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models, transaction
from django.db.models.expressions import RawSQL
from django.utils import timezone

from infra import clock, database_identity, schema
from infra.formats import to_ms
from prices import sql
from prices.audit import StaffChange, StaffHistory
from prices.domain import candles, drift, positions, receipts
from prices.domain.breaker import Breaker
from prices.domain.candles import Interval
from prices.domain.positions import Position
from prices.domain.quota import Quota
from prices.domain.quotes import (
    FALLBACK,
    LARGEST_PRICE,
    Change,
    DayFigures,
    Members,
    Metal,
    PriceKind,
    PublishedQuote,
    Quote,
    kind_of,
    shown_kinds,
)
from prices.domain.sanity import SanityRule
from prices.domain.source_quotes import SourceQuote
from prices.domain.succession import Last
from prices.domain.units import PRICE_STEP

logger = logging.getLogger(__name__)

# Per gram: more digits before the point than LARGEST_PRICE has, and as many after it as are published.
_AMOUNT: Final[dict[str, Any]] = {"max_digits": 18, "decimal_places": 4}
# Set by staff; empty means as deployed.
_PERCENT: Final[dict[str, Any]] = {
    "max_digits": 6,
    "decimal_places": 3,
    "null": True,
    "blank": True,
    "validators": [MinValueValidator(Decimal("0.001"))],
}
_DRIFT: Final = "A price further than this from one within 24 hours of open market is quarantined as a jump is."
_METALS: Final = [(metal.value, metal.value) for metal in Metal]


# When its holder has been silent for so long, as a machine that lost its network, PostgreSQL gives the row to others
# before they give up. Otherwise it would wait for two hours, in which no price could be published.
_LOCK: Final = (
    f", set_config('idle_in_transaction_session_timeout', '{settings.DATABASE_IDLE_TIMEOUT * 1000:.0f}', true)"
    " FOR UPDATE OF prices_head"
)


def _base_currency() -> str:
    return str(settings.BASE_CURRENCY)


# --- metals and the stream's position --------------------------------------------------------------------------------


class ListedMetal(models.Model):
    """A metal as staff list it: its name on screens, its order, and whether it is shown at all."""

    name = models.CharField(primary_key=True, max_length=20, choices=_METALS)
    display_name = models.CharField(max_length=40)
    position = models.PositiveSmallIntegerField(default=0, help_text="Smaller comes first.")
    enabled = models.BooleanField(default=True, help_text="Off: not fetched and not shown. Its history is kept.")
    history = StaffHistory()

    class Meta:
        verbose_name = "metal"
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.display_name

    @property
    def symbol(self) -> str:
        """The ISO 4217 code, such as XAU."""
        return Metal(self.name).symbol

    @classmethod
    def metals(cls) -> list[Metal]:
        """The metals that are switched on, in staff's order."""
        return [Metal(listed.name) for listed in sql.rows(cls, "WHERE enabled ORDER BY position, name")]


class Head(models.Model):
    """The stream's position. There is one row, locked by each transaction that writes a publication."""

    seq = models.BigIntegerField(default=0, help_text="The newest publication's number; 0 while there is none.")
    published_at = models.DateTimeField(null=True, help_text="When that was.")
    epoch = models.CharField(
        default="", max_length=16, help_text="The history of numbers that `seq` counts in; drawn where there is none."
    )
    superseded = models.CharField(
        default="", max_length=200, help_text="The epochs before this one, the newest last; the oldest are dropped."
    )
    place = models.CharField(
        default="",
        max_length=100,
        help_text="Where the database lay when the epoch was drawn: a copy lies elsewhere.",
    )
    refreshes = models.BigIntegerField(
        default=0, db_default=0, help_text="The number of the newest refresh that has begun."
    )

    class Meta:
        verbose_name = "stream position"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="there_is_one_head")]

    def __str__(self) -> str:
        return f"publication {self.seq}"

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.seq, self.published_at)

    @classmethod
    def locked(cls) -> "Head":
        """The one row, locked until the caller's transaction ends; made where it is missing, and always with an epoch.

        Raises UnpreparedDatabaseError where the database is another one than it was, and not whole (infra/schema.py).
        """
        # A transaction of SQLite locks the whole database.
        lock = _LOCK if connection.vendor == "postgresql" else ""
        if (head := cls._read(lock)) is None:
            schema.get_or_create(cls.objects.all(), pk=1)
            head = cls._read(lock)
            assert head is not None
        if not head.epoch:
            schema.expect_whole()  # it may still be being put back
            head.draw_epoch("the database is new, or a copy")
        return head

    @classmethod
    def current(cls) -> "Head":
        """The one row as it is now, always with an epoch."""
        head = cls._read()
        if head is None or not head.epoch:
            with transaction.atomic():
                head = cls.locked()
        return head

    @classmethod
    def expect_whole_database(cls) -> None:
        """Raise UnpreparedDatabaseError in a database that is being put back. Call it before anything is written.

        In a database that is the same as before, this is one query.
        """
        cls.current()

    @classmethod
    def begin_refresh(cls) -> int:
        """Count one more refresh, and return its number: numbers order refreshes whatever any clock says."""
        with transaction.atomic():
            head = cls.locked()
            head.refreshes += 1
            head.save(update_fields=["refreshes"])
        return head.refreshes

    @classmethod
    def _read(cls, clause: str = "") -> "Head | None":
        """Read the row; its epoch is empty if it was drawn in another database."""
        place, values = database_identity.identity("prices_head")
        columns = sql.columns(cls, epoch=f"CASE WHEN place = {place} THEN epoch ELSE '' END")
        heads = sql.run(cls, f"SELECT {columns} FROM prices_head {clause}", values)  # noqa: S608  (names)
        return heads[0] if heads else None

    def draw_epoch(self, reason: str, *, seen: str = "") -> None:
        """Begin another history of numbers, in the transaction that has the lock.

        `seen` is an epoch that some process knows instead of this one; it is superseded too.
        """
        # `_read` leaves out the row's own where it was drawn in another database.
        stored = Head.objects.values_list("epoch", flat=True).get(pk=self.pk)
        self.superseded = positions.superseded(self.superseded, stored, seen)
        self.epoch = positions.new_epoch()
        place, values = database_identity.identity("prices_head", make=True)
        here = RawSQL(place, [value for _, value in values])  # noqa: S611  (an expression of ours)
        Head.objects.update(epoch=self.epoch, superseded=self.superseded, place=here)
        level = logging.WARNING if self.seq else logging.INFO
        logger.log(level, "the stream's epoch is %s, after publication %d: %s", self.epoch, self.seq, reason)


# --- prices, moves and candles ---------------------------------------------------------------------------------------

# The fields of a quote that each row of one has, beside its metal.
_QUOTED: Final = ("currency", "price", "bid", "ask", "source", "quoted_at")


class _Quoted(models.Model):
    """One metal's quote, as its source gave it or with a premium on it; amounts per gram."""

    currency = models.CharField(max_length=3)
    price = models.DecimalField("price per gram", **_AMOUNT)
    bid = models.DecimalField("bid", null=True, **_AMOUNT)
    ask = models.DecimalField("ask", null=True, **_AMOUNT)
    source = models.CharField(max_length=40)
    quoted_at = models.DateTimeField(help_text="When the source quoted it.")
    dispersion_percent = models.DecimalField(
        "dispersion, %",
        max_digits=7,
        decimal_places=3,
        null=True,
        help_text="Where several sources agreed on the price: their largest deviation from it, in percent.",
    )

    class Meta:
        abstract = True

    metal_id: str
    # For models without these columns: no premium is on the price, and it is no example.
    spot: Any = None
    example: Any = False

    @staticmethod
    def values_of(quote: Quote) -> dict[str, Any]:
        """A quote as values of the fields above, and its metal."""
        values = {"metal_id": quote.metal, **{name: getattr(quote, name) for name in _QUOTED}}
        return values | {"dispersion_percent": quote.members and quote.members.dispersion_percent}

    def quote(self) -> Quote:
        """The quote of this row."""
        given: dict[str, Any] = {name: getattr(self, name) for name in _QUOTED}
        members = self._members()
        return Quote(metal=Metal(self.metal_id), spot=self.spot, example=self.example, members=members, **given)

    def _members(self) -> Members | None:
        count = self._contributor_count()
        if count is None or self.dispersion_percent is None:
            return None
        return Members(count, self.dispersion_percent)

    def _contributor_count(self) -> int | None:
        """The number of sources that agree on the price; None where one gave it."""
        raise NotImplementedError


class _Published(_Quoted):
    """One metal's quote as it was published, with the day's figures at that time."""

    open = models.DecimalField("open", **_AMOUNT)
    high = models.DecimalField("high", **_AMOUNT)
    low = models.DecimalField("low", **_AMOUNT)
    previous_close = models.DecimalField("previous close", null=True, **_AMOUNT)
    spot = models.DecimalField(
        "spot per gram", null=True, help_text="As the source gave it, where the price has a premium on it.", **_AMOUNT
    )
    at = models.DateTimeField(
        help_text="From when it was the price: when it was quoted, but not before a premium on it began; staff's "
        "fallback from when it was shown."
    )
    example = models.BooleanField(
        default=False, db_default=False, help_text="A fallback that no member of staff has entered or confirmed."
    )
    contributor_count = models.SmallIntegerField(
        "contributors", null=True, help_text="How many sources agreed on the price; empty where one gave it."
    )
    seq = models.BigIntegerField(null=True, help_text="The publication that brought it; empty where it was filled in.")
    published_at = models.DateTimeField(null=True, help_text="When that was.")

    class Meta:
        abstract = True

    def _contributor_count(self) -> int | None:
        return self.contributor_count

    def day(self) -> DayFigures:
        """The day's figures in this row."""
        return DayFigures(open=self.open, high=self.high, low=self.low, previous_close=self.previous_close)

    def published(self) -> PublishedQuote:
        """This row as a published quote."""
        return PublishedQuote(seq=self.seq or 0, quote=self.quote(), day=self.day())


class Price(_Published):
    """A tick: one metal's quote in one publication, or one that was filled in later, which has no `seq`.

    On PostgreSQL the table is partitioned by month (prices/history/partitions.py). Ticks older than TICKS_KEPT_FOR are
    deleted.
    """

    metal = models.ForeignKey(
        ListedMetal, on_delete=models.PROTECT, related_name="prices", db_constraint=False, db_index=False
    )

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index("metal", "currency", models.F("at").desc(), models.F("id").desc(), name="price_history"),
            models.Index(fields=["seq"], name="price_seq"),
        ]
        constraints = [models.CheckConstraint(condition=models.Q(price__gt=0), name="price_is_positive")]

    def __str__(self) -> str:
        return f"{self.metal_id} {self.price} {self.currency}/g from {self.source}"

    @classmethod
    def shown(cls) -> "models.QuerySet[Price]":
        """Ticks that this deployment may show; `is_shown` is the same for one row."""
        hidden = set(PriceKind) - shown_kinds(settings.PRICE_PROVIDERS)
        return cls.objects.filter(currency=settings.BASE_CURRENCY).exclude(source__in=hidden)

    @property
    def is_shown(self) -> bool:
        kinds = shown_kinds(settings.PRICE_PROVIDERS)
        return self.currency == settings.BASE_CURRENCY and kind_of(self.source) in kinds


class Confirmation(NamedTuple):
    """The time at which a source confirmed a price, and the clock that it is by (`infra.clock.mark`)."""

    at: dt.datetime
    clock: str


class LatestPrice(_Published):
    """A metal's latest price of one price kind (`lane`), so that ingest reads four rows and not a history.

    `confirmed_at` is when a source last gave this quote or a newer one, and `refresh` the refresh in which that was: a
    source that repeats an unchanged quote is alive, though nothing new is to be published. `confirmed_by` is the clock
    of that time (infra/clock.py).
    """

    metal = models.ForeignKey(ListedMetal, on_delete=models.CASCADE, related_name="latest")
    lane = models.CharField("price kind", max_length=10)
    confirmed_at = models.DateTimeField()
    confirmed_by = models.CharField(max_length=80, default="", db_default="")
    trading_day = models.JSONField(
        null=True, help_text="The day so far, before any premium, as JSON of a Day. Staff's fallback has none."
    )
    refresh = models.BigIntegerField(default=0, db_default=0)
    levels = models.TextField(
        default="", db_default="", help_text="Its levels of the last hours, before any premium, as text of a `Levels`."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["metal", "lane", "currency"], name="one_latest_price_per_metal_lane_and_currency"
            )
        ]

    def __str__(self) -> str:
        return f"latest {self.lane} {self.metal_id}"

    def last(self) -> Last:
        """The last quote of its metal and price kind."""
        return Last(self.quote(), self.at, self.published_at, self.confirmed_at, self.refresh)

    @classmethod
    def shown(cls) -> "models.QuerySet[LatestPrice]":
        """Prices that this deployment may show; of a metal's, the first is its current price."""
        kinds = shown_kinds(settings.PRICE_PROVIDERS)
        return cls.objects.filter(currency=settings.BASE_CURRENCY, lane__in=kinds).order_by("-seq")

    @classmethod
    def live(cls, metal: str, currency: str) -> "LatestPrice | None":
        """A metal's latest live price in a currency, if it has one."""
        return cls.objects.filter(metal=metal, lane=PriceKind.LIVE, currency=currency).first()

    @classmethod
    def confirmations(cls) -> dict[str, Confirmation]:
        """The last confirmation by a source, as it is stored, of a price that may be shown; by metal.

        prices/publishing/confirmations.py decides how far to believe it.
        """
        by_sources = cls.shown().exclude(lane=FALLBACK).order_by("confirmed_at")
        rows = by_sources.values_list("metal", "confirmed_at", "confirmed_by")
        return {metal: Confirmation(at, clock) for metal, at, clock in rows}


class Receipt(models.Model):
    """The receipt of one metal's price in one publication (prices/domain/receipts.py).

    On PostgreSQL the table is partitioned by month, like ticks. Receipts are deleted with their ticks.
    """

    pk = models.CompositePrimaryKey("seq", "metal", "published_at")
    seq = models.BigIntegerField()
    metal = models.CharField(max_length=20, choices=_METALS)
    published_at = models.DateTimeField()
    currency = models.CharField(max_length=3)
    lane = models.CharField("price kind", max_length=10)
    text = models.TextField(help_text="As `receipts.encode` writes it.")

    class Meta:
        ordering = ["seq"]
        indexes = [
            models.Index("metal", models.F("published_at").desc(), models.F("seq").desc(), name="receipt_at"),
        ]

    def __str__(self) -> str:
        return f"receipt of {self.metal} in publication {self.seq}"

    @classmethod
    def of(cls, receipt: receipts.Receipt, published_at: dt.datetime) -> "Receipt":
        """A row for a receipt of a publication at `published_at`, which has microseconds here."""
        return cls(
            seq=receipt.seq,
            metal=receipt.metal,
            published_at=published_at,
            currency=receipt.currency,
            lane=receipt.kind,
            text=receipts.encode(receipt),
        )

    @classmethod
    def shown(cls) -> "models.QuerySet[Receipt]":
        """Receipts of the prices that this deployment may show."""
        hidden = set(PriceKind) - shown_kinds(settings.PRICE_PROVIDERS)
        return cls.objects.filter(currency=settings.BASE_CURRENCY).exclude(lane__in=hidden)

    def value(self) -> receipts.Receipt:
        """The receipt of this row."""
        return receipts.decode(self.text)


class ReceiptMonth(models.Model):
    """The first publication of a month, on PostgreSQL, so that a receipt is looked for in one month's table alone."""

    month = models.DateField(primary_key=True)
    first_seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} from publication {self.first_seq}"


class Candle(models.Model):
    """A metal's candle of one interval and price kind (prices/domain/candles.py). Kept for good.

    prices/history/candle_store.py updates it with each publication; the ticks in it may have been deleted since.
    """

    pk = models.CompositePrimaryKey("metal", "currency", "lane", "interval", "start")
    metal = models.CharField(max_length=20, choices=_METALS)
    currency = models.CharField(max_length=3)
    lane = models.CharField("price kind", max_length=10)
    interval = models.CharField(max_length=3, choices=[(interval.value, interval.value) for interval in Interval])
    start = models.DateTimeField()
    open = models.DecimalField(**_AMOUNT)
    high = models.DecimalField(**_AMOUNT)
    low = models.DecimalField(**_AMOUNT)
    close = models.DecimalField(**_AMOUNT)
    ticks = models.PositiveIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    seq = models.BigIntegerField(help_text="The newest publication in it; 0 where no tick was streamed.")
    source = models.CharField(max_length=40, default="", help_text="The provider that gave it whole; else empty.")

    class Meta:
        ordering = ["start"]

    def __str__(self) -> str:
        return f"{self.metal} {self.interval} from {self.start:%Y-%m-%d %H:%M}"

    def value(self) -> candles.Candle:
        """The candle of this row."""
        figures: dict[str, Any] = {name: getattr(self, name) for name in candles.FIGURES}
        return candles.Candle(interval=Interval(self.interval), start=self.start, **figures)


class SilentDay(models.Model):
    """A no-data day: a provider's archive had nothing for it long after it was over, and is not called for it again."""

    archive = models.CharField(max_length=40)
    metal = models.CharField(max_length=20, choices=_METALS)
    currency = models.CharField(max_length=3)
    date = models.DateField(help_text="In UTC.")

    class Meta:
        verbose_name = "no-data day"
        constraints = [
            models.UniqueConstraint(
                fields=["archive", "metal", "currency", "date"], name="one_silent_day_per_archive_metal_and_currency"
            )
        ]

    def __str__(self) -> str:
        return f"{self.archive} on {self.date}: no {self.metal}"


class SignificantChange(models.Model):
    """A move beyond the threshold between two consecutive published prices. Kept for good."""

    seq = models.BigIntegerField(db_index=True, help_text="The publication that brought it.")
    published_at = models.DateTimeField(db_index=True)
    metal = models.ForeignKey(ListedMetal, on_delete=models.PROTECT, related_name="changes")
    currency = models.CharField(max_length=3)
    lane = models.CharField("price kind", max_length=10)
    old_price = models.DecimalField("old price", **_AMOUNT)
    new_price = models.DecimalField("new price", **_AMOUNT)
    change_percent = models.DecimalField(max_digits=20, decimal_places=2)  # holds a move from 0.0001 to LARGEST_PRICE
    receipt = models.TextField(default="", db_default="", help_text="A copy of the new price's receipt.")

    class Meta:
        ordering = ["-seq", "-id"]

    def __str__(self) -> str:
        return f"{self.metal_id} {self.change_percent:+} %"

    @classmethod
    def shown(cls) -> "models.QuerySet[SignificantChange]":
        """Moves that this deployment may show, newest first."""
        return cls.objects.filter(currency=settings.BASE_CURRENCY, lane__in=shown_kinds(settings.PRICE_PROVIDERS))

    def value(self) -> Change:
        """The move of this row."""
        return Change(
            metal=Metal(self.metal_id),
            old_price=self.old_price,
            new_price=self.new_price,
            change_percent=self.change_percent,
        )


# --- settings by staff -----------------------------------------------------------------------------------------------


# The note of the examples that come with an installation.
EXAMPLES_NOTE: Final = "goldapi.io, July 2025: replace it by today's price"


class FallbackPrice(models.Model):
    """Staff's price of a metal for when no source answers, or the example that came with the installation.

    An edit is audited, and published at once where the price is shown.
    """

    FIRST_YEAR = 2000  # of `as_of`: an earlier time is a mistake
    LONGEST = dt.timedelta(days=366)  # until it expires: a later time is a mistake

    metal = models.ForeignKey(ListedMetal, on_delete=models.CASCADE, related_name="fallback_prices")
    currency = models.CharField(max_length=3, default=_base_currency)
    price = models.DecimalField(
        "price per gram",
        **_AMOUNT,
        validators=[
            MinValueValidator(PRICE_STEP, "A price is a positive number, per gram of fine metal."),
            MaxValueValidator(LARGEST_PRICE),
        ],
        help_text="Per gram of fine (24 carat, 999) metal. Not per 10 g, tola, kilogram or ounce.",
    )
    as_of = models.DateTimeField(
        "valid as of",
        default=timezone.now,
        help_text="When this price was true. Clients see it as the quote's time.",
    )
    expires_at = models.DateTimeField(
        "until",
        null=True,
        blank=True,
        help_text="From then on it is not shown: screens show the next best price. Empty: no end.",
    )
    note = models.CharField(max_length=200, blank=True, help_text="Where the price comes from.")
    example = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="It came with the installation: no member of staff has entered or confirmed it.",
    )
    history = StaffHistory()

    class Meta:
        ordering = ["metal__position", "currency"]
        constraints = [
            models.UniqueConstraint(fields=["metal", "currency"], name="one_fallback_per_metal_and_currency"),
            models.CheckConstraint(condition=models.Q(price__gt=0), name="fallback_price_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.metal_id} {self.price} {self.currency}/g"

    def quote(self) -> Quote:
        """The quote of this price as it goes out."""
        return Quote(
            metal=Metal(self.metal_id),
            price=self.price,
            currency=self.currency,
            source=FALLBACK,
            quoted_at=self.as_of,
            example=self.example,
        )

    @classmethod
    def expired(cls, now: dt.datetime) -> "models.QuerySet[FallbackPrice]":
        """Fallback prices in the shown currency that have expired: they are not shown."""
        return cls.objects.filter(currency=settings.BASE_CURRENCY, expires_at__lte=now)

    def has_expired(self, now: dt.datetime) -> bool:
        """Return True if it has expired; `expired` is the same for all."""
        return self.expires_at is not None and self.expires_at <= now

    @classmethod
    def valid(cls, now: dt.datetime) -> "models.QuerySet[FallbackPrice]":
        """Fallback prices in the shown currency that have not expired."""
        return cls.objects.filter(currency=settings.BASE_CURRENCY).exclude(expires_at__lte=now)

    @classmethod
    def examples(cls) -> "models.QuerySet[FallbackPrice]":
        """Examples of listed metals in the shown currency: staff have entered no fallback price of these."""
        return cls.objects.filter(currency=settings.BASE_CURRENCY, example=True, metal__enabled=True)

    @property
    def is_on_screen(self) -> bool:
        """Return True if screens show this price now."""
        of_metal = LatestPrice.shown().filter(metal=self.metal_id, currency=self.currency, metal__enabled=True)
        shown = of_metal.first()
        return shown is not None and shown.lane == PriceKind.FALLBACK


class Configuration(models.Model):
    """Settings that staff change at run time; an empty field means as deployed (swarna/settings.py). There is one row.

    The update interval is in the schedule itself (prices/schedule.py), which Celery beat reads. `update_interval_ms` is
    what was set last, for the audit.
    """

    change_threshold_percent = models.DecimalField(
        "significant change, %", help_text="Moves larger than this are announced in `changes`.", **_PERCENT
    )
    freshness_limit_ms = models.PositiveBigIntegerField(
        "freshness limit, ms",
        null=True,
        blank=True,
        validators=[MinValueValidator(1000), MaxValueValidator(31_536_000_000)],  # a second; a year
        help_text="A quote older than this is marked stale. Empty: as deployed, or five update intervals.",
    )
    max_jump_percent = models.DecimalField(
        "largest jump, %",
        help_text="A price further than this from the last one is quarantined until it is confirmed.",
        **_PERCENT,
    )
    max_drift_percent_gold = models.DecimalField("largest drift of gold, %", help_text=_DRIFT, **_PERCENT)
    max_drift_percent_silver = models.DecimalField("largest drift of silver, %", help_text=_DRIFT, **_PERCENT)
    max_drift_percent_platinum = models.DecimalField("largest drift of platinum, %", help_text=_DRIFT, **_PERCENT)
    max_drift_percent_palladium = models.DecimalField("largest drift of palladium, %", help_text=_DRIFT, **_PERCENT)
    update_interval_ms = models.PositiveBigIntegerField(
        "update interval, ms", null=True, blank=True, help_text="How often prices are fetched."
    )
    deployed_interval_ms = models.PositiveBigIntegerField(
        editable=False, default=0, help_text="PRICE_UPDATE_INTERVAL when it was last applied."
    )
    deployed_providers = models.CharField(
        editable=False, default="", max_length=400, help_text="PRICE_PROVIDERS when it was last applied."
    )
    history = StaffHistory(
        fields=[
            "id",
            "change_threshold_percent",
            "freshness_limit_ms",
            "max_jump_percent",
            *(f"max_drift_percent_{metal}" for metal in Metal),
            "update_interval_ms",
        ]
    )

    class Meta:
        verbose_name_plural = "configuration"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="there_is_one_configuration")]

    def __str__(self) -> str:
        return "Configuration"

    @classmethod
    def load(cls) -> "Configuration":
        """The one row, made when it is missing."""
        there = sql.rows(cls)
        return there[0] if there else schema.get_or_create(cls.objects.all(), pk=1)

    @property
    def threshold_percent(self) -> Decimal:
        """The current threshold, in percent."""
        return self.change_threshold_percent or settings.CHANGE_THRESHOLD_PERCENT

    @property
    def jump_percent(self) -> Decimal:
        """The current largest jump, in percent."""
        return self.max_jump_percent or settings.MAX_JUMP_PERCENT

    def drift_percent(self, metal: Metal) -> Decimal:
        """The current largest drift of a metal, in percent."""
        set_by_staff: Decimal | None = getattr(self, f"max_drift_percent_{metal}")
        return set_by_staff or drift.USUAL_PERCENT[metal]

    def freshness_limit(self, interval: dt.timedelta) -> dt.timedelta:
        """The current freshness limit, given the current update interval."""
        if self.freshness_limit_ms:
            return dt.timedelta(milliseconds=self.freshness_limit_ms)
        return settings.FRESHNESS_LIMIT or 5 * interval


class SanityBand(models.Model):
    """The lowest and highest price that a metal can have. Without a row: see prices/sanity_bands.py."""

    metal = models.ForeignKey(ListedMetal, on_delete=models.CASCADE, related_name="bands")
    currency = models.CharField(max_length=3, default=_base_currency)
    lowest = models.DecimalField("lowest per gram", validators=[MinValueValidator(PRICE_STEP)], **_AMOUNT)
    highest = models.DecimalField("highest per gram", validators=[MaxValueValidator(LARGEST_PRICE)], **_AMOUNT)
    history = StaffHistory()

    class Meta:
        ordering = ["metal__position", "currency"]
        constraints = [
            models.UniqueConstraint(fields=["metal", "currency"], name="one_band_per_metal_and_currency"),
            models.CheckConstraint(
                condition=models.Q(lowest__gt=0, lowest__lt=models.F("highest")), name="band_has_two_ends"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metal_id} {self.lowest} to {self.highest} {self.currency}/g"


class Premium(models.Model):
    """A multiplier on spot from a moment on: duty, tax and a local premium together. Without a row it is 1."""

    metal = models.ForeignKey(ListedMetal, on_delete=models.CASCADE, related_name="premiums")
    multiplier = models.DecimalField(
        max_digits=9,
        decimal_places=6,
        validators=[MinValueValidator(Decimal("0.1")), MaxValueValidator(Decimal(10))],
        help_text="1 is spot; 1.06 is 6 % more.",
    )
    effective_from = models.DateTimeField(default=timezone.now)
    note = models.CharField(max_length=200, blank=True, help_text="What it is made of.")
    history = StaffHistory()

    class Meta:
        ordering = ["metal__position", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["metal", "effective_from"], name="one_premium_per_metal_and_moment"),
            models.CheckConstraint(condition=models.Q(multiplier__gt=0), name="premium_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.metal_id} × {self.multiplier} from {self.effective_from:%Y-%m-%d %H:%M}"

    @classmethod
    def multipliers(cls, at: dt.datetime) -> dict[str, Decimal]:
        """The multiplier of every metal at `at`; 1 where it has none."""
        multipliers = {metal: premium.multiplier for metal, premium in cls.current(at).items()}
        return dict.fromkeys(Metal, Decimal(1)) | multipliers

    @classmethod
    def current(cls, at: dt.datetime) -> "dict[str, Premium]":
        """The premium of each metal that has one at `at`, by metal."""
        began = "WHERE effective_from <= %s ORDER BY effective_from, id"
        in_order = sql.rows(cls, began, [("effective_from", at)])
        return {premium.metal_id: premium for premium in in_order}


# --- edits that wait for another person ------------------------------------------------------------------------------


class ApprovalLimit(models.Model):
    """The percentage by which members of a role may move a price alone; of several roles the largest limit counts.

    Without a row: APPROVAL_ABOVE_PERCENT, without which no edit waits at all.
    """

    role = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="approval_limit")
    percent = models.DecimalField(
        "limit, %",
        max_digits=6,
        decimal_places=3,
        validators=[MinValueValidator(Decimal(0))],
        help_text="An edit that moves a price by more than this from the last live one waits for another person, as "
        "does one that puts it outside its sanity band. 0: each edit waits.",
    )
    history = StaffHistory()

    class Meta:
        ordering = ["role__name"]

    def __str__(self) -> str:
        return f"{self.role}: {self.percent.normalize():f} %"


class ProposedEdit(models.Model):
    """An edit of prices that waits for another person's approval (prices/staff/approvals.py), and its decision.

    `edits` are its forms as they were filled in, each with the row, and the version of it, that it was made for.
    `change` is the one that saved them.
    """

    class Decision(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        REJECTED = "rejected"
        WITHDRAWN = "withdrawn"
        REFUSED = "refused", "Refused: it could no longer be saved"
        OVERRIDDEN = "overridden", "Saved without approval, in an emergency"

    edits = models.JSONField()
    summary = models.TextField(help_text="What it changes.")
    detail = models.TextField(help_text="Why it waits.")
    reason = models.CharField(max_length=200, blank=True, help_text="Why it was made.")
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    proposed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decision = models.CharField(max_length=10, choices=Decision.choices, default=Decision.PENDING)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    outcome = models.TextField(blank=True, help_text="Why it was decided so.")
    change = models.OneToOneField(StaffChange, models.SET_NULL, null=True, editable=False, related_name="proposal")

    class Meta:
        ordering = ["-pk"]
        permissions = [("override_proposededit", "Can save an edit without approval, in an emergency")]

    def __str__(self) -> str:
        return self.summary

    @classmethod
    def waiting(cls, now: dt.datetime) -> "models.QuerySet[ProposedEdit]":
        """Edits that can be approved at `now`, the newest first."""
        # One that was proposed in the future, by a clock that was ahead, would wait too long.
        begun = now + clock.TOLERANCE
        return cls.objects.filter(decision=cls.Decision.PENDING, expires_at__gt=now, proposed_at__lte=begun)

    def is_waiting(self, now: dt.datetime) -> bool:
        """Return True if it can be approved at `now`; `waiting` is the same for all."""
        is_alive = self.expires_at > now and clock.is_plausible(self.proposed_at, now)
        return self.decision == self.Decision.PENDING and is_alive

    def state(self, now: dt.datetime) -> str:
        """Its decision, or `expired`."""
        is_over = self.decision == self.Decision.PENDING and not self.is_waiting(now)
        return "expired" if is_over else self.decision

    def decided_words(self, now: dt.datetime) -> str:
        """Its state for people, such as `approved by asha`."""
        by = f" by {self.decided_by}" if self.decided_by else ""
        return f"{self.state(now)}{by}"

    def decide(
        self, decision: Decision, *, by: User, at: dt.datetime, outcome: str = "", change: StaffChange | None = None
    ) -> None:
        """Store a decision."""
        self.decision, self.decided_by, self.decided_at, self.outcome = decision, by, at, outcome
        self.change = change
        self.save(update_fields=["decision", "decided_by", "decided_at", "outcome", "change"])


# --- refreshes, sources and the quarantine ---------------------------------------------------------------------------


class RefreshSlot(models.Model):
    """The time of the next refresh. The worker that moves it on has claimed the slot; there is one row.

    `claimed_at` is the time of the last claim, by the clock `claimed_by` (infra/clock.py), which was then
    `clock_ahead_ms` ahead of the database's.
    """

    due_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True)
    claimed_by = models.CharField(max_length=80, default="", db_default="")
    clock_ahead_ms = models.BigIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"next refresh at {self.due_at:%H:%M:%S}"


class ProviderState(models.Model):
    """A price source: its place in staff's order, and its record, shared by all workers."""

    name = models.CharField(primary_key=True, max_length=40)
    position = models.PositiveSmallIntegerField(default=0, help_text="Smaller is fetched first.")
    enabled = models.BooleanField(default=True, help_text="Off: not fetched.")
    tolerance_percent = models.DecimalField(
        "tolerance, %",
        help_text="How far from the sources' median it may be, where several are fetched. Empty: as deployed.",
        **_PERCENT,
    )
    last_success_at = models.DateTimeField(null=True, editable=False)
    last_error_at = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    latency_ms = models.PositiveIntegerField("latency, ms", null=True, editable=False)
    rests_until = models.DateTimeField(
        null=True, editable=False, help_text="The source is not to be called before this, as it requested."
    )
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    open_until = models.DateTimeField(null=True, editable=False, help_text="Left alone until then, for its failures.")
    calls = models.PositiveIntegerField(default=0, editable=False, help_text="In this period of its quota.")
    calls_since = models.DateField(null=True, editable=False)
    refreshes_total = models.PositiveBigIntegerField(default=0, editable=False)
    failures_total = models.PositiveBigIntegerField(default=0, editable=False)
    calls_total = models.PositiveBigIntegerField(default=0, editable=False)
    set_aside_total = models.PositiveBigIntegerField("times excluded", default=0, editable=False)
    disagreement = models.TextField(
        blank=True, editable=False, help_text="Where it was last excluded, and how far off."
    )
    disagreed_at = models.DateTimeField(null=True, editable=False)
    standing = models.JSONField(
        null=True, editable=False, help_text="By metal, its newest price, and from when to when it quoted that."
    )
    # Workers write the other fields at each refresh.
    history = StaffHistory(only_in_changes=True, fields=["name", "position", "enabled", "tolerance_percent"])

    class Meta:
        verbose_name = "price source"
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name

    @property
    def breaker(self) -> Breaker:
        return Breaker(self.failures, self.open_until)

    @property
    def quota(self) -> Quota | None:
        """The quota that this deployment sets for the source; None where it sets none."""
        return getattr(settings, f"{self.name.upper()}_QUOTA", None)

    def calls_left(self, now: dt.datetime) -> int | None:
        """The calls that its quota leaves; None where it has no quota."""
        return self.quota.left(self.calls, self.calls_since, now) if self.quota else None


class HeldPrice(_Quoted):
    """A quarantined price, and its decision: confirmed by another price, decided by staff, or superseded.

    Its amounts are as its source gave them.
    """

    class Decision(models.TextChoices):
        PENDING = "pending"
        CONFIRMED = "confirmed"
        APPROVED = "approved"
        REJECTED = "rejected"
        SUPERSEDED = "overtaken", "Superseded"

    metal = models.ForeignKey(ListedMetal, on_delete=models.CASCADE, related_name="held_prices")
    held_at = models.DateTimeField("quarantined at")
    waiting_since = models.DateTimeField(
        null=True,
        help_text="When it began to wait; later than `held_at` where another source contradicted it.",
    )
    waiting_by = models.CharField(max_length=80, default="", db_default="", help_text="The clock of that time.")
    refresh = models.BigIntegerField(default=0, db_default=0, help_text="The number of the refresh that brought it.")
    contests = models.BooleanField(
        default=False, db_default=False, help_text="It has outlasted a later refresh: the shown price is stale."
    )
    contested_at = models.DateTimeField(null=True, help_text="When it began to contest the shown price, if known.")
    contributors = models.JSONField(
        null=True, help_text="Where several sources agree on the price: each of them, and when it quoted."
    )
    doubt = models.CharField("sanity rule", max_length=10, choices=[(rule.value, rule.value) for rule in SanityRule])
    words = models.CharField("detail", max_length=300)
    decision = models.CharField(max_length=10, choices=Decision.choices, default=Decision.PENDING)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=150, blank=True, help_text="A source, or a member of staff.")
    made_of = models.TextField(default="", db_default="", help_text="The parts of it, for the receipt of its price.")
    history = StaffHistory(only_in_changes=True, fields=["id", "metal", "currency", "price", "source", "decision"])

    class Meta:
        verbose_name = "quarantined price"
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["metal", "currency", "source"],
                condition=models.Q(decision="pending"),
                name="one_pending_held_price_per_metal_currency_and_source",
            )
        ]

    def __str__(self) -> str:
        return f"{self.metal_id} {self.price} {self.currency}/g from {self.source}"

    def quote(self) -> Quote:
        """The quote of this row, with its parts as far as they are known."""
        parts = receipts.decode_sources(self.made_of)
        if not parts and self.contributors:
            agreeing = self.all_contributors.items()
            parts = tuple(SourceQuote(source=source, quoted_ms=to_ms(at)) for source, at in agreeing)
        return replace(super().quote(), sources=parts)

    def waited(self, now: dt.datetime) -> dt.timedelta:
        """The time for which it has waited, whatever steps this machine's clock has made, where they are known."""
        since = self.waiting_since or self.held_at
        return now - since - (clock.stepped_since(self.waiting_by) or dt.timedelta(0))

    def _contributor_count(self) -> int | None:
        return len(self.contributors) if self.contributors else None

    @property
    def all_contributors(self) -> dict[str, dt.datetime]:
        """Its source, or the sources that agree on it, each with the time of its quote."""
        if not self.contributors:
            return {self.source: self.quoted_at}
        return {source: dt.datetime.fromisoformat(at) for source, at in self.contributors.items()}

    @classmethod
    def pending(cls) -> "models.QuerySet[HeldPrice]":
        """Quarantined prices that wait for a decision."""
        return cls.objects.filter(decision=cls.Decision.PENDING)

    def decide(self, decision: Decision, *, by: str, at: dt.datetime) -> None:
        """Store a decision by a source or a member of staff."""
        self.decision, self.decided_by, self.decided_at = decision, by, at
        self.save(update_fields=["decision", "decided_by", "decided_at"])

    def reopen(self, *, at: dt.datetime) -> None:
        """Take a decision back, so that the price waits for one again, from now on."""
        self.decision, self.decided_by, self.decided_at = self.Decision.PENDING, "", None
        self.waiting_since, self.waiting_by = at, clock.mark()
        self.contests, self.contested_at = False, None
        waiting = ["waiting_since", "waiting_by", "contests", "contested_at"]
        self.save(update_fields=["decision", "decided_by", "decided_at", *waiting])
