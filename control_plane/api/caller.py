"""Who calls: the one value that every route decides by. Pure; control_plane.api.doors finds it out of a request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from control_plane.errors import Forbidden

# What a member of an account may do (ACC-07); the owner has all, a new member none. Rights are read at every call.
Right = Literal["account", "members", "events", "content", "billing"]
RIGHTS: tuple[Right, ...] = ("account", "members", "events", "content", "billing")


@dataclass(frozen=True)
class Caller:
    """A person (or an API key of an account) and what he may do in that account, as of this very call.

    `actor` is what the audit keeps: "person:<id>", "key:<id>" or "staff:<id>".
    """

    actor: str
    account: str
    person: str = ""
    role: Literal["owner", "member", "key", "staff"] = "member"
    rights: frozenset[Right] = frozenset()
    ticket: str = ""  # of staff: the support ticket that opens this account (ACC-27)
    address_hash: str = ""  # of the network address he calls from, for what he accepts by it (LEG-02)

    def needs(self, right: Right) -> None:
        """Raises Forbidden unless he has it."""
        if right not in self.rights:
            raise Forbidden("right_missing", f"this needs the right {right!r}, which the account's owner gives")


def address_hash(address: str) -> str:
    """Of a network address, for the record of acceptance."""
    return hashlib.sha256(address.encode()).hexdigest()
