"""What the account's own steps do to its subscription, and to its credit at last."""

from __future__ import annotations

import datetime

from control_plane.accounts import account as accounts
from control_plane.accounts import lifecycle
from control_plane.billing import disputes, settling, subscriptions
from control_plane.billing import subscription as machine
from control_plane.gateway.fake.faults import Lost, Slow
from control_plane.gateway.port import Dispute, DisputeState, Succeeded
from control_plane.money import Money
from control_plane.running import tasks
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.billing.till import MONTHLY, Customer, Till, till
from tests.control_plane.entries import entry


def steps(at: Till, jane: Customer, event: accounts.Event) -> None:
    at.store.write(
        lambda connection: lifecycle.step(
            connection, at.clock.now(), at.setup.accounts, jane.id, event, actor="staff:desk"
        )
    )
    at.settle()


def test_an_account_that_is_closed_is_charged_no_more_and_gets_nothing_back(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        steps(at, jane, accounts.Close("terminated"))
        assert jane.state == "ended" and jane.status == "closed"
        at.days(60)
        assert len(jane.invoices) == 1
        assert at.balances() == {"gateway_clearing": 4_900, "revenue:plan": 4_900}


def test_a_suspension_over_the_boundary_expires_and_its_lifting_collects(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.days(20)
        steps(at, jane, accounts.Suspend("abuse"))
        at.days(20)
        assert jane.state == "expired" and len(jane.paid) == 1
        steps(at, jane, accounts.Lift())
        assert jane.state == "active" and jane.covered[-1].first == at.clock.now().date()


def test_credit_that_nobody_used_is_ours_when_the_account_is_deleted(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        at.script.then("charge", Lost())
        payment = jane.orders(MONTHLY, autopay=False)
        more = payment.amount + Money(700, "EUR")
        store.write(
            lambda connection: settling.told(
                connection, at.clock.now(), at.setup, payment.key, Succeeded("elsewhere", more)
            )
        )
        at.days(30 + 91)
        assert jane.status == "deleted"
        with entry("BIL-07.5"):
            assert at.balances() == {"gateway_clearing": 5_600, "revenue:plan": 4_900, "breakage": 700}


def test_who_was_closed_comes_back_through_support_when_it_is_paid(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.does(machine.RequestCancel(at.clock.now()))
        at.days(40)
        assert jane.status == "closed"

        def comes_back() -> None:
            store.write(
                lambda connection: subscriptions.step(
                    connection, at.clock.now(), at.setup, jane.id, machine.Return(MONTHLY), actor="staff:desk"
                )
            )
            at.settle()

        comes_back()
        with entry("BIL-37.2"):
            assert jane.status == "open" and jane.state == "active"
            assert jane.covered[-1].first == at.clock.now().date()
        at.days(29)
        assert len(jane.paid) == 2


def test_a_return_that_is_not_paid_leaves_it_closed_until_it_is_deleted(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.does(machine.RequestCancel(at.clock.now()))
        at.days(40)
        jane.gives("4000000000000341")
        store.write(
            lambda connection: subscriptions.step(
                connection, at.clock.now(), at.setup, jane.id, machine.Return(MONTHLY), actor="staff:desk"
            )
        )
        at.settle()
        with entry("BIL-37.3"):
            assert jane.status == "closed" and jane.state == "ended" and len(jane.paid) == 1
        at.until(datetime.datetime(2027, 2, 1, tzinfo=datetime.UTC))
        assert jane.status == "deleted"


def test_a_return_that_is_paid_after_the_deletion_opens_nothing_and_the_staff_is_told(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.cancels()
        over = datetime.datetime(2027, 1, 21, tzinfo=datetime.UTC)
        at.until(over - datetime.timedelta(minutes=10))
        at.script.then("charge", Slow(datetime.timedelta(hours=1)))
        assert jane.returns().state == "processing"
        at.until(over + datetime.timedelta(minutes=10))
        with entry("BIL-36.3"):
            assert (jane.status, jane.state, jane.one.charging) == ("deleted", "ended", None)
            at.days(1)
            assert (jane.status, jane.state) == ("deleted", "ended")
            assert len(jane.covered) == 1 and jane.invoices[-1].state == "void"
            open_ = store.read(lambda connection: tasks.all_open(connection))
            assert [(task.kind, task.account) for task in open_] == [("payment_unassigned", jane.id)]
            assert jane.holds("customer_credit") == 4_900, "it is not ours"
            assert not seen.jobs(store, "billing.boundary")


def test_an_account_that_is_deleted_leaves_its_invoices_and_an_open_dispute_to_its_end(store: Store) -> None:
    with till(store) as at:
        jane = at.customer(country="DE")
        payment = jane.orders(MONTHLY)
        jane.cancels()
        at.days(40)
        kept = jane.invoices

        def says(state: DisputeState) -> None:
            told = Dispute("dp_1", payment.reference, payment.amount, state)
            store.write(lambda connection: disputes.told(connection, at.clock.now(), at.setup, told))
            at.settle()

        says("open")
        at.until(datetime.datetime(2027, 2, 1, tzinfo=datetime.UTC))
        assert jane.status == "deleted"
        with entry("BIL-39.3"):
            assert jane.invoices == kept and kept[0].document.buyer.name == "Jane's Lessons"
        with entry("BIL-39.4"):
            assert at.balances() == {"dispute_pending": 5_831, "revenue:plan": 4_900, "vat": 931}
            says("lost")
            assert at.balances() == {}
            open_ = store.read(lambda connection: tasks.all_open(connection))
            assert "dispute_lost" in [task.kind for task in open_]
        assert jane.status == "deleted"


def test_whom_support_let_come_back_without_a_plan_orders_one(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        steps(at, jane, accounts.Close("terminated"))
        steps(at, jane, accounts.Reactivate(approved=True, paid=True))
        assert (jane.status, jane.state) == ("open", "ended")
        jane.orders(MONTHLY)  # on the very day
        assert jane.state == "active" and len(jane.covered) == 1
