"""A fallback price may expire: then it is no longer shown. Those of before do not."""

from django.db import migrations, models

EXPIRES_AT = models.DateTimeField(
    blank=True,
    help_text="From then on it is not shown: screens show the next best price. Empty: no end.",
    null=True,
    verbose_name="until",
)


class Migration(migrations.Migration):
    dependencies = [("prices", "0012_changes")]

    operations = [
        migrations.AddField(model_name=name, name="expires_at", field=EXPIRES_AT)
        for name in ("fallbackprice", "historicalfallbackprice")
    ]
