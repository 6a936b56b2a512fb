"""Receipts, in a table by month on PostgreSQL; and copies of them where they are kept for longer."""

from django.db import migrations, models

METALS = [("gold", "gold"), ("silver", "silver"), ("platinum", "platinum"), ("palladium", "palladium")]
PARTITIONED = """
DROP TABLE prices_receipt;
CREATE TABLE prices_receipt (
    seq bigint NOT NULL,
    metal varchar(20) NOT NULL,
    published_at timestamptz NOT NULL,
    currency varchar(3) NOT NULL,
    lane varchar(10) NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (seq, metal, published_at)
) PARTITION BY RANGE (published_at);
"""


def partition(apps, schema_editor):
    """On PostgreSQL, a table that is partitioned by month takes the plain one's place, before that has its index."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(PARTITIONED)


class Migration(migrations.Migration):
    dependencies = [("prices", "0020_members")]

    operations = [
        migrations.CreateModel(
            name="Receipt",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "seq", "metal", "published_at", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("seq", models.BigIntegerField()),
                ("metal", models.CharField(choices=METALS, max_length=20)),
                ("published_at", models.DateTimeField()),
                ("currency", models.CharField(max_length=3)),
                ("lane", models.CharField(max_length=10, verbose_name="price kind")),
                ("text", models.TextField(help_text="As `receipts.encode` writes it.")),
            ],
            options={
                "ordering": ["seq"],
                "indexes": [
                    models.Index(
                        "metal",
                        models.OrderBy(models.F("published_at"), descending=True),
                        models.OrderBy(models.F("seq"), descending=True),
                        name="receipt_at",
                    )
                ],
            },
        ),
        migrations.RunPython(partition, migrations.RunPython.noop),
        migrations.CreateModel(
            name="ReceiptMonth",
            fields=[
                ("month", models.DateField(primary_key=True, serialize=False)),
                ("first_seq", models.BigIntegerField()),
            ],
        ),
        migrations.AddField(
            "StaffChange",
            "receipts",
            models.TextField(
                db_default="",
                default="",
                editable=False,
                help_text="Copies of the receipts of the prices that it published first, as a list in JSON.",
            ),
        ),
        migrations.AddField(
            "SignificantChange",
            "receipt",
            models.TextField(db_default="", default="", help_text="A copy of the new price's receipt."),
        ),
        migrations.AddField(
            "HeldPrice",
            "made_of",
            models.TextField(db_default="", default="", help_text="The parts of it, for the receipt of its price."),
        ),
    ]
