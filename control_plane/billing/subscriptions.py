"""The subscription of an account: its machine's state as a row, one step a call, and what follows from each.

The machine (control_plane.billing.subscription) decides, this carries it out in the same transaction: invoices to
collect, periods, jobs of later days, mails. Who may bring an event about is decided by the caller's door.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec
import sqlalchemy as sa

from control_plane.accounts import account as accounts
from control_plane.accounts import lifecycle, people
from control_plane.accounts.tables import accounts as account_rows
from control_plane.billing import (
    add_ons,
    allowance,
    buyers,
    cards,
    invoices,
    payments,
    periods,
    prices,
    refunds,
    revenue,
)
from control_plane.billing import subscription as machine
from control_plane.billing.add_ons import Bought
from control_plane.billing.buyers import Buyer
from control_plane.billing.catalogue import Catalogue
from control_plane.billing.charges import Draft, Line, draft, full_period
from control_plane.billing.credit import open_ as open_credit
from control_plane.billing.freeze import frozen_span
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Charging, Event, Subscription
from control_plane.billing.tables import subscriptions
from control_plane.billing.tax import Treatment
from control_plane.errors import Conflict, NotFound
from control_plane.legal import notices
from control_plane.periods import day_of
from control_plane.running import audit, events, inserts, jobs
from control_plane.storage.prepared import Prepared

_MIDNIGHT = datetime.time(tzinfo=datetime.UTC)
_What = Literal["unfreeze", "trial_over", "retry", "window_over"]
BOUNDARY_PRIORITY = 30
# Reading of BIL-18: the card is tried again on these days of an expired subscription.
RETRY_DAYS = (1, 3, 5, 7)
# Reading of BIL-17.
REMIND_DAYS = (7, 1)
# Whose limits are those of a plan. In a trial, and after the end, those of the free version are.
_ON_PLAN = ("active", "frozen", "expired")


@dataclass(frozen=True)
class Held:
    """An account's row. `price`: by which its plan was paid last; "" before."""

    one: Subscription
    version: int = 0
    currency: str = ""
    price: str = ""


def of(connection: sa.Connection, account: str) -> Held:
    """An account that has no row yet never had a subscription."""
    row = _ROW.first(connection, {"account": account})
    if row is None:
        return Held(Subscription())
    return Held(msgspec.json.decode(row.machine, type=Subscription), row.version, row.currency, row.price)


def state(connection: sa.Connection, account: str) -> machine.State:
    """For control_plane.accounts.setup.Setup.subscription."""
    found = _STATE.value(connection, {"account": account})
    return cast(machine.State, found or "none")


def step(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    event: Event,
    *,
    actor: str,
    present: bool = False,
    currency: str = "",
    paid: invoices.Invoice | None = None,
    held: Held | None = None,
    buyer: Buyer | None = None,
) -> Subscription:
    """Apply one event. `present`: the customer sits before the page; `currency`: of an order; `paid`: the invoice whose
    payment this is; `held`, `buyer`: of who read them in this transaction already. Raises Conflict or Invalid where the
    machine refuses, and then nothing has changed."""
    before = held or of(connection, account)
    after, effects = machine.apply(before.one, event, day_of(now))
    if after == before.one and not effects:
        return after
    held = Held(after, before.version + 1, currency or before.currency, _price_of(paid) or before.price)
    _save(connection, account, held)
    if isinstance(event, machine.RequestCancel | machine.UndoCancel):
        _said(connection, account, before.one.cancel_requested_at, after.cancel_requested_at)
    if after.state != before.one.state or _plan_of(after) != _plan_of(before.one):
        _changed(connection, now, account, held, actor)
    if after.state == "expired" and before.one.state != "expired" and after.expired_on is not None:
        for days in RETRY_DAYS:
            _put(connection, account, "retry", after.expired_on + datetime.timedelta(days=days), first=after.expired_on)
    act = _Act(connection, now, setup, account, held, actor, present, paid, buyer)
    for effect in effects:
        _EFFECTS[type(effect)](act, effect)
    return after


def next_invoice(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, held: Held, charging: Charging
) -> Draft:
    """What a period costs: the plan, and every add-on that goes on (BIL-13), with taxes and credit."""
    buyer, known = buyers.of(connection, account), prices.catalogue(connection, setup)
    return _draft(connection, now, setup, held, charging, buyer, known, _going_on(connection, buyer))


def _draft(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    held: Held,
    charging: Charging,
    buyer: Buyer,
    known: Catalogue,
    going_on: Sequence[Bought],
) -> Draft:
    tax = setup.taxes.treatment(setup.seller.country, buyer.country, buyer.tax_number, day_of(now))
    discount = buyer.payer.discount if buyer.payer else None
    told = prices.told(connection, known, buyer.account)
    price = prices.price_of(known, told, charging.terms, held.currency, held.price or None, now)
    lines = [full_period("plan", price, charging.period, tax, discount=discount)]
    for one in going_on:
        price = add_ons.price_at(known, told, one, charging.terms.cycle, held.currency, now)
        lines.append(full_period("add_on", price, charging.period, tax, quantity=one.quantity, discount=discount))
    return draft(lines, open_credit(connection, buyer.account) if buyer.has_credit else ())


def _going_on(connection: sa.Connection, buyer: Buyer) -> Sequence[Bought]:
    return add_ons.going_on(connection, buyer.account) if buyer.adds else ()


@dataclass(frozen=True)
class Coming:
    """What is charged next, and on which day; without consent to recurring charges, what would have to be paid then."""

    on: datetime.date
    draft: Draft


def coming(connection: sa.Connection, setup: Setup, account: str) -> Coming | None:
    """As things stand now: on the first day that is not paid for, or the one after a freeze. None where nothing comes:
    it was cancelled, is not paid, or its charge is on its way."""
    held = of(connection, account)
    one, terms = held.one, held.one.next_terms or held.one.terms
    if one.cancel_requested_at is not None or one.charging is not None or terms is None:
        return None
    why: machine.Why = "unfreeze" if one.state == "frozen" else "renewal"
    if one.state == "frozen" and one.frozen is not None:
        on = one.frozen.end
    elif one.state == "active" and one.period is not None:
        on = one.period.end
        if one.freeze_days is not None:
            card = cards.on_file(connection, account)
            with contextlib.suppress(Conflict):  # the card ends too soon: he will go on paying
                on = frozen_span(on, one.freeze_days, card.expires if card else None).end
    else:
        return None
    charging = Charging(terms.period(on), terms, why)
    return Coming(on, next_invoice(connection, _midnight(on), setup, account, held, charging))


def tax_on(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> Treatment:
    """How what the account buys on this day is taxed (BIL-14)."""
    row = people.account(connection, account)
    country = invoices.country_of(connection, account)
    return setup.taxes.treatment(setup.seller.country, country, row.tax_number, day_of(now))


def adopt(connection: sa.Connection, now: datetime.datetime, setup: Setup) -> int:
    """Accounts that are open and have no subscription yet get their trial: those of before there was billing. Returns
    how many."""
    without = sa.select(account_rows.c.id).where(
        account_rows.c.status.in_(("open", "suspended")),
        ~sa.exists().where(subscriptions.c.account == account_rows.c.id),
    )
    found = list(connection.scalars(without.order_by(account_rows.c.id)))
    for account in found:
        step(connection, now, setup, account, machine.StartTrial(setup.trial_days), actor="system:billing")
    return len(found)


@dataclass(frozen=True)
class _Act:
    connection: sa.Connection
    now: datetime.datetime
    setup: Setup
    account: str
    held: Held
    actor: str
    present: bool
    paid: invoices.Invoice | None
    buyer: Buyer | None


def _charge(act: _Act, effect: machine.Charge) -> None:
    connection, now, setup, charging = act.connection, act.now, act.setup, effect.charging
    # Read once: the quote, the document and the order to the gateway are about the same.
    buyer = act.buyer or buyers.of(connection, act.account)
    known, going_on = prices.catalogue(connection, setup), _going_on(connection, buyer)
    made = _draft(connection, now, setup, act.held, charging, buyer, known, going_on)
    purpose: dict[str, Any] = {"kind": "period", "why": charging.why, "add_ons": [one.id for one in going_on]}
    invoice = invoices.make_out(connection, now, setup, act.account, made, purpose, buyer=buyer, known=known)
    payments.collect(connection, now, invoice, present=act.present, buyer=buyer)


def _opened(act: _Act, effect: machine.Opened) -> None:
    assert act.paid is not None
    periods.add(act.connection, act.account, effect.period, effect.terms, act.held.price, act.paid.id)
    add_ons.carry_on(act.connection, act.now, act.account, effect.period, act.paid)
    account, end = act.account, effect.period.end
    boundary, at = f"billing.boundary:{account}:{end}", _midnight(end)
    wanted = [jobs.later(kind="billing.boundary", key=boundary, due_at=at, account=account, priority=BOUNDARY_PRIORITY)]
    for days in REMIND_DAYS:
        due_at = at - datetime.timedelta(days=days)
        key = f"billing.remind:{account}:{end}:{days}"
        wanted.append(jobs.later(kind="billing.remind", key=key, due_at=due_at, account=account))
    jobs.put_all(act.connection, wanted)


def _due(act: _Act, effect: machine.Due) -> None:
    _put(act.connection, act.account, effect.event, effect.on)


def _refund(act: _Act, effect: machine.Refund) -> None:
    refunds.pro_rata(act.connection, act.now, act.setup, act.account, effect.period, act.actor)


def _close(act: _Act, effect: machine.Close) -> None:
    """The end of the agreement is the closure of the account, in one transaction (BIL-35)."""
    revenue.stop(act.connection, act.now, act.account)
    periods.cut(act.connection, act.account, day_of(act.now) + datetime.timedelta(days=1))
    add_ons.end_all(act.connection, act.account)
    try:
        status = lifecycle.state(act.connection, act.account).status
    except NotFound:
        return
    if status not in ("open", "suspended"):
        return
    missed = act.held.one.expired_on if effect.expired else None
    since = None if missed is None else _midnight(missed)
    event = accounts.Close(effect.cause, expired=effect.expired, since=since)
    lifecycle.step(act.connection, act.now, act.setup.accounts, act.account, event, actor=act.actor)


def _tell(act: _Act, effect: machine.Tell) -> None:
    one = act.held.one
    values = {
        "period_end": one.period.end.isoformat() if one.period else "",
        "window_end": one.window_ends_on.isoformat() if one.window_ends_on else "",
        "freeze_end": one.frozen.end.isoformat() if one.frozen else "",
    }
    key = f"billing_{effect.what}:{act.account}:{act.held.version}"
    act.setup.tell(
        act.connection, act.now, account=act.account, template=f"billing_{effect.what}", key=key, values=values
    )


_EFFECTS: dict[type, Callable[[_Act, Any], None]] = {
    machine.Charge: _charge,
    machine.Opened: _opened,
    machine.Due: _due,
    machine.Close: _close,
    machine.Refund: _refund,
    machine.Tell: _tell,
}


def _said(
    connection: sa.Connection, account: str, before: datetime.datetime | None, after: datetime.datetime | None
) -> None:
    """Who cancels ends the agreement himself, at that instant: what was announced and is not over does not bind him in
    the days that he has paid for (LEG-04). Who takes it back stays, and it does."""
    if before is None and after is not None:
        notices.ended(connection, after, account)
    elif before is not None and after is None:
        notices.stays(connection, account, before)


def _changed(connection: sa.Connection, now: datetime.datetime, account: str, held: Held, actor: str) -> None:
    """What may be done in the account has changed: it is written down, told to programs, and to running rooms."""
    name = held.one.state
    audit.record(connection, now, actor=actor, account=account, code=f"subscription_{name}", ids={"state": name})
    events.emit(connection, now, account=account, kind=f"subscription.{name}", payload={"plan": _plan_of(held.one)})
    allowance.changed(connection, now, account, f"subscription:{account}:{held.version}", name)


def _put(
    connection: sa.Connection, account: str, what: _What, on: datetime.date, first: datetime.date | None = None
) -> None:
    """A job at the beginning of a day. Priorities are the order of what falls on one instant (C7), with that of the
    boundary between; payments and cancellations are not jobs, they are there before."""
    key = f"billing.{what}:{account}:{on}" + (f":{first}" if first else "")
    due_at = _midnight(on)
    if what == "unfreeze":
        jobs.put(connection, kind="billing.unfreeze", key=key, due_at=due_at, account=account, priority=20)
    elif what == "trial_over":
        jobs.put(connection, kind="billing.trial_over", key=key, due_at=due_at, account=account, priority=40)
    elif what == "retry":
        jobs.put(connection, kind="billing.retry", key=key, due_at=due_at, account=account, priority=50)
    else:
        jobs.put(connection, kind="billing.window_over", key=key, due_at=due_at, account=account, priority=90)


def _save(connection: sa.Connection, account: str, held: Held) -> None:
    values = {"version": held.version, "state": held.one.state, "plan": _plan_of(held.one)}
    values |= {"currency": held.currency, "price": held.price, "machine": msgspec.json.encode(held.one).decode()}
    if held.version > 1 or not inserts.once(
        connection, subscriptions, {"account": account, **values}, index_elements=["account"]
    ):
        _SAVE.run(connection, {"of": account, **values})


def _plan_of(one: Subscription) -> str:
    return one.terms.plan if one.terms is not None and one.state in _ON_PLAN else ""


def _price_of(paid: invoices.Invoice | None) -> str:
    """The row of the price list that its plan was paid by."""
    lines: tuple[Line, ...] = paid.draft.lines if paid is not None else ()
    return next((line.price for line in lines if line.kind in ("plan", "upgrade")), "")


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, _MIDNIGHT)


_ROW = Prepared(subscriptions.select().where(subscriptions.c.account == sa.bindparam("account")))
_SAVE = Prepared(subscriptions.update().where(subscriptions.c.account == sa.bindparam("of")))
_STATE = Prepared(sa.select(subscriptions.c.state).where(subscriptions.c.account == sa.bindparam("account")))
