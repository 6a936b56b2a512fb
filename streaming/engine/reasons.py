"""The reasons for which connections are refused or closed, as metrics and the log name them."""

import enum


class RejectReason(enum.StrEnum):
    """The reason for refusing a connection, before it was served."""

    AT_CAPACITY = "capacity"
    PER_IP = "per_ip"
    UNAUTHORIZED = "unauthorized"
    INTERNAL_ERROR = "internal_error"  # the database did not answer for its token
    HANDSHAKE = "handshake"  # not one of RFC 6455, or at a path without a stream
    RESTART = "restart"  # the process is draining
    DESCRIPTORS = "descriptors"  # the process may open no more files; HTTP counts too, and silent connections


class CloseReason(enum.StrEnum):
    """The reason for the end of a connection that was served."""

    CLIENT = "client"  # it closed, or its network did
    UNAUTHORIZED = "unauthorized"  # its token has expired or was revoked
    RATE_LIMITED = "rate_limited"
    TOO_BIG = "too_big"
    PROTOCOL = "protocol"  # it broke RFC 6455 or 7692
    STALLED = "stalled"  # it did not take what it was sent
    SILENT = "silent"  # it did not answer pings
    RESTART = "restart"
    ANSWERED = "answered"  # a waiting poll, which ends with its answer
    INTERNAL_ERROR = "internal_error"
