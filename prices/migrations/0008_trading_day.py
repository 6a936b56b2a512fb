"""The day's figures before any premium, beside where each metal stands. No tick is written anew."""

from django.db import migrations, models


def at_spot(apps, schema_editor):
    """What is on the screens stays on them: the figures are divided by the premium that they hold, and not rounded."""
    rows = apps.get_model("prices", "LatestPrice").objects.using(schema_editor.connection.alias)
    for row in rows.exclude(lane="fallback"):
        spot = row.spot or row.price

        def figure(amount, row=row, spot=spot):
            return None if amount is None else str(amount if spot == row.price else amount * spot / row.price)

        row.trading_day = {
            "at": row.quoted_at.isoformat(),
            "before": {name: figure(getattr(row, name)) for name in ("open", "high", "low", "previous_close")},
            "closed": None,
            "newest": [{"source": row.source, "price": str(spot)}],
        }
        row.save(update_fields=["trading_day"])


class Migration(migrations.Migration):
    dependencies = [("prices", "0004_silentday")]

    operations = [
        migrations.AddField(
            "LatestPrice",
            "trading_day",
            models.JSONField(
                help_text="The day so far, before any premium (prices/days.py). Staff's fallback has none.", null=True
            ),
        ),
        migrations.RunPython(at_spot, migrations.RunPython.noop),
    ]
