"""For how long each source has given the same price."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("prices", "0017_receipts")]

    operations = [
        migrations.AddField(
            "ProviderState",
            "standing",
            models.JSONField(
                editable=False,
                help_text="By metal, its newest price, and from when to when it quoted that.",
                null=True,
            ),
        ),
    ]
