"""Agreed prices say how many sources agreed, and how closely."""

from django.db import migrations, models

COUNT = models.SmallIntegerField(
    help_text="How many sources agreed on the price; empty where one gave it.", null=True, verbose_name="contributors"
)
DISPERSION = models.DecimalField(
    decimal_places=3,
    help_text="Where several sources agreed on the price: their largest deviation from it, in percent.",
    max_digits=7,
    null=True,
    verbose_name="dispersion, %",
)


class Migration(migrations.Migration):
    dependencies = [("prices", "0016_approved_changes")]

    # None of them has a default: neither database writes its history anew.
    operations = [
        migrations.AddField("Price", "contributor_count", COUNT),
        migrations.AddField("Price", "dispersion_percent", DISPERSION),
        migrations.AddField("LatestPrice", "contributor_count", COUNT),
        migrations.AddField("LatestPrice", "dispersion_percent", DISPERSION),
        migrations.AddField("HeldPrice", "dispersion_percent", DISPERSION),
    ]
