import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_login_addresses'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='Role',
            fields=[
                ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('given', models.JSONField(default=list, help_text='Such as prices.view_price.')),
                ('group', models.OneToOneField(help_text='Empty once an administrator has deleted it.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='auth.group')),
            ],
        ),
    ]
