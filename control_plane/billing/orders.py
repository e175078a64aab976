"""What customers order of their subscription: a plan, another one, an add-on, a freeze, the end. One use case each.

Each says what it would cost before it is done: the `quote` of an order is the very draft that is charged.
"""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from control_plane.accounts import lifecycle
from control_plane.billing import add_ons, cards, invoices, payments, prices, subscriptions
from control_plane.billing import subscription as machine
from control_plane.billing.charges import Draft, draft, first_add_on, upgrade
from control_plane.billing.credit import open_ as open_credit
from control_plane.billing.invoices import Invoice
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Charging, Subscription, Terms
from control_plane.billing.subscriptions import Held
from control_plane.errors import Conflict, Invalid
from control_plane.periods import Period, day_of


def quote(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, terms: Terms, currency: str
) -> Draft:
    """What the first period of a plan costs now. Raises Invalid for what is not sold."""
    prices.of_terms(connection, setup, account, terms, currency, None, now)
    held = _in(subscriptions.of(connection, account), currency)
    charging = Charging(terms.period(day_of(now)), terms, "first")
    return subscriptions.next_invoice(connection, now, setup, account, held, charging)


def order(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    terms: Terms,
    currency: str,
    *,
    actor: str,
    seen: str | None = None,
) -> Payment:
    """Order a plan and have it charged; also what an expired account does to come back (BIL-37). `seen`: the sum that
    the customer was shown ("12.30 EUR"). Raises Conflict "price_changed" where it is another one by now,
    "card_missing", "country_missing", and what the machine refuses."""
    _open_and_ready(connection, account)
    same(quote(connection, now, setup, account, terms, currency), seen)
    # An account that support let come back is open, and its agreement has ended: it orders again (BIL-37).
    ended = subscriptions.state(connection, account) == "ended"
    event = machine.Return(terms) if ended else machine.Order(terms)
    subscriptions.step(connection, now, setup, account, event, actor=actor, present=True, currency=currency)
    return _running(connection, account)


def quote_upgrade(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, terms: Terms) -> Draft:
    """What another plan costs for the days left (BIL-48). Raises Conflict "no_upgrade" where it costs no more, or where
    the subscription is not in its paid days."""
    held = subscriptions.of(connection, account)
    period = _paid_period(held.one, day_of(now))
    known = prices.catalogue(connection, setup)
    wanted = known.for_newcomer(terms.plan, terms.cycle, held.currency, now)
    payer = cards.payer(connection, account)
    line = upgrade(
        known.price(held.price),
        wanted,
        period,
        day_of(now),
        subscriptions.tax_on(connection, now, setup, account),
        discount=payer.discount if payer else None,
    )
    return draft([line], open_credit(connection, account))


def change_plan(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    terms: Terms,
    *,
    actor: str,
    seen: str | None = None,
) -> Payment | None:
    """Dearer: now, for the difference; the payment. Cheaper, or of another cycle: from the next period; None."""
    one = subscriptions.of(connection, account).one
    try:
        made = quote_upgrade(connection, now, setup, account, terms)
    except Conflict as error:
        if error.code != "no_upgrade":
            raise
        event = machine.ChangeTerms(terms, upgrade=False)
        subscriptions.step(connection, now, setup, account, event, actor=actor)
        return None
    machine.apply(one, machine.ChangeTerms(terms, upgrade=True), day_of(now))  # what it would refuse, before it is paid
    _open_and_ready(connection, account)
    _idle(connection, account)
    same(made, seen)
    purpose = {"kind": "upgrade", "plan": terms.plan, "cycle": terms.cycle}
    return _collect(connection, invoices.make_out(connection, now, setup, account, made, purpose), now)


def quote_add_on(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, add_on: str, quantity: int
) -> Draft:
    """What an add-on costs for the days left (BIL-12). Raises Invalid, Conflict."""
    held = subscriptions.of(connection, account)
    period = _paid_period(held.one, day_of(now))
    known = prices.catalogue(connection, setup)
    kind = known.add_ons.get(add_on)
    if kind is None:
        raise Invalid("add_on_unknown", "this add-on is not on sale", field="add_on")
    has = sum(one.quantity for one in add_ons.active(connection, account) if one.add_on == add_on)
    kind.check_quantity(quantity, has)
    assert held.one.terms is not None
    price = known.for_newcomer(add_on, held.one.terms.cycle if kind.recurring else "once", held.currency, now)
    payer = cards.payer(connection, account)
    line = first_add_on(
        price,
        period,
        day_of(now),
        subscriptions.tax_on(connection, now, setup, account),
        quantity=quantity,
        discount=payer.discount if payer else None,
    )
    return draft([line], open_credit(connection, account))


def buy_add_on(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    add_on: str,
    quantity: int,
    *,
    once: bool = False,
    seen: str | None = None,
) -> Payment:
    """Buy it for the days left; from the next period on it is charged in full, unless `once` (BIL-11, BIL-13). Raises
    Conflict "account_state" (not of who is suspended), "card_missing" (BIL-10), "payment_running", "price_changed", and
    what `quote_add_on` raises."""
    made = quote_add_on(connection, now, setup, account, add_on, quantity)
    _open_and_ready(connection, account)
    _idle(connection, account)
    same(made, seen)
    known = prices.catalogue(connection, setup)
    kind = known.add_ons[add_on]
    recurring = kind.recurring and not once
    left = None if kind.recurring else kind.amount * quantity
    id_ = f"add_{setup.accounts.draw(20)}"
    price = known.price(made.lines[0].price)
    add_ons.order(
        connection, now, id_=id_, account=account, price=price, quantity=quantity, recurring=recurring, left=left
    )
    purpose = {"kind": "add_on", "add_on": id_}
    return _collect(connection, invoices.make_out(connection, now, setup, account, made, purpose), now)


def ask_freeze(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, days: int, *, actor: str
) -> Subscription:
    """From the next period on (BIL-21), not beyond the card (BIL-23). Raises Conflict "freeze_suspended"
    while the account is: its paid days run on."""
    if lifecycle.state(connection, account).status == "suspended":
        raise Conflict("freeze_suspended", "an account that is suspended cannot be frozen")
    card = cards.on_file(connection, account)
    event = machine.AskFreeze(days, card.expires if card else None)
    return subscriptions.step(connection, now, setup, account, event, actor=actor)


def quote_next(connection: sa.Connection, setup: Setup, account: str, terms: Terms) -> Draft:
    """What the period after the paid one costs on its first day, if it is of these terms. Raises Conflict "plan_state"
    where none is paid, Invalid for what is not sold."""
    held = subscriptions.of(connection, account)
    if held.one.state != "active" or held.one.period is None:
        raise Conflict("plan_state", f"a subscription that is {held.one.state} does not renew")
    charging = Charging(terms.period(held.one.period.end), terms, "renewal")
    due = datetime.datetime.combine(held.one.period.end, datetime.time(tzinfo=datetime.UTC))
    return subscriptions.next_invoice(connection, due, setup, account, held, charging)


def quote_unfreeze(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> Draft:
    """What the period costs that begins with the end of the freeze on this day. Raises Conflict "not_frozen"."""
    held = subscriptions.of(connection, account)
    terms = held.one.next_terms or held.one.terms
    if held.one.state != "frozen" or terms is None:
        raise Conflict("not_frozen", f"a subscription that is {held.one.state} is not frozen")
    charging = Charging(terms.period(day_of(now)), terms, "unfreeze")
    return subscriptions.next_invoice(connection, now, setup, account, held, charging)


def unfreeze(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    *,
    actor: str,
    seen: str | None = None,
) -> Payment:
    """By the link in the account (BIL-27): charged now, and the new period begins when it is paid. Raises Conflict
    "not_frozen", "price_changed", and "account_state" while the account is suspended."""
    _open(connection, account)
    if seen is not None:
        same(quote_unfreeze(connection, now, setup, account), seen)
    event = machine.Unfreeze(by_hand=True)
    subscriptions.step(connection, now, setup, account, event, actor=actor, present=True)
    return _running(connection, account)


def consent(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, on: bool, *, actor: str
) -> Subscription:
    """To recurring charges, given or withdrawn (BIL-03). Raises Conflict "card_missing"."""
    if on and cards.on_file(connection, account) is None:
        raise Conflict("card_missing", "give a card first")
    return subscriptions.step(connection, now, setup, account, machine.SetAutopay(on), actor=actor)


def abandon(connection: sa.Connection, now: datetime.datetime, account: str) -> None:
    """Take back a payment that waits for the customer. Nothing happens where none does."""
    waiting = payments.running(connection, account)
    if waiting is not None and waiting.state == "needs_action":
        payments.call_off(connection, now, waiting)


def _open(connection: sa.Connection, account: str) -> None:
    # Who is suspended would pay for days on which nothing is open to him.
    if lifecycle.state(connection, account).status != "open":
        raise Conflict("account_state", "only an account that is open can order; write to support")


def _open_and_ready(connection: sa.Connection, account: str) -> None:
    _open(connection, account)
    ready(connection, account)


def ready(connection: sa.Connection, account: str) -> None:
    """Raises Conflict "country_missing", "card_missing"."""
    if not invoices.country_of(connection, account):
        raise Conflict("country_missing", "say first in which country you are: the invoice needs it")
    if cards.on_file(connection, account) is None:
        raise Conflict("card_missing", "give a card first")


def _idle(connection: sa.Connection, account: str) -> None:
    if payments.running(connection, account) is not None:
        raise Conflict("payment_running", "a payment is on its way; wait until it has ended")


def same(made: Draft, seen: str | None) -> None:
    """Raises Conflict "price_changed" where it is another sum than was seen. None: nobody has looked."""
    if seen is not None and seen != str(made.payable):
        raise Conflict("price_changed", f"this costs {made.payable} now: look at it again before you pay")


def _paid_period(one: Subscription, today: datetime.date) -> Period:
    if one.state != "active" or one.period is None:
        raise Conflict("plan_state", f"a subscription that is {one.state} cannot buy more")
    if today not in one.period:
        raise Conflict("renewal_running", "the next period is being charged; try again when it is paid")
    return one.period


def _in(held: Held, currency: str) -> Held:
    return Held(held.one, held.version, currency, held.price)


def _collect(connection: sa.Connection, invoice: Invoice, now: datetime.datetime) -> Payment:
    return payments.collect(connection, now, invoice, present=True)


def _running(connection: sa.Connection, account: str) -> Payment:
    found = payments.running(connection, account)
    assert found is not None
    return found
