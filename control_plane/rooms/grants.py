"""What a role may do in a room, and the grant that says so to the media server (sfu.contract). Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from control_plane.rooms.invitations import Role
from control_plane.rooms.limits import Kind, Limits
from control_plane.rooms.setup import Media
from sfu import contract
from sfu.contract import SOURCES, Grant, Source

# From its signing to the join; the media server keeps whoever is in. Shorter: slow telephones come too late.
JOIN_WITHIN = datetime.timedelta(seconds=60)


@dataclass(frozen=True)
class Rights:
    publish: tuple[Source, ...]
    moderate: bool = False


_ALL = Rights(SOURCES)
_HOST = Rights(SOURCES, moderate=True)
# Only presenters, and people they let in, send media in a webinar (PROD-02); in a meeting everybody does (PROD-01).
RIGHTS: Mapping[Kind, Mapping[Role, Rights]] = {
    "meeting": {"host": _HOST, "presenter": _ALL, "attendee": _ALL},
    "webinar": {"host": _HOST, "presenter": _ALL, "attendee": Rights(())},
    "large": {"host": _HOST, "presenter": _ALL, "attendee": Rights(())},
}


def sign(
    media: Media,
    now: datetime.datetime,
    *,
    room: str,
    kind: Kind,
    role: Role,
    identity: str,
    name: str,
    limits: Limits,
    version: int,
) -> str:
    """A token that lets `identity` into the room within a minute, and brings the limits of this policy version."""
    rights = RIGHTS[kind][role]
    grant = Grant(
        room=room,
        identity=identity,
        name=name,
        role=role,
        publish=rights.publish,
        moderate=rights.moderate,
        limits=contract.Limits(seats=max(1, limits.seats), senders=limits.senders, version=version),
        expires_at=(now + JOIN_WITHIN).timestamp(),
    )
    return contract.sign(grant, media.key, now.timestamp())
