"""What this area is told once at start: how the media server is reached, how other areas are asked. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from control_plane.accounts.tokens import Draw, random_token
from control_plane.api.caller import Caller
from control_plane.billing.allowance import Allowance
from sfu.contract import TokenKey

TOKEN_CHARACTERS_MIN = 32


@dataclass(frozen=True)
class Media:
    """One media server. `page` is its address for people, `api` the one for us (both without a slash at the end).

    `room` holds what else is to be set in every room's policy (`camera_codec`, `audio_red`).
    """

    page: str
    api: str
    api_token: str = field(repr=False)
    uplink_token: str = field(repr=False)
    key: TokenKey
    room: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("api_token", "uplink_token"):
            if len(getattr(self, name)) < TOKEN_CHARACTERS_MIN:
                raise ValueError(f"{name} needs {TOKEN_CHARACTERS_MIN} characters")
        if not self.key.can_sign:
            raise ValueError("a private key is needed: grants are signed with it")


def _nothing(connection: sa.Connection, now: datetime.datetime, caller: Caller, act: Literal["host", "join"]) -> None:
    """Nobody else wants to know."""


@dataclass(frozen=True)
class Setup:
    """`may_host` and `allowance` ask other areas about an account, in the transaction at hand. `used` is told what a
    caller has done with the service; `use_awaited` whether that would change anything, for acts that else only read.
    `grew` is told of an account in which more people were in a room at once than ever on that day."""

    media: Media
    may_host: Callable[[sa.Connection, str], bool]
    allowance: Callable[[sa.Connection, str], Allowance]
    base_url: str = "http://localhost:8080"
    draw: Draw = random_token
    used: Callable[[sa.Connection, datetime.datetime, Caller, Literal["host", "join"]], None] = _nothing
    use_awaited: Callable[[sa.Connection, datetime.datetime, Caller], bool] = lambda connection, now, caller: False
    grew: Callable[[sa.Connection, datetime.datetime, str], None] = lambda connection, now, account: None

    def invitation_link(self, number: str, token: str) -> str:
        """The page to join by, with the token behind #: it reaches no log and no Referer."""
        return f"{self.base_url}/join/{number}#token={token}"
