"""What an account's own steps mean for its subscription; the two machines never write each other (model 3.1, 3.2).

it opens          its trial begins (ACC-05)
it closes         the agreement is over; money goes back only where billing itself ended it (BIL-06, BIL-43)
it comes back     not where that was refused (BIL-38, BIL-40)
a suspension is   a period that began meanwhile is charged now
lifted
it is deleted     what it had to its credit is ours (reading of BIL-07); what is being paid at that moment pays nothing
                  any more, so it comes back whole or is deleted whole (BIL-36)
"""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from control_plane.accounts import account as accounts
from control_plane.billing import credit, invoices, payments, subscriptions
from control_plane.billing import subscription as machine
from control_plane.billing.setup import Setup
from control_plane.errors import Conflict

ACTOR = "system:billing"


def follow(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, event: accounts.Event
) -> None:
    """For control_plane.accounts.setup.Setup.stepped."""
    if isinstance(event, accounts.Purge):
        _give_up(connection, now, setup, account)
        credit.lapse(connection, now, account)
        return
    if isinstance(event, accounts.Reactivate) and subscriptions.of(connection, account).one.barred:
        raise Conflict("return_refused", "it was refused that this customer comes back")
    happens: machine.Event
    if isinstance(event, accounts.Verify):
        happens = machine.StartTrial(setup.trial_days)
    elif isinstance(event, accounts.Lift):
        happens = machine.Collect()
    elif isinstance(event, accounts.Close) and _agreed(connection, account):
        happens = machine.Terminate(cause=True, bars=event.abuse)
    else:
        return
    subscriptions.step(connection, now, setup, account, happens, actor=ACTOR)


def _give_up(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> None:
    """Money that comes all the same is told to the staff (control_plane.billing.settling)."""
    running = payments.running(connection, account)
    if running is not None:
        invoices.void(connection, now, invoices.by_id(connection, running.invoice))
    if subscriptions.of(connection, account).one.charging is not None:
        subscriptions.step(connection, now, setup, account, machine.Failed(), actor=ACTOR)


def _agreed(connection: sa.Connection, account: str) -> bool:
    """False where it was billing that closed the account: then the subscription has ended already."""
    return subscriptions.state(connection, account) not in ("none", "ended")
