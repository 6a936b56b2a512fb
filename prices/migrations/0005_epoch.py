"""Which history the stream's numbers are of, instead of since when they are counted. It is drawn when first read."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("prices", "0007_refresh_numbers")]

    operations = [
        migrations.RemoveField(model_name="head", name="began_at"),
        migrations.AddField(
            model_name="head",
            name="published_at",
            field=models.DateTimeField(help_text="When that tick was published.", null=True),
        ),
        migrations.AddField(
            model_name="head",
            name="epoch",
            field=models.CharField(
                default="", help_text="Which history of numbers this is; drawn where there is none.", max_length=16
            ),
        ),
        migrations.AddField(
            model_name="head",
            name="superseded",
            field=models.CharField(
                default="",
                help_text="The epochs before this one, the newest last; the oldest are forgotten.",
                max_length=200,
            ),
        ),
        migrations.AddField(
            model_name="head",
            name="place",
            field=models.CharField(
                default="", help_text="Where the database lay when the epoch was drawn: a copy lies elsewhere.",
                max_length=100,
            ),
        ),
    ]
