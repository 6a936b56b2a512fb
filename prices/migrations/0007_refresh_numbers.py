"""Refreshes have numbers, by which prices of different sources are ordered; what sources agree on keeps who they are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("prices", "0006_clocks")]

    operations = [
        migrations.AddField(
            model_name="head",
            name="refreshes",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="How many refreshes have begun; the newest one's number."
            ),
        ),
        migrations.AddField(
            model_name="heldprice",
            name="contributors",
            field=models.JSONField(
                help_text="Of a price that several sources agree on: each of them, and when it quoted.", null=True
            ),
        ),
        migrations.AddField(
            model_name="heldprice",
            name="refresh",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="The number of the refresh that brought it."
            ),
        ),
        migrations.AddField(
            model_name="latestprice",
            name="refresh",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
    ]
