"""Days of which a vendor's archive knows nothing."""

from django.db import migrations, models

METALS = [("gold", "gold"), ("silver", "silver"), ("platinum", "platinum"), ("palladium", "palladium")]


class Migration(migrations.Migration):
    dependencies = [("prices", "0003_history")]

    operations = [
        migrations.CreateModel(
            name="SilentDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("archive", models.CharField(max_length=40)),
                ("metal", models.CharField(choices=METALS, max_length=20)),
                ("currency", models.CharField(max_length=3)),
                ("date", models.DateField(help_text="Of UTC.")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("archive", "metal", "currency", "date"),
                        name="one_silent_day_per_archive_metal_and_currency",
                    )
                ],
            },
        ),
    ]
