"""The error tree. The type says whose fault it is; `code` and `reason` are what the other side is told.

    StentorError
      ClientError        the client is wrong; it is told `code` and `reason` as they stand
        BadMessage         bad_message     not JSON, not a known type, over a limit
        BadOffer           bad_offer       the SDP cannot be answered
        Forbidden          forbidden       the grant does not allow it
        Unauthorized       unauthorized    no grant, or one that does not hold
        RoomFull           room_full       no seat left
        NotFound           not_found       no such participant, source or slot
        Conflict           conflict        something newer is in force already
        RateLimited        rate_limited    too much; `retry_after` says when again
      ServerError        we are wrong or not able; the client is told a code and may try again
        WorkerLost         worker_lost     the media process is gone: make a new connection
        Overloaded         overloaded      no room for more work
        MediaFailed        media_failed    ICE, DTLS or SRTP did not come about
        Internal           internal        a fault of ours; the details are in the log only

One door translates: `signalling.told.error_message`.
"""

from __future__ import annotations

from typing import ClassVar


class StentorError(Exception):
    """Base of all errors that a client may be told of."""

    code: ClassVar[str] = "internal"

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class ClientError(StentorError):
    """The other side is wrong."""


class BadMessage(ClientError):
    code = "bad_message"


class BadOffer(ClientError):
    code = "bad_offer"


class Forbidden(ClientError):
    code = "forbidden"


class Unauthorized(ClientError):
    code = "unauthorized"


class RoomFull(ClientError):
    code = "room_full"


class NotFound(ClientError):
    code = "not_found"


class Conflict(ClientError):
    code = "conflict"


class RateLimited(ClientError):
    code = "rate_limited"


class ServerError(StentorError):
    """We are wrong, or not able."""


class WorkerLost(ServerError):
    code = "worker_lost"


class Overloaded(ServerError):
    code = "overloaded"


class MediaFailed(ServerError):
    code = "media_failed"


class Internal(ServerError):
    code = "internal"


def all_codes() -> dict[str, str]:
    """Every code a client can be told, with the first line of its class's document where it has one."""
    found: dict[str, str] = {}
    waiting: list[type[StentorError]] = [StentorError]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind not in (ClientError, ServerError):
                found[kind.code] = kind.__name__
    return dict(sorted(found.items()))
