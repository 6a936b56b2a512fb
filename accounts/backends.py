"""The authentication backend for passwords, which limits wrong ones in the admin and by REST."""

from typing import Any

from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from accounts import attempts


class CountedPasswords(BaseBackend):
    """Checks passwords until too many were wrong. ModelBackend, which comes after it, checks permissions."""

    @sensitive_variables("credentials")
    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        """Return the user if the password is right.

        Raises TooManyAttemptsError, and PermissionDenied for a wrong password, so that ModelBackend does not check it
        again.
        """
        username, password = credentials.get("username"), credentials.get("password")
        if request is None or username is None or password is None:
            return None
        username = attempts.normalized(username)
        attempt = attempts.begin(request.META, username)
        user = ModelBackend().authenticate(request, username=username, password=password)
        if user is None:
            raise PermissionDenied
        attempt.succeeded(user)
        return user

    def get_user(self, user_id: int) -> User | None:
        return ModelBackend().get_user(user_id)
