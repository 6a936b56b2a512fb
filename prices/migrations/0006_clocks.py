from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("prices", "0008_trading_day")]

    operations = [
        migrations.AddField(
            "latestprice", "confirmed_by", models.CharField(db_default="", default="", max_length=80)
        ),
        migrations.AddField("refreshslot", "claimed_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "refreshslot", "claimed_by", models.CharField(db_default="", default="", max_length=80)
        ),
        migrations.AddField("refreshslot", "clock_ahead_ms", models.BigIntegerField(db_default=0, default=0)),
    ]
