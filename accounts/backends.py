"""The authentication backend for passwords, which counts each, by whichever door it came."""

from typing import Any

from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from accounts import attempts


class CountedPasswords(BaseBackend):
    """Checks passwords, until too many were wrong. Permissions are for ModelBackend to say, which comes after it."""

    @sensitive_variables("credentials")
    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        """The user, if the password is theirs.

        Raises TooManyAttemptsError, which the door shows; and PermissionDenied where it is wrong, or ModelBackend would
        check it once more.
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
