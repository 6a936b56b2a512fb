import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def record_tokens(apps, schema_editor):
    """A token of before is a session from its making on. Logins of before are recorded when they are next used."""
    SignIn, AuthToken = apps.get_model('accounts', 'SignIn'), apps.get_model('knox', 'AuthToken')
    SignIn.objects.bulk_create(
        (
            SignIn(token_id=token.pk, user_id=token.user_id, began_at=token.created, seen_at=token.created)
            for token in AuthToken.objects.iterator()
        ),
        batch_size=500,
    )


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_role'),
        ('knox', '0009_extend_authtoken_field'),
        ('sessions', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SignIn',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('began_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField(help_text='When it was last used, to five minutes.')),
                ('address', models.CharField(blank=True, help_text='From which it was last used; empty: not known.', max_length=45)),
                ('user_agent', models.CharField(blank=True, max_length=200)),
                ('session', models.OneToOneField(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='sign_in', to='sessions.session')),
                ('token', models.OneToOneField(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='sign_in', to='knox.authtoken')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'session',
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('session__isnull', False), ('token', None)), models.Q(('session', None), ('token__isnull', False)), _connector='OR'), name='a_login_or_a_token')],
            },
        ),
        migrations.RunPython(record_tokens, migrations.RunPython.noop),
    ]
