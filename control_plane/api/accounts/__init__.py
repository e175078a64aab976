"""Routes of the accounts area, by who uses them."""

from __future__ import annotations

from fastapi import APIRouter

from control_plane.accounts.profile import PublicEvents
from control_plane.api.accounts import account, entry, identities, me, members, staff
from control_plane.api.accounts.hashing import Hashing
from control_plane.api.doors import Doors


def routers(doors: Doors, hashing: Hashing, public_events: PublicEvents) -> list[APIRouter]:
    """All of them. `public_events` is the rooms area's answer to which events a profile shows."""
    account_router = account.routes_for(public_events)
    makers = (entry.router, me.router, account_router, members.router, identities.router, staff.router)
    return [make(doors, hashing) for make in makers]


__all__ = ["Hashing", "routers"]
