"""The error tree of the control plane. The type says whose fault it is; `code` and `reason` are what is told.

    ControlPlaneError
      RequestError       the caller is wrong; 4xx, told as it stands
        Invalid          422  a field is wrong; `field` names it
        Unauthorized     401  not signed in, or a token that does not hold
        Forbidden        403  signed in, but not allowed
        NotFound         404  not there, or not for you: the same answer and the same time
        Conflict         409  it was done already, or something else stands in the way
        Gone             410  it was there once
        TooMany          429  too much; `retry_after_s` says when again
      Unavailable        503  we cannot at the moment; `retry_after_s`
      Internal           500  a fault of ours; the details are in the log only

Codes are stable words for programs (`email_taken`), reasons are sentences for people. One door translates:
control_plane.api.problems.
"""

from __future__ import annotations

from typing import ClassVar


class ControlPlaneError(Exception):
    """Base of all that a caller may be told of."""

    status: ClassVar[int] = 500

    def __init__(self, code: str, reason: str, *, field: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {reason}")
        self.code, self.reason, self.field, self.retry_after_s = code, reason, field, retry_after_s


class RequestError(ControlPlaneError):
    """The caller is wrong."""

    status = 400


class Invalid(RequestError):
    status = 422


class Unauthorized(RequestError):
    status = 401


class Forbidden(RequestError):
    status = 403


class NotFound(RequestError):
    status = 404


class Conflict(RequestError):
    status = 409


class Gone(RequestError):
    status = 410


class TooMany(RequestError):
    status = 429


class Unavailable(ControlPlaneError):
    status = 503


class Internal(ControlPlaneError):
    status = 500
