"""Routes of the accounts area, by who uses them."""

from control_plane.api.accounts import entry, me
from control_plane.api.accounts.hashing import Hashing

ROUTERS = (entry.router, me.router)
__all__ = ["ROUTERS", "Hashing"]
