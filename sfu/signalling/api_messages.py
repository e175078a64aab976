"""The bodies of the server API, one small typed class each, and what a request may hold. Pure."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sfu.contract import IDENTITY_CHARACTERS_MAX, ROOM_CHARACTERS_MAX, Policy, Source
from sfu.errors import BadMessage
from sfu.signalling.messages import Published

ACTIONS = ("mute", "stop_video", "allow_to_speak", "forbid_to_speak")
Body = TypeVar("Body", bound=msgspec.Struct)


class Problem(msgspec.Struct, kw_only=True):
    """RFC 9457. `code` is one of the codes of docs/protocol.md."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str


class RoomView(msgspec.Struct, kw_only=True):
    """An open room. `number` is another one each time a room of this name is opened."""

    room: str
    number: int
    participants: int
    audience: int
    sequence: int
    policy: Policy


class RoomList(msgspec.Struct, kw_only=True):
    """All open rooms."""

    rooms: list[RoomView]


class Member(msgspec.Struct, kw_only=True):
    """A participant: who he is, what he publishes, and what he may."""

    participant: str
    identity: str
    name: str
    role: str
    tracks: list[Published]
    publish: list[Source]
    max_kbps: int
    moderate: bool
    visible: bool


class Members(msgspec.Struct, kw_only=True):
    """A page of the participants; `next` is the `after` of the next page, null = this was the last."""

    participants: list[Member]
    next: str | None


class Rights(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be replaced of a participant's grant. What is not named stays."""

    name: Annotated[str, Meta(min_length=1, max_length=IDENTITY_CHARACTERS_MAX)] | UnsetType = UNSET
    role: Annotated[str, Meta(min_length=1, max_length=ROOM_CHARACTERS_MAX)] | UnsetType = UNSET
    publish: Annotated[list[Source], Meta(max_length=4)] | UnsetType = UNSET
    max_kbps: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET
    moderate: bool | UnsetType = UNSET
    visible: bool | UnsetType = UNSET


_ENTRY_FIELD = {"publish": "may_publish", "moderate": "may_moderate"}


def rights(wanted: Rights) -> dict[str, Any]:
    """The fields of room_values.Enter that are to be replaced. Raises BadMessage."""
    given = {
        _ENTRY_FIELD.get(name, name): tuple(dict.fromkeys(value)) if isinstance(value, list) else value
        for name, value in msgspec.structs.asdict(wanted).items()
        if value is not UNSET
    }
    for name in ("name", "role"):
        if not str(given.get(name, "")).isprintable():
            raise BadMessage(f"the {name} holds a character that cannot be printed")
    return given


def decode(body: bytes, kind: type[Body]) -> Body:
    """Raises msgspec.MsgspecError, whose text says what is wrong."""
    return msgspec.json.decode(body, type=kind)


def policy(body: bytes) -> Policy:
    """A whole policy. Raises msgspec.MsgspecError or BadMessage."""
    wanted = decode(body, Policy)
    if wanted.senders > wanted.seats:
        raise BadMessage("`senders` are part of `seats` and cannot be more")
    return wanted


def room_name(name: str) -> str:
    """Raises BadMessage for what no grant could name."""
    if not 1 <= len(name) <= ROOM_CHARACTERS_MAX or not name.isprintable():
        raise BadMessage(f"a room's name has 1 to {ROOM_CHARACTERS_MAX} characters that can be printed")
    return name


def number(text: str, least: int, most: int) -> int:
    """Raises BadMessage."""
    if not text.isascii() or not text.isdigit() or not least <= int(text[:12]) <= most:
        raise BadMessage(f"a number from {least} to {most} is needed")
    return int(text)
