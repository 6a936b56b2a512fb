"""A fallback price that came with the installation is told from one that staff have entered or confirmed."""

import datetime as dt
from decimal import Decimal

from django.db import migrations, models

EXAMPLES = {
    "gold": Decimal("9223.3162"),
    "silver": Decimal("105.0461"),
    "platinum": Decimal("3824.4612"),
    "palladium": Decimal("3299.0955"),
}
AS_OF = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
NOTE = "goldapi.io, July 2025: replace it by today's price"


def find_examples(apps, schema_editor):
    """A price and its time that `seed` wrote are an example, whoever has saved them since: to save a note, or nothing,
    is not to enter a price. Beside anything else the seed's note says what is not so.
    """
    alias = schema_editor.connection.alias
    for row in apps.get_model("prices", "FallbackPrice").objects.using(alias).filter(currency="INR"):
        row.example = (row.price, row.as_of) == (EXAMPLES.get(row.metal_id), AS_OF)
        if not row.example and row.note == NOTE:
            row.note = ""
        row.save(update_fields=["example", "note"])


PUBLISHED = models.BooleanField(
    db_default=False, default=False, help_text="A fallback that no member of staff has entered or confirmed."
)


class Migration(migrations.Migration):
    dependencies = [("prices", "0005_epoch")]

    operations = [
        *(
            migrations.AddField(
                name,
                "example",
                models.BooleanField(
                    db_default=False,
                    default=False,
                    editable=False,
                    help_text="It came with the installation: no member of staff has entered or confirmed it.",
                ),
            )
            for name in ("FallbackPrice", "HistoricalFallbackPrice")
        ),
        migrations.AddField("LatestPrice", "example", PUBLISHED),
        # By SQL, since Django would write SQLite's whole history anew. Both databases know this by heart.
        migrations.SeparateDatabaseAndState(
            [
                migrations.RunSQL(
                    "ALTER TABLE prices_price ADD COLUMN example bool DEFAULT false NOT NULL",
                    "ALTER TABLE prices_price DROP COLUMN example",
                )
            ],
            [migrations.AddField("Price", "example", PUBLISHED)],
        ),
        migrations.RunPython(find_examples, migrations.RunPython.noop),
    ]
