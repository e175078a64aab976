"""What billing does on its days, by kind of job (model section 5). Each is told its business time."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping

import sqlalchemy as sa

from control_plane.accounts import lifecycle
from control_plane.billing import buyers, payments, price_notices, revenue, subscriptions
from control_plane.billing import subscription as machine
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Charging, Event, Subscription
from control_plane.billing.subscriptions import Held
from control_plane.clock import Clock
from control_plane.legal import notices
from control_plane.periods import day_of
from control_plane.running.jobs import Handler, Job

ACTOR = "system:billing"
_Chooses = Callable[[sa.Connection, datetime.datetime, Setup, str], Event | None]


def handlers(setup: Setup, clock: Clock, post: notices.Post) -> Mapping[str, Handler]:
    """By kind; for control_plane.handlers."""
    return {
        "billing.boundary": _boundary(setup),
        "billing.trial_over": _stepping(setup, lambda connection, now, setup, account: machine.TrialOver()),
        "billing.unfreeze": _stepping(setup, lambda connection, now, setup, account: machine.Unfreeze(by_hand=False)),
        "billing.window_over": _stepping(setup, lambda connection, now, setup, account: machine.WindowOver()),
        "billing.retry": _stepping(setup, _retry),
        "billing.remind": _reminding(setup),
        "billing.action_over": _action_over,
        "billing.earn": revenue.job,
        "billing.price_notice": price_notices.handler(clock, setup, post),
    }


def _stepping(setup: Setup, event: _Chooses) -> Handler:
    def handle(connection: sa.Connection, due_at: datetime.datetime, job: Job) -> None:
        assert job.account is not None
        chosen = event(connection, due_at, setup, job.account)
        if chosen is not None:
            subscriptions.step(connection, due_at, setup, job.account, chosen, actor=ACTOR)

    return handle


def _boundary(setup: Setup) -> Handler:
    def handle(connection: sa.Connection, due_at: datetime.datetime, job: Job) -> None:
        assert job.account is not None
        held = subscriptions.of(connection, job.account)
        if held.one.state != "active":
            return
        buyer = buyers.of(connection, job.account)
        # Asked for only where there is no consent: it takes the whole draft.
        covered = not held.one.autopay and _covered(connection, due_at, setup, job.account, held)
        expires = buyer.card.expires if buyer.card else None
        event = machine.Boundary(expires, covered=covered, suspended=buyer.status == "suspended")
        subscriptions.step(connection, due_at, setup, job.account, event, actor=ACTOR, held=held, buyer=buyer)

    return handle


def _retry(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> Event | None:
    """Not while he is suspended: he would pay for days on which nothing is open to him."""
    suspended = lifecycle.state(connection, account).status == "suspended"
    return None if suspended else machine.Collect()


def _covered(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, held: Held) -> bool:
    """Whether credit pays the whole of the next period (BIL-07)."""
    terms = held.one.next_terms or held.one.terms
    if held.one.state != "active" or held.one.period is None or terms is None:
        return False
    charging = Charging(terms.period(day_of(now)), terms, "renewal")
    return not subscriptions.next_invoice(connection, now, setup, account, held, charging).payable.minor


def _reminding(setup: Setup) -> Handler:
    def remind(connection: sa.Connection, due_at: datetime.datetime, job: Job) -> None:
        """The coming end and the sum to renew (BIL-17): the very sum that the boundary will charge."""
        assert job.account is not None
        held = subscriptions.of(connection, job.account)
        one = held.one
        if not _renews(one) or one.period is None or job.key.split(":")[2] != one.period.end.isoformat():
            return
        terms = one.next_terms or one.terms
        assert terms is not None
        due = datetime.datetime.combine(one.period.end, datetime.time(tzinfo=datetime.UTC))
        charging = Charging(terms.period(one.period.end), terms, "renewal")
        made = subscriptions.next_invoice(connection, due, setup, job.account, held, charging)
        values = {"on": one.period.end.isoformat(), "sum": str(made.payable), "autopay": "yes" if one.autopay else ""}
        setup.tell(connection, due_at, account=job.account, template="billing_reminder", key=job.key, values=values)

    return remind


def _renews(one: Subscription) -> bool:
    return one.state == "active" and one.cancel_requested_at is None and one.freeze_days is None


def _action_over(connection: sa.Connection, due_at: datetime.datetime, job: Job) -> None:
    payment = payments.by_key(connection, str(job.payload["payment"]))
    if payment.state == "needs_action":
        payments.call_off(connection, due_at, payment)
