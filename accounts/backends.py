"""Where a password is looked at: by whichever door it came, it is counted."""

from typing import Any

from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from accounts import attempts


class CountedPasswords(BaseBackend):
    """Looks at passwords, as many as may be tried. Permissions are for ModelBackend to say, which comes after it."""

    @sensitive_variables("credentials")
    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        """The user, if the password is theirs.

        Raises TooManyAttemptsError, which the door shows; and PermissionDenied where it is wrong, or ModelBackend would
        look once more.
        """
        username, password = credentials.get("username"), credentials.get("password")
        if request is None or username is None or password is None:
            return None
        username = attempts.as_written(username)
        attempt = attempts.begin(request.META, username)
        user = ModelBackend().authenticate(request, username=username, password=password)
        if user is None:
            raise PermissionDenied
        attempt.succeeded(user)
        return user

    def get_user(self, user_id: int) -> User | None:
        return ModelBackend().get_user(user_id)
