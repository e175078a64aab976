"""Several at once on one database: workers and charges of a night, who pays in it, a deletion that meets a payment."""

from __future__ import annotations

import datetime
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from control_plane import clockwork
from control_plane.billing import orders, settling
from control_plane.billing.collector import Collector
from control_plane.billing.payments import Payment
from control_plane.errors import Unavailable
from control_plane.gateway.fake.faults import Lost
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import ChargeOrder, Outcome, Succeeded
from control_plane.money import Money
from control_plane.running import tasks
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.billing.till import MONTHLY, Till, till
from tests.control_plane.entries import entry

DAY = datetime.date(2026, 11, 22)
MOMENT = datetime.timedelta(microseconds=1)


def midnight(days: int) -> datetime.datetime:
    return datetime.datetime.combine(DAY + datetime.timedelta(days=days), datetime.time(tzinfo=datetime.UTC))


def at_once(*acts: Callable[[], object]) -> None:
    """Each in a thread of its own, all from one instant on. Raises what one of them raised."""
    line = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        line.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        for done in [pool.submit(run, act) for act in acts]:
            done.result()


def another_worker(at: Till) -> tuple[Store, Work]:
    """With connections of its own, as another process has them."""
    store = Store(at.store.engine.url.render_as_string(hide_password=False))
    gateway = Collector(store, at.setup, at.gateway).deliverer()
    return store, replace(at.work, store=store, deliverers={**at.work.deliverers, "gateway": gateway})


def test_two_workers_renew_each_subscription_once(store: Store) -> None:
    with till(store) as at:
        names = ("jane", "ben", "ida", "max", "eve", "joe")
        customers = [at.customer(name) for name in names]
        for one in customers:
            one.orders(MONTHLY)
        at.until(midnight(30) - MOMENT)
        at.clock.advance_to(midnight(30))
        other, work = another_worker(at)
        at_once(lambda: clockwork.settle(at.clock, at.work), lambda: clockwork.settle(at.clock, work))
        other.close()
        at.clock.advance_to(midnight(30) + datetime.timedelta(hours=1))
        at.settle()
        with entry("BIL-02.4"):
            for one in customers:
                assert [invoice.state for invoice in one.invoices] == ["paid", "paid"]
                assert [span.first for span in one.covered] == [midnight(0).date(), midnight(30).date()]
            numbers = sorted(invoice.number for one in customers for invoice in one.paid)
            assert [int(number[-6:]) for number in numbers] == list(range(1, 2 * len(customers) + 1))
            paid = 2 * len(customers) * 4_900
            assert at.gateway.outside.held() == {"EUR": Money(paid, "EUR")}
            assert at.balances()["gateway_clearing"] == paid


class Crowded(MemoryGateway):
    """Answers a charge that nobody waits for when three of them are with it."""

    at_once = 3

    def __init__(self, *told: Any, **more: Any) -> None:
        super().__init__(*told, **more)
        self._three = threading.Barrier(3, timeout=30)

    def charge(self, order: ChargeOrder) -> Outcome:
        if not order.present:
            self._three.wait()
        return super().charge(order)


def test_a_nights_charges_are_with_the_gateway_several_at_a_time(store: Store) -> None:
    with till(store, gateway=Crowded) as at:
        customers = [at.customer(name) for name in ("jane", "ben", "ida", "max", "eve", "joe")]
        for one in customers:
            one.orders(MONTHLY)
        at.until(midnight(31))
        for one in customers:
            assert [invoice.state for invoice in one.invoices] == ["paid", "paid"]
        numbers = sorted(invoice.number for one in customers for invoice in one.paid)
        assert [int(number[-6:]) for number in numbers] == list(range(1, 13))
        assert at.balances()["gateway_clearing"] == 12 * 4_900
        assert at.gateway.outside.held() == {"EUR": Money(12 * 4_900, "EUR")}


def test_who_sits_before_the_page_does_not_wait_for_the_night(store: Store) -> None:
    with till(store) as at:
        night = [at.customer(name) for name in ("jane", "ben")]
        for one in night:
            one.orders(MONTHLY)
        ida = at.customer("ida")
        at.until(midnight(30) - MOMENT)
        now = midnight(30)
        at.clock.advance_to(now)
        while at.work.job(now):
            pass
        assert [one.invoices[-1].state for one in night] == ["open", "open"], "their charges wait"
        actor = ida.actor
        made = store.write(
            lambda connection: orders.order(connection, now, at.setup, ida.id, MONTHLY, "EUR", actor=actor)
        )
        assert at.work.letter("gateway", now)
        assert ida.payment(made.key).state == "succeeded"
        assert [one.invoices[-1].state for one in night] == ["open", "open"]
        at.settle()
        assert [one.invoices[-1].state for one in night] == ["paid", "paid"]


def test_a_deletion_and_the_payment_of_a_return_meet_and_one_of_them_wins_whole(store: Store) -> None:
    with till(store) as at:
        customers = [at.customer(name) for name in ("jane", "ben", "ida", "max", "eve", "joe")]
        for one in customers:
            one.orders(MONTHLY)
            one.cancels()
        at.until(midnight(60) - datetime.timedelta(minutes=1))
        running = []
        for one in customers:
            at.script.then("charge", Lost())
            running.append(one.returns())
        assert {payment.state for payment in running} == {"processing"}
        limit = midnight(60)  # the last instant of the window; the deletion comes the moment after
        at.clock.advance_to(limit + MOMENT)

        def pays(payment: Payment) -> None:
            came = Succeeded(f"ch_{payment.key}", payment.amount)
            tell = functools.partial(settling.told, now=limit, setup=at.setup, key=payment.key, outcome=came)
            while True:
                try:
                    return store.write(tell)
                except Unavailable:  # the other was in the way too often: whoever brings news brings it again
                    continue

        # From one line each time: a thread that has the lock of SQLite takes it again before the other wakes up.
        for payment in running:
            at_once(functools.partial(pays, payment), lambda: at.work.job(limit + MOMENT))
        at.settle()
        back = [one for one in customers if one.status == "open"]
        gone = [one for one in customers if one.status == "deleted"]
        told = {task.account for task in store.read(tasks.all_open) if task.kind == "payment_unassigned"}
        with entry("BIL-36.3"):
            assert len(back) + len(gone) == len(customers)
            for one in back:
                assert (one.state, one.invoices[-1].state, len(one.covered)) == ("active", "paid", 2)
                assert one.one.charging is None and one.holds("customer_credit") == 0
                assert one.holds("deferred:subscription") == 4_900
            for one in gone:
                assert (one.state, one.invoices[-1].state, len(one.covered)) == ("ended", "void", 1)
                assert one.one.charging is None and one.holds("customer_credit") == 4_900
            assert told == {one.id for one in gone}, "of these alone the money pays nothing"
