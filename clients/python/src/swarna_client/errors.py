"""Errors that end an iteration, since to try again would not help:

SwarnaError
├── RefusedError    the server turned the client away: another token, or another address, is wanted
└── RejectedError   the server does not take the subscription: a metal, an interval
"""


class SwarnaError(Exception):
    """The base of both. `code` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RefusedError(SwarnaError):
    """The server turned the client away for good. `code` is its word, such as `unauthorized`, or an HTTP status."""


class RejectedError(SwarnaError):
    """The server does not take the subscription. `code` is one of those for messages, such as `unknown_metal`."""
