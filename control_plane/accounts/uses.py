"""What an account's people and keys do with the service itself: by it they accept changes they were told of (LEG-04).

Asked at every use, so it is one look into an index where nothing is open, and written once where something is.
"""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from control_plane.accounts import lifecycle
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import api_keys, people
from control_plane.api.caller import Caller
from control_plane.legal import notices
from control_plane.legal.changes import Act
from control_plane.legal.kinds import ORIGINAL


def awaited(connection: sa.Connection, now: datetime.datetime, caller: Caller) -> bool:
    """Whether what this caller does now could accept something. Guests have no agreement, and staff who are in an
    account for a ticket accept nothing for it."""
    return bool(caller.account) and not caller.ticket and notices.awaits_use(connection, now, caller.account)


def note(connection: sa.Connection, now: datetime.datetime, setup: Setup, caller: Caller, act: Act) -> None:
    """He did this. What it accepts is recorded with the person who did it, or who made the key that did."""
    if not awaited(connection, now, caller):
        return
    status = lifecycle.state(connection, caller.account).status
    access = setup.subscription(connection, caller.account) if status == "open" else status
    person = caller.person or _maker(connection, caller)
    language = connection.scalar(sa.select(people.c.language).where(people.c.id == person)) or ORIGINAL
    notices.used(
        connection,
        now,
        account=caller.account,
        person=person,
        act=act,
        access=access,
        language=language,
        address_hash=caller.address_hash,
    )


def _maker(connection: sa.Connection, caller: Caller) -> str:
    key = caller.actor.partition(":")[2]
    return str(connection.execute(sa.select(api_keys.c.person).where(api_keys.c.id == key)).scalar_one())
