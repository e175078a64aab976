"""Anything that customers, days, gateways and issuers do, in any order: the books hold after each step (model 4)."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from control_plane.billing import disputes, orders, payments, refunds
from control_plane.billing import subscription as machine
from control_plane.billing.tables import credits, deferrals, invoices
from control_plane.errors import Conflict, Invalid
from control_plane.gateway.fake.faults import AnswerLost, Authenticate, Decline, Fault, Late, Lost, Slow
from control_plane.gateway.port import Dispute
from control_plane.ledger import journal
from control_plane.ledger.chart import Account
from control_plane.money import Money
from control_plane.periods import overlap
from control_plane.storage.store import Store
from tests.control_plane.billing.till import DECLINED, MONTHLY, PAYS, YEARLY, Till, till
from tests.control_plane.conftest import Stores
from tests.examples import examples

FAULTS: tuple[Fault, ...] = (
    Decline("insufficient_funds"),
    AnswerLost(),
    Lost(),
    Authenticate(),
    Slow(datetime.timedelta(days=2)),
    Slow(datetime.timedelta(days=1), well=False),
    Late(datetime.timedelta(hours=5)),
)
TERMS = st.sampled_from((MONTHLY, YEARLY, machine.Terms("basic", "month"), machine.Terms("business", "month")))


# What of a payment was given back or taken back.
_GONE = sa.text(
    "SELECT (SELECT coalesce(sum(amount), 0) FROM refunds WHERE payment = :key AND state <> 'failed')"
    " + (SELECT coalesce(sum(amount), 0) FROM disputes WHERE payment = :key AND state IN ('open', 'lost'))"
)


class Books(RuleBasedStateMachine):
    """One customer, one gateway, and the days."""

    stores: Stores

    def __init__(self) -> None:
        super().__init__()
        self._open = contextlib.ExitStack()
        store: Store = self._open.enter_context(type(self).stores())
        self.at: Till = self._open.enter_context(till(store))
        self.disputed: dict[str, tuple[str, Money]] = {}

    def teardown(self) -> None:
        self._open.close()

    @initialize(country=st.sampled_from(("US", "DE", "IE")), number=st.sampled_from((PAYS, PAYS, DECLINED)))
    def comes(self, country: str, number: str) -> None:
        self.jane = self.at.customer(country=country, card=number)

    @rule(terms=TERMS, autopay=st.booleans())
    def orders(self, terms: machine.Terms, autopay: bool) -> None:
        with refused():
            self.jane.orders(terms, autopay=autopay)

    @rule(days=st.integers(1, 45))
    def days_pass(self, days: int) -> None:
        self.at.days(days)

    @rule(fault=st.sampled_from(FAULTS))
    def the_gateway_will(self, fault: Fault) -> None:
        self.at.script.then("charge", fault)

    @rule(number=st.sampled_from((PAYS, DECLINED)))
    def another_card(self, number: str) -> None:
        if self.jane.status in ("open", "suspended"):
            self.jane.gives(number)

    @rule(add_on=st.sampled_from(("storage", "presenter", "streamed_event")), quantity=st.integers(1, 3))
    def buys(self, add_on: str, quantity: int) -> None:
        with refused():
            self.jane.buys(add_on, quantity, once=quantity == 3)

    @rule(terms=TERMS)
    def changes_plan(self, terms: machine.Terms) -> None:
        with refused():
            self.write(
                lambda connection: orders.change_plan(
                    connection, self.at.clock.now(), self.at.setup, self.jane.id, terms, actor=self.jane.actor
                )
            )
            self.at.settle()

    @rule(days=st.integers(1, 90))
    def freezes(self, days: int) -> None:
        with refused():
            self.jane.freezes(days)

    @rule()
    def unfreezes(self) -> None:
        with refused():
            self.jane.unfreezes()

    @rule(on=st.booleans())
    def consents(self, on: bool) -> None:
        with refused():
            self.jane.does(machine.SetAutopay(on))

    @rule(undo=st.booleans())
    def cancels(self, undo: bool) -> None:
        with refused():
            self.jane.does(machine.UndoCancel() if undo else machine.RequestCancel(self.at.clock.now()))

    @rule()
    def abandons(self) -> None:
        self.write(lambda connection: orders.abandon(connection, self.at.clock.now(), self.jane.id))
        self.at.settle()

    @precondition(lambda self: self.jane.paid)
    @rule(place=st.integers(0, 9), minor=st.integers(1, 3_000))
    def goodwill(self, place: int, minor: int) -> None:
        paid = self.jane.paid
        one = paid[place % len(paid)]
        with refused():
            amounts = {0: Money(minor, one.draft.currency)}
            self.write(
                lambda connection: refunds.goodwill(
                    connection, self.at.clock.now(), self.at.setup, one.id, amounts, "staff:desk"
                )
            )
            self.at.settle()

    @precondition(lambda self: self.charges())
    @rule(place=st.integers(0, 9))
    def disputes(self, place: int) -> None:
        charges = self.charges()
        reference, left = charges[place % len(charges)]
        name = f"dp_{reference}"
        if name not in self.disputed and left.minor:
            self.disputed[name] = (reference, left)
            self.says(name, "open")

    @precondition(lambda self: self.disputed)
    @rule(place=st.integers(0, 9), won=st.booleans())
    def decides(self, place: int, won: bool) -> None:
        self.says(sorted(self.disputed)[place % len(self.disputed)], "won" if won else "lost")

    @rule(cause=st.booleans())
    def ended_by_the_operator(self, cause: bool) -> None:
        if self.at.clock.now().day == 13:  # seldom, or nothing else would happen
            with refused():
                self.jane.does(machine.Terminate(cause=cause), "staff:desk")

    # -- what always holds --
    @invariant()
    def every_currency_is_even(self) -> None:
        balances = self.at.store.read(journal.balances)
        sums: dict[str, int] = {}
        for account, lines in balances.items():
            sums[account.currency] = sums.get(account.currency, 0) + lines
        assert not any(sums.values())
        assert self.at.store.read(lambda connection: journal.replay(journal.transactions(connection))) == balances

    @invariant()
    def prepaid_is_what_the_rows_say_and_nothing_where_all_is_over(self) -> None:
        rows = self.rows(deferrals.select())
        left = sum(
            row.net - Money(row.net, row.currency).share(row.earned_days, row.days).minor
            for row in rows
            if not row.over
        )
        assert self.held("deferred:subscription") == left >= 0

    @invariant()
    def credit_is_what_the_rows_say(self) -> None:
        money = sum(row.left for row in self.rows(credits.select()) if not row.promotional)
        aside = (
            sum(one.draft.from_credit.minor for one in self.jane.invoices if one.state == "open") if self.here else 0
        )
        assert self.held("customer_credit") == money + aside >= 0

    @invariant()
    def no_day_is_covered_twice(self) -> None:
        if self.here:
            assert overlap(self.jane.covered) is None

    @invariant()
    def no_payment_gives_more_than_it_brought(self) -> None:
        for charge, left in self.charges() if self.here else ():
            assert left.minor >= 0, charge

    @invariant()
    def numbers_have_no_gap(self) -> None:
        numbers = sorted(str(row.number) for row in self.rows(invoices.select().where(invoices.c.number.is_not(None))))
        years = {number[:7] for number in numbers}
        for year in years:
            mine = [number for number in numbers if number.startswith(year)]
            assert [int(number[-6:]) for number in mine] == list(range(1, len(mine) + 1))

    # -- helps --
    @property
    def here(self) -> bool:
        return hasattr(self, "jane")

    def held(self, kind: str) -> int:
        if not self.here:
            return 0
        return self.at.store.read(
            lambda connection: journal.balance(connection, Account(kind, "EUR", self.jane.id))
        ).minor

    def rows(self, question: sa.Select[Any]) -> list[sa.Row[Any]]:
        return self.at.store.read(lambda connection: list(connection.execute(question)))

    def write(self, act: Any) -> Any:
        return self.at.store.write(act)

    def says(self, name: str, state: Any) -> None:
        reference, amount = self.disputed[name]
        told = Dispute(name, reference, amount, state)
        self.write(lambda connection: disputes.told(connection, self.at.clock.now(), self.at.setup, told))
        self.at.settle()

    def charges(self) -> list[tuple[str, Money]]:
        """Charges that brought money, and what of it was neither given back nor taken back."""

        def ask(connection: sa.Connection) -> list[tuple[str, Money]]:
            found = []
            for one in self.jane.paid:
                for payment in payments.of_invoice(connection, one.id):
                    if payment.state == "succeeded" and payment.reference:
                        gone = int(connection.scalar(_GONE, {"key": payment.key}) or 0)
                        found.append((payment.reference, payment.received - Money(gone, payment.received.currency)))
            return found

        return self.at.store.read(ask)


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """What the product may say no to."""
    with contextlib.suppress(Conflict, Invalid):
        yield


def test_the_books_hold_whatever_happens(stores: Stores) -> None:
    made = type("Here", (Books,), {"stores": staticmethod(stores)})
    run_state_machine_as_test(
        made,
        settings=settings(
            max_examples=examples(60),
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
