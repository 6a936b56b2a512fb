"""The reasons why connections are refused and end, as metrics and the log name them."""

import enum


class RejectReason(enum.StrEnum):
    """Why a client was turned away before it was served."""

    AT_CAPACITY = "capacity"
    PER_IP = "per_ip"
    UNAUTHORIZED = "unauthorized"
    INTERNAL_ERROR = "internal_error"  # the database did not say whose its token is
    HANDSHAKE = "handshake"  # it was none that RFC 6455 knows, or at a path where no stream is
    RESTART = "restart"  # the process is draining
    DESCRIPTORS = "descriptors"  # the process may open no more files; by HTTP, or without a word yet, too


class CloseReason(enum.StrEnum):
    """Why a connection that was served has ended."""

    CLIENT = "client"  # it closed, or its network did
    UNAUTHORIZED = "unauthorized"  # its token has expired or was revoked
    RATE_LIMITED = "rate_limited"
    TOO_BIG = "too_big"
    PROTOCOL = "protocol"  # it broke RFC 6455 or 7692
    STALLED = "stalled"  # it did not take what it was sent
    SILENT = "silent"  # it did not answer pings
    RESTART = "restart"
    INTERNAL_ERROR = "internal_error"
