"""A bound on a slow drift of each metal, and the levels that it is measured from."""

from decimal import Decimal

import django.core.validators
from django.db import migrations, models

METALS = ("gold", "silver", "platinum", "palladium")
RULES = ("band", "jump", "drift", "range", "agreement")


def bound(metal):
    return models.DecimalField(
        blank=True,
        decimal_places=3,
        help_text="A price further than this from one within 24 hours of open market is quarantined as a jump is.",
        max_digits=6,
        null=True,
        validators=[django.core.validators.MinValueValidator(Decimal("0.001"))],
        verbose_name=f"largest drift of {metal}, %",
    )


class Migration(migrations.Migration):
    dependencies = [("prices", "0021_standing")]

    operations = [
        *(
            migrations.AddField(name, f"max_drift_percent_{metal}", bound(metal))
            for name in ("Configuration", "HistoricalConfiguration")
            for metal in METALS
        ),
        migrations.AddField(
            "LatestPrice",
            "levels",
            models.TextField(
                db_default="",
                default="",
                help_text="Its levels of the last hours, before any premium, as text of a `Levels`.",
            ),
        ),
        migrations.AlterField(
            "HeldPrice",
            "doubt",
            models.CharField(choices=[(rule, rule) for rule in RULES], max_length=10, verbose_name="sanity rule"),
        ),
    ]
