"""Customers who pay, in tests of billing: a store, a clock, the faithful gateway in memory, and all jobs and letters.

A customer is signed up and verified by the services, gives a card at the gateway as a browser would, and orders. The
clock goes forward with `until`, which does all that falls due on the way.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from control_plane import clockwork, paying
from control_plane.accounts import account as accounts
from control_plane.accounts import lifecycle, sign_up
from control_plane.accounts import setup as accounts_setup
from control_plane.accounts.tables import accounts as account_rows
from control_plane.billing import (
    add_ons,
    cards,
    collector,
    desk,
    invoices,
    orders,
    payments,
    periods,
    subscriptions,
    wallet,
)
from control_plane.billing import subscription as machine
from control_plane.billing.document import Party
from control_plane.billing.freeze import CardMonth
from control_plane.billing.invoices import Invoice
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Subscription, Terms
from control_plane.clock import TestClock
from control_plane.gateway.fake.faults import Script
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import CardSaved
from control_plane.handlers import handlers
from control_plane.ledger import journal
from control_plane.ledger.chart import Account
from control_plane.periods import Span
from control_plane.running.outbox import Deliverer, Letter
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.people import FINGERPRINT_KEY, TEXTS, drawn

# The day of the vectors in tests/rules.json's readings.
START = datetime.datetime(2026, 11, 22, 9, 30, tzinfo=datetime.UTC)
SELLER = Party.of("Stentor Ltd", "1 Main Street\nDublin", "IE", "IE6388047V")
PAYS = "4242424242424242"
DECLINED = "4000000000000341"
GOOD = CardMonth(2030, 12)
MONTHLY = Terms("professional", "month")
YEARLY = Terms("professional", "year")


@dataclass
class Told:
    """A mail that billing wrote."""

    at: datetime.datetime
    account: str
    template: str
    values: Mapping[str, str]


@dataclass
class Till:
    """Everything that billing needs, and nothing else."""

    store: Store
    clock: TestClock
    gateway: MemoryGateway
    setup: Setup
    work: Work
    script: Script
    told: list[Told] = field(default_factory=list)
    carried: list[Letter] = field(default_factory=list)  # to the media server, and mails

    def until(self, instant: datetime.datetime | datetime.date) -> None:
        """Do all that is due up to then."""
        if not isinstance(instant, datetime.datetime):
            instant = datetime.datetime.combine(instant, datetime.time(tzinfo=datetime.UTC))
        clockwork.advance_to(self.clock, self.work, instant)

    def days(self, count: int) -> None:
        self.until(self.clock.now() + datetime.timedelta(days=count))

    def settle(self) -> None:
        clockwork.settle(self.clock, self.work)

    def customer(self, name: str = "jane", *, card: str | None = PAYS, country: str = "", **form: Any) -> Customer:
        """With an open account, on trial; with a card and a country where they are told."""
        found = Customer(self, self._opened(name, form))
        if country or card:
            self.store.write(lambda connection: cards.set_country(connection, found.id, country or "US"))
        if card:
            found.gives(card)
        return found

    def balances(self) -> dict[str, int]:
        """Of all accounts of the ledger that are not at zero, by kind: what each holds on its own side."""
        found: dict[str, int] = {}
        for account, lines in self.store.read(journal.balances).items():
            found[account.kind] = found.get(account.kind, 0) + account.held(lines).minor
        return {kind: held for kind, held in found.items() if held}

    def _opened(self, name: str, form: dict[str, Any]) -> str:
        def act(connection: sa.Connection) -> str:
            now = self.clock.now()
            filled = sign_up.Form(
                f"{name}@example.com",
                business=True,
                adult=True,
                accepted=TEXTS,
                business_name=f"{name.title()}'s Lessons",
                **form,
            )
            account, _ = sign_up.begin(connection, now, self.setup.accounts, filled, None)
            lifecycle.step(connection, now, self.setup.accounts, account, accounts.Verify(), actor=f"person:{name}")
            return account

        return self.store.write(act)


@dataclass
class Customer:
    """One account, in words of the product."""

    till: Till
    id: str

    @property
    def actor(self) -> str:
        return f"person:{self.id}"

    def gives(self, number: str, expires: CardMonth = GOOD) -> None:
        """A card, at the gateway's own fields."""
        till, gateway = self.till, self.till.gateway
        payer = gateway.open_payer(self.id)
        setup = gateway.begin_card(payer, f"card:{self.id}:{till.setup.accounts.draw(6)}")

        def begun(connection: sa.Connection) -> None:
            cards.set_payer(connection, self.id, payer)
            cards.begin(connection, till.clock.now(), till.setup.accounts.draw, self.id, setup)

        till.store.write(begun)
        gateway.outside.enter_card(setup, number, expires)
        outcome = gateway.card_of(setup)
        assert isinstance(outcome, CardSaved), outcome
        till.store.write(lambda connection: wallet.told(connection, till.clock.now(), till.setup, outcome))

    def orders(self, terms: Terms = MONTHLY, currency: str = "EUR", *, autopay: bool = True) -> Payment:
        """And has it charged at once; with consent to recurring charges unless told otherwise."""
        till = self.till

        def act(connection: sa.Connection) -> Payment:
            now = till.clock.now()
            made = orders.order(connection, now, till.setup, self.id, terms, currency, actor=self.actor)
            orders.consent(connection, now, till.setup, self.id, autopay, actor=self.actor)
            return made

        made = till.store.write(act)
        till.settle()
        return self.payment(made.key)

    def buys(self, add_on: str, quantity: int = 1, **more: Any) -> Payment:
        till = self.till
        made = till.store.write(
            lambda connection: orders.buy_add_on(
                connection, till.clock.now(), till.setup, self.id, add_on, quantity, **more
            )
        )
        till.settle()
        return self.payment(made.key)

    def does(self, event: machine.Event, actor: str = "") -> Subscription:
        """Have something happen to the subscription."""
        till = self.till
        after = till.store.write(
            lambda connection: subscriptions.step(
                connection, till.clock.now(), till.setup, self.id, event, actor=actor or self.actor
            )
        )
        till.settle()
        return after

    def freezes(self, days: int) -> Subscription:
        till = self.till
        return till.store.write(
            lambda connection: orders.ask_freeze(
                connection, till.clock.now(), till.setup, self.id, days, actor=self.actor
            )
        )

    def unfreezes(self) -> Payment:
        till = self.till
        made = till.store.write(
            lambda connection: orders.unfreeze(connection, till.clock.now(), till.setup, self.id, actor=self.actor)
        )
        till.settle()
        return self.payment(made.key)

    def cancels(self) -> Subscription:
        return self.does(machine.RequestCancel(self.till.clock.now()))

    def returns(self, terms: Terms = MONTHLY, *, overrules: bool = False) -> Payment:
        """Support lets the closed account come back, and its card is charged at once."""
        till = self.till
        made = till.store.write(
            lambda connection: desk.bring_back(
                connection,
                till.clock.now(),
                till.setup,
                self.id,
                terms,
                "EUR",
                overrules=overrules,
                ticket="T-1",
                actor="staff:desk",
            )
        )
        till.settle()
        return self.payment(made.key)

    @property
    def amounts(self) -> dict[str, int]:
        """What add-ons give him on this day."""
        till, found = self.till, dict[str, int]()
        known, today = till.setup.catalogue.add_ons, till.clock.now().date()
        for one in till.store.read(lambda connection: add_ons.active(connection, self.id)):
            if one.paid_until is None or today < one.paid_until:
                kind = known[one.add_on]
                has = kind.amount * one.quantity if one.left is None else one.left
                found[kind.adds] = found.get(kind.adds, 0) + has
        return found

    @property
    def one(self) -> Subscription:
        return self.till.store.read(lambda connection: subscriptions.of(connection, self.id)).one

    @property
    def state(self) -> str:
        return self.one.state

    @property
    def status(self) -> str:
        wanted = sa.select(account_rows.c.status).where(account_rows.c.id == self.id)
        return str(self.till.store.read(lambda connection: connection.scalar(wanted)))

    def payment(self, key: str) -> Payment:
        return self.till.store.read(lambda connection: payments.by_key(connection, key))

    @property
    def invoices(self) -> list[Invoice]:
        return self.till.store.read(lambda connection: invoices.history(connection, self.id))

    @property
    def paid(self) -> list[Invoice]:
        return [one for one in self.invoices if one.state == "paid"]

    @property
    def covered(self) -> list[Span]:
        return self.till.store.read(lambda connection: periods.covered(connection, self.id))

    def holds(self, kind: str, currency: str = "EUR") -> int:
        """What an account of the ledger that is his own holds, in minor units."""
        account = Account(kind, currency, self.id)
        return self.till.store.read(lambda connection: journal.balance(connection, account)).minor

    def mails(self, template: str = "") -> list[Told]:
        return [one for one in self.till.told if one.account == self.id and template in ("", one.template)]


@contextmanager
def till(
    store: Store,
    start: datetime.datetime = START,
    *,
    gateway: type[MemoryGateway] = MemoryGateway,
    directory: Path | None = None,
    publish: bool = True,
    **changes: Any,
) -> Iterator[Till]:
    """`directory`: where the gateway keeps what it knows. `publish`: the texts, which an old database has. `changes`
    are those of billing's Setup."""
    if publish:
        seen.publish_texts(store, start)
    clock, script = TestClock(start), Script()
    bank = gateway(clock, "whsec_of_the_tests", directory=directory, plan=script)
    told: list[Told] = []

    def tell(
        connection: sa.Connection,
        now: datetime.datetime,
        *,
        account: str,
        template: str,
        key: str,
        values: Mapping[str, str],
    ) -> bool:
        told.append(Told(now, account, template, values))
        return True

    def fees_told(
        connection: sa.Connection,
        now: datetime.datetime,
        *,
        account: str,
        template: str,
        key: str,
        values: Mapping[str, str],
    ) -> bool:
        told.append(Told(now, account, template, values))
        return True

    people = accounts_setup.Setup(FINGERPRINT_KEY, "https://stentor.test", drawn(1))
    setup = paying.wired(Setup(people, SELLER, tell=tell, **changes))
    carried: list[Letter] = []
    work = Work(
        store,
        handlers(setup.accounts, clock, fees_told, setup),
        {
            "gateway": collector.Collector(store, setup, bank).deliverer(),
            "mail": Deliverer(carried.append),
            "media": Deliverer(carried.append),
        },
    )
    try:
        yield Till(store, clock, bank, setup, work, script, told, carried)
    finally:
        bank.close()
