"""The time at which a quarantined price began to contest the shown one, so that past prices are marked as they were."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("prices", "0024_drift")]

    operations = [
        migrations.AddField(
            "HeldPrice",
            "contested_at",
            models.DateTimeField(null=True, help_text="When it began to contest the shown price, if known."),
        ),
    ]
