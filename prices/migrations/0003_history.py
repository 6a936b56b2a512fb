"""Ticks that a month's end can take away: prices hold all of their tick, candles keep what they said for good."""

import datetime as dt

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

AMOUNT = {"max_digits": 18, "decimal_places": 4}
PUBLISHED = ["price", "bid", "ask", "open", "high", "low", "previous_close", "spot", "source", "quoted_at"]
AT_HELP = (
    "From when on it was the price: when it was quoted, but not before a premium that is on it came into force; "
    "staff's fallback from when it was shown."
)
METALS = [("gold", "gold"), ("silver", "silver"), ("platinum", "platinum"), ("palladium", "palladium")]
INTERVALS = [("1m", "1m"), ("5m", "5m"), ("15m", "15m"), ("1h", "1h"), ("1d", "1d")]

PARTITIONED = """
DROP TABLE prices_price;
CREATE SEQUENCE prices_price_ids;
CREATE TABLE prices_price (
    id bigint NOT NULL DEFAULT nextval('prices_price_ids'),
    currency varchar(3) NOT NULL,
    price numeric(18, 4) NOT NULL CONSTRAINT price_is_positive CHECK (price > 0),
    bid numeric(18, 4),
    ask numeric(18, 4),
    open numeric(18, 4) NOT NULL,
    high numeric(18, 4) NOT NULL,
    low numeric(18, 4) NOT NULL,
    previous_close numeric(18, 4),
    spot numeric(18, 4),
    source varchar(40) NOT NULL,
    quoted_at timestamptz NOT NULL,
    at timestamptz NOT NULL,
    seq bigint,
    published_at timestamptz,
    metal_id varchar(20) NOT NULL,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
ALTER SEQUENCE prices_price_ids OWNED BY prices_price.id;
"""


def published_fields():
    """As prices.models._Published was when this was written."""
    return [
        ("currency", models.CharField(max_length=3)),
        ("price", models.DecimalField(verbose_name="price per gram", **AMOUNT)),
        ("bid", models.DecimalField(null=True, verbose_name="bid", **AMOUNT)),
        ("ask", models.DecimalField(null=True, verbose_name="ask", **AMOUNT)),
        ("open", models.DecimalField(verbose_name="open", **AMOUNT)),
        ("high", models.DecimalField(verbose_name="high", **AMOUNT)),
        ("low", models.DecimalField(verbose_name="low", **AMOUNT)),
        ("previous_close", models.DecimalField(null=True, verbose_name="previous close", **AMOUNT)),
        (
            "spot",
            models.DecimalField(
                help_text="As the source gave it, where the price holds a premium.",
                null=True,
                verbose_name="spot per gram",
                **AMOUNT,
            ),
        ),
        ("source", models.CharField(max_length=40)),
        ("quoted_at", models.DateTimeField(help_text="When the source quoted it.")),
        ("at", models.DateTimeField(help_text=AT_HELP)),
        ("seq", models.BigIntegerField(help_text="The tick that brought it. Ticks have numbers without gaps.", null=True)),
        ("published_at", models.DateTimeField(help_text="When that was.", null=True)),
    ]


def partition(apps, schema_editor):
    """On PostgreSQL, a table that is partitioned by month takes the plain one's place, before that has its indexes."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(PARTITIONED)


def make_months(schema_editor, rows):
    """On PostgreSQL, make the partitions that these prices lie in, where they are missing."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for month in {row.at.astimezone(dt.UTC).date().replace(day=1) for row in rows}:
        following = (month + dt.timedelta(days=31)).replace(day=1)
        schema_editor.execute(
            f"CREATE TABLE IF NOT EXISTS prices_price_{month:%Y_%m} PARTITION OF prices_price"
            f" FOR VALUES FROM ('{month} 00:00:00+00') TO ('{following} 00:00:00+00')"
        )


def move(apps, schema_editor):
    """Ticks keep their numbers, prices what they were, and where each metal stands."""

    def model(name):
        return apps.get_model("prices", name).objects.using(schema_editor.connection.alias)

    newest = model("Tick").order_by("-id").first()
    apps.get_model("prices", "Head")(pk=1, seq=newest.pk if newest else 0).save(using=schema_editor.connection.alias)

    def taken(old):
        values = {name: getattr(old, name) for name in PUBLISHED}
        at = old.tick.published_at if old.source == "fallback" else old.quoted_at
        return values | {
            "metal_id": old.metal_id,
            "currency": old.currency,
            "at": at,
            "seq": old.tick_id,
            "published_at": old.tick.published_at,
        }

    Price, Latest = apps.get_model("prices", "Price"), apps.get_model("prices", "LatestPrice")
    some = []
    for old in model("OldPrice").select_related("tick").order_by("id").iterator(2000):
        some.append(Price(**taken(old)))
        if len(some) == 2000:
            make_months(schema_editor, some)
            model("Price").bulk_create(some)
            some = []
    make_months(schema_editor, some)
    model("Price").bulk_create(some)
    model("LatestPrice").bulk_create(
        Latest(lane=old.lane, confirmed_at=old.confirmed_at, **taken(old.price))
        for old in model("OldLatest").select_related("price__tick")
    )
    for change in model("SignificantChange").select_related("tick"):
        price = model("OldPrice").get(tick=change.tick_id, metal=change.metal_id)
        change.seq, change.published_at = change.tick_id, change.tick.published_at
        change.currency = price.currency
        change.lane = price.source if price.source in ("fallback", "simulated") else "live"
        change.save(update_fields=["seq", "published_at", "currency", "lane"])


class Migration(migrations.Migration):
    dependencies = [("prices", "0002_sources")]

    operations = [
        migrations.CreateModel(
            name="Head",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "seq",
                    models.BigIntegerField(default=0, help_text="The newest tick's number; 0 while there is none."),
                ),
                (
                    "began_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now,
                        help_text="Since when ticks are counted: a database that was emptied counts anew.",
                    ),
                ),
            ],
            options={"constraints": [models.CheckConstraint(condition=models.Q(("pk", 1)), name="there_is_one_head")]},
        ),
        # The tables as they were step aside.
        migrations.RemoveConstraint("LatestPrice", "one_latest_price_per_metal_lane_and_currency"),
        migrations.RemoveConstraint("Price", "one_price_per_metal_and_tick"),
        migrations.RemoveConstraint("Price", "price_is_positive"),
        migrations.AlterField(
            "Price",
            "metal",
            models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="prices.listedmetal"
            ),
        ),
        migrations.AlterField(
            "LatestPrice",
            "metal",
            models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="prices.listedmetal"
            ),
        ),
        migrations.RenameModel("Price", "OldPrice"),
        migrations.RenameModel("LatestPrice", "OldLatest"),
        migrations.CreateModel(
            name="Price",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                *published_fields(),
                (
                    "metal",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prices",
                        to="prices.listedmetal",
                    ),
                ),
            ],
            options={
                "ordering": ["-at", "-id"],
                "indexes": [
                    models.Index(
                        "metal",
                        "currency",
                        models.OrderBy(models.F("at"), descending=True),
                        models.OrderBy(models.F("id"), descending=True),
                        name="price_history",
                    ),
                    models.Index(fields=["seq"], name="price_seq"),
                ],
                "constraints": [models.CheckConstraint(condition=models.Q(("price__gt", 0)), name="price_is_positive")],
            },
        ),
        migrations.RunPython(partition),
        migrations.CreateModel(
            name="LatestPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                *published_fields(),
                ("lane", models.CharField(max_length=10)),
                ("confirmed_at", models.DateTimeField()),
                (
                    "metal",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="latest", to="prices.listedmetal"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("metal", "lane", "currency"), name="one_latest_price_per_metal_lane_and_currency"
                    )
                ]
            },
        ),
        migrations.AddField("SignificantChange", "seq", models.BigIntegerField(null=True)),
        migrations.AddField("SignificantChange", "published_at", models.DateTimeField(null=True)),
        migrations.AddField("SignificantChange", "currency", models.CharField(max_length=3, null=True)),
        migrations.AddField("SignificantChange", "lane", models.CharField(max_length=10, null=True)),
        migrations.RunPython(move),  # not to be undone: the tables before had no room for what came since
        migrations.AlterModelOptions("SignificantChange", {"ordering": ["-seq", "-id"]}),
        migrations.RemoveField("SignificantChange", "tick"),
        migrations.AlterField(
            "SignificantChange",
            "seq",
            models.BigIntegerField(db_index=True, help_text="The tick that brought it."),
        ),
        migrations.AlterField("SignificantChange", "published_at", models.DateTimeField(db_index=True)),
        migrations.AlterField("SignificantChange", "currency", models.CharField(max_length=3)),
        migrations.AlterField("SignificantChange", "lane", models.CharField(max_length=10)),
        migrations.DeleteModel("OldLatest"),
        migrations.DeleteModel("OldPrice"),
        migrations.DeleteModel("Tick"),
        migrations.CreateModel(
            name="Candle",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "metal",
                        "currency",
                        "lane",
                        "interval",
                        "start",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("metal", models.CharField(choices=METALS, max_length=20)),
                ("currency", models.CharField(max_length=3)),
                ("lane", models.CharField(max_length=10)),
                ("interval", models.CharField(choices=INTERVALS, max_length=3)),
                ("start", models.DateTimeField()),
                ("open", models.DecimalField(**AMOUNT)),
                ("high", models.DecimalField(**AMOUNT)),
                ("low", models.DecimalField(**AMOUNT)),
                ("close", models.DecimalField(**AMOUNT)),
                ("ticks", models.PositiveIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("seq", models.BigIntegerField(help_text="The newest tick in it; 0 where none was streamed.")),
                (
                    "source",
                    models.CharField(default="", help_text="The vendor that gave it whole; else empty.", max_length=40),
                ),
            ],
            options={"ordering": ["start"]},
        ),
    ]
