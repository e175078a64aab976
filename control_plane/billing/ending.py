"""The operator ends an agreement: for one of the grounds of BIL-40, or without one, and then pro rata (BIL-43)."""

from __future__ import annotations

import datetime
from typing import Literal, get_args

import sqlalchemy as sa

from control_plane.billing import subscription as machine
from control_plane.billing import subscriptions
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Subscription
from control_plane.errors import Invalid
from control_plane.running import audit

# "none" is no ground: the operator may end it at any time, and gives the unused days back.
Ground = Literal["none", "authority", "default", "prohibited", "marks", "registration", "means"]
GROUNDS: tuple[str, ...] = get_args(Ground)


def terminate(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    ground: str,
    *,
    actor: str,
    ticket: str,
) -> Subscription:
    """End it at once, with the ground and the ticket that has its evidence in the trail. Raises Invalid with field
    `ground`, Conflict "not_subscribed"."""
    if ground not in GROUNDS:
        raise Invalid("ground_unknown", "one of the grounds of the terms, or none", field="ground")
    event = machine.Terminate(cause=ground != "none")
    after = subscriptions.step(connection, now, setup, account, event, actor=actor)
    ids = {"ground": ground, "ticket": ticket}
    audit.record(connection, now, actor=actor, account=account, code="terminated", ids=ids)
    return after
