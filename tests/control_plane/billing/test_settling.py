"""Money comes in or does not: numbers, days, postings, and what was bought, all in one transaction (model 3.3)."""

from __future__ import annotations

import datetime

import pytest

from control_plane.billing import credit, invoices, payments, settling
from control_plane.errors import Conflict
from control_plane.gateway.fake.faults import AnswerLost, Authenticate, Lost, Slow
from control_plane.gateway.port import Succeeded
from control_plane.money import Money
from control_plane.periods import Period
from control_plane.storage.store import Store
from tests.control_plane.billing.till import DECLINED, MONTHLY, PAYS, till
from tests.control_plane.entries import entry

DAY = datetime.date(2026, 11, 22)


def test_an_order_that_is_paid_opens_its_period_with_a_numbered_invoice(store: Store) -> None:
    with till(store) as at:
        jane = at.customer(country="DE")
        assert jane.state == "trial"
        payment = jane.orders(MONTHLY)
        assert payment.state == "succeeded" and payment.amount == payment.received == Money(5_831, "EUR")
        assert jane.state == "active" and jane.one.period == Period(DAY, 30)
        (invoice,) = jane.invoices
        assert (invoice.state, invoice.number) == ("paid", "ST-2026-000001")
        assert invoice.document.paid_on == DAY and invoice.draft.net == Money(4_900, "EUR")
        assert at.balances() == {"gateway_clearing": 5_831, "deferred:subscription": 4_900, "vat": 931}
        assert jane.mails("billing_paid")[0].values["number"] == "ST-2026-000001"


def test_a_declined_order_leaves_everything_as_it_was_and_no_gap_in_the_numbers(store: Store) -> None:
    with till(store) as at:
        jane = at.customer(card=DECLINED)
        payment = jane.orders(MONTHLY)
        assert (payment.state, payment.code) == ("failed", "declined")
        assert jane.state == "trial" and [one.state for one in jane.invoices] == ["void"]
        assert at.balances() == {} and jane.mails("billing_declined")
        ben = at.customer("ben")
        ben.orders(MONTHLY)
        assert ben.paid[0].number == "ST-2026-000001"


@pytest.mark.parametrize("fault", [AnswerLost(), Lost()])
def test_a_charge_whose_answer_was_lost_is_asked_for_and_made_once(store: Store, fault: AnswerLost | Lost) -> None:
    with till(store) as at:
        jane = at.customer()
        at.script.then("charge", fault)
        payment = jane.orders(MONTHLY)
        with entry("BIL-02.3"):
            assert payment.state == "processing" and jane.state == "trial"
            at.days(1)
            assert jane.payment(payment.key).state == "succeeded" and jane.state == "active"
            assert at.balances()["gateway_clearing"] == 4_900 and len(jane.invoices) == 1


def test_a_bank_that_asks_is_answered_or_the_order_lapses_after_a_day(store: Store) -> None:
    with till(store) as at:
        jane, ben = at.customer(), at.customer("ben")
        at.script.then("charge", Authenticate(), Authenticate())
        first, second = jane.orders(MONTHLY), ben.orders(MONTHLY)
        assert first.state == second.state == "needs_action" and first.link
        at.gateway.outside.authenticate(first.reference, agrees=True)
        store.write(
            lambda connection: settling.told(
                connection, at.clock.now(), at.setup, first.key, Succeeded(first.reference, first.amount)
            )
        )
        assert jane.state == "active"
        at.days(2)
        assert ben.payment(second.key).state == "failed" and ben.state == "trial"
        assert at.balances()["gateway_clearing"] == 4_900


def test_what_settles_days_later_begins_its_period_on_that_day(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        at.script.then("charge", Slow(datetime.timedelta(days=3)))
        jane.orders(MONTHLY)
        with entry("BIL-01.2"):
            assert jane.state == "trial" and jane.one.charging is not None
        at.days(4)
        with entry("BIL-01.3"):
            assert jane.one.period is not None and jane.one.period.first > DAY
            (invoice,) = jane.paid
            assert [line.span for line in invoice.draft.lines] == jane.covered


def test_the_news_of_a_payment_counts_once_whoever_brings_it(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        payment = jane.orders(MONTHLY)
        before = at.balances()
        for _ in range(2):
            store.write(
                lambda connection: settling.told(
                    connection, at.clock.now(), at.setup, payment.key, Succeeded(payment.reference, payment.amount)
                )
            )
        with entry("BIL-15.1"):
            assert at.balances() == before and len(jane.invoices) == 1
        with entry("ACC-18.1"):
            assert jane.state == "active" and len(jane.covered) == 1


def test_too_much_is_the_customers_and_pays_the_next_invoice_first(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        at.script.then("charge", Lost(), Lost(), Lost(), Lost(), Lost())
        payment = jane.orders(MONTHLY)
        more = payment.amount + Money(1_000, "EUR")
        store.write(
            lambda connection: settling.told(
                connection, at.clock.now(), at.setup, payment.key, Succeeded("elsewhere", more)
            )
        )
        with entry("BIL-07.1"):
            assert jane.holds("customer_credit") == 1_000
            at.days(31)
            assert jane.paid[-1].payable == Money(3_900, "EUR") and jane.holds("customer_credit") == 0


def test_credit_is_there_again_when_the_card_declines_the_rest(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        at.script.then("charge", Lost())
        payment = jane.orders(MONTHLY)
        more = payment.amount + Money(1_000, "EUR")
        store.write(
            lambda connection: settling.told(
                connection, at.clock.now(), at.setup, payment.key, Succeeded("elsewhere", more)
            )
        )
        jane.gives(DECLINED)
        at.until(DAY + datetime.timedelta(days=30))
        with entry("BIL-07.4"):
            void = jane.invoices[-1]
            assert (void.state, void.payable.minor, jane.state) == ("void", 3_900, "expired")
            [left] = store.read(lambda connection: credit.open_(connection, jane.id))
            assert left.left == Money(1_000, "EUR") and jane.holds("customer_credit") == 1_000
            jane.gives(PAYS)
            jane.orders(MONTHLY)
            assert jane.paid[-1].payable == Money(3_900, "EUR") and jane.holds("customer_credit") == 0


def test_what_is_owed_stays_owed_after_the_account_was_closed(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.script.then("charge", Lost())
        at.until(DAY + datetime.timedelta(days=30))
        renewal = jane.invoices[-1]
        [payment] = store.read(lambda connection: payments.of_invoice(connection, renewal.id))
        short = payment.amount - Money(100, "EUR")
        store.write(
            lambda connection: settling.told(
                connection, at.clock.now(), at.setup, payment.key, Succeeded("elsewhere", short)
            )
        )
        jane.cancels()
        with entry("BIL-41.1"):
            assert (jane.state, jane.status) == ("ended", "closed")
            at.days(20)
            [owed] = [one for one in jane.invoices if one.state == "open"]
            assert owed.id == renewal.id and owed.payable == Money(4_900, "EUR")
            assert jane.holds("customer_credit") == 4_800 and at.balances()["revenue:plan"] == 4_900


def test_a_short_payment_leaves_the_invoice_open_and_the_money_his(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        at.script.then("charge", Lost())
        payment = jane.orders(MONTHLY)
        short = payment.amount - Money(1, "EUR")
        store.write(
            lambda connection: settling.told(
                connection, at.clock.now(), at.setup, payment.key, Succeeded("elsewhere", short)
            )
        )
        with entry("BIL-16.1"):
            assert [one.state for one in jane.invoices] == ["open"] and jane.state == "trial"
            assert jane.holds("customer_credit") == 4_899


def test_a_paid_invoice_cannot_be_changed_by_anybody(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        (invoice,) = jane.paid
        store.write(lambda connection: invoices.void(connection, at.clock.now(), invoice))
        assert jane.paid == [invoice]


def test_nobody_orders_twice_while_a_payment_is_on_its_way(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        at.script.then("charge", Slow(datetime.timedelta(days=1)))
        jane.orders(MONTHLY)
        with pytest.raises(Conflict, match="payment_running"):
            jane.orders(MONTHLY)
