"""What is removed when an account is deleted for good, and what of its people stays.

The account's row stays empty as a tombstone; fingerprints stay (ACC-04); a person who is in another account stays.
The kept minimum of PRV-51 is written by the privacy area before this runs.
"""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from control_plane.accounts.tables import (
    accounts,
    api_keys,
    declarations,
    identity_links,
    invitations,
    mailed_tokens,
    memberships,
    offline_orders,
    people,
    sessions,
    staff,
    staff_accesses,
)


def erase(connection: sa.Connection, now: datetime.datetime, account: str) -> None:
    """Remove the account's rows, and people who belong to nothing else."""
    members = list(connection.scalars(sa.select(memberships.c.person).where(memberships.c.account == account)))
    for table in (api_keys, invitations, declarations, mailed_tokens, offline_orders, staff_accesses, memberships):
        connection.execute(table.delete().where(table.c.account == account))
    connection.execute(sessions.delete().where(sessions.c.account == account))
    connection.execute(
        accounts.update()
        .where(accounts.c.id == account)
        .values(
            slug=None,  # free for others only from now on (PROD-30)
            slug_skeleton=None,
            business_name="",
            tax_number="",
            address="",
            time_zone="UTC",
            profile={},
            profile_public=False,
        )
    )
    for person in members:
        forget_if_alone(connection, person)


def forget_if_alone(connection: sa.Connection, person: str) -> None:
    """Remove a person who is a member of no account and not of the staff."""
    for table in (memberships, staff):
        if connection.scalar(sa.select(sa.exists().where(table.c.person == person))):
            return
    keys = api_keys.c.person == person
    if connection.scalar(sa.select(sa.exists().where(keys))):
        connection.execute(api_keys.delete().where(keys))
    connection.execute(invitations.delete().where(invitations.c.invited_by == person))
    for table in (sessions, mailed_tokens, identity_links, declarations):
        connection.execute(table.delete().where(table.c.person == person))
    connection.execute(people.delete().where(people.c.id == person))
