"""The values of WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): what is asked, what comes of it.

See `sfu.signalling.whip_session`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol as Interface

from sfu.contract import Grant
from sfu.errors import StentorError
from sfu.signalling.messages import IceServer


class Protocol(Enum):
    """Which way media go."""

    WHIP = "whip"  # the client publishes
    WHEP = "whep"  # the client views


class Refusal(Exception):
    """A refusal whose HTTP status is another one than the code of its error has."""

    def __init__(self, error: StentorError, status: int) -> None:
        super().__init__(error.reason)
        self.error = error
        self.status = status


# -- what is asked ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Open:
    """POST: a new session for who holds the grant."""

    grant: Grant
    sdp: str


@dataclass(frozen=True, slots=True)
class Patch:
    """PATCH: candidates, or an ICE restart. `if_match` is the header's value, None without one."""

    grant: Grant
    if_match: str | None
    fragment: str


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE: the end."""

    grant: Grant


Request = Open | Patch | Delete


# -- what comes of it ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Opened:
    """201. `location` is the path of the session, which cannot be guessed."""

    location: str
    etag: str
    sdp: str
    ice_servers: tuple[IceServer, ...]


@dataclass(frozen=True, slots=True)
class Restarted:
    """200 for an ICE restart: our new credentials and candidates."""

    etag: str
    fragment: str


@dataclass(frozen=True, slots=True)
class Noted:
    """204 for candidates: ICE-lite needs none (RFC 8445 2.5)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """200 for a DELETE."""


@dataclass(frozen=True, slots=True)
class Refused:
    """`status` 0 = the one that the code of the error has."""

    error: StentorError
    status: int = 0


Outcome = Opened | Restarted | Noted | Ended | Refused


class Exchange(Interface):
    """One HTTP request that waits for its outcome."""

    address: str  # of the client; "" = unknown
    reached: str  # the host by which the client reached us, without port; "" = unknown

    def answer(self, outcome: Outcome) -> None:
        """Called once."""
        ...
