"""Users, their tokens, sessions and roles."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import roles, sign_ins

        # Django's own receiver, which makes an app's permissions, was connected before.
        post_migrate.connect(roles.give_new_permissions, dispatch_uid="accounts.roles")
        user_logged_in.connect(sign_ins.logged_in, dispatch_uid="accounts.sign_ins")
