"""What customers order: each is told what it costs, pays exactly that, and is refused in words what cannot be."""

from __future__ import annotations

import datetime

import pytest
import sqlalchemy as sa

from control_plane.billing import add_ons, allowance, cards, desk, invoices, orders, prices
from control_plane.billing import subscription as machine
from control_plane.billing.catalogue import GB
from control_plane.billing.charges import Draft
from control_plane.errors import Conflict, Invalid
from control_plane.gateway.fake.faults import Decline
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane.billing.till import DECLINED, MONTHLY, PAYS, YEARLY, Customer, Till, till
from tests.control_plane.entries import entry

DAY = datetime.date(2026, 11, 22)
BASIC = machine.Terms("basic", "month")


def after(days: int) -> datetime.date:
    return DAY + datetime.timedelta(days=days)


def quoted(at: Till, jane: Customer, add_on: str, quantity: int = 1) -> Draft:
    return at.store.read(
        lambda connection: orders.quote_add_on(connection, at.clock.now(), at.setup, jane.id, add_on, quantity)
    )


def changes(at: Till, jane: Customer, terms: machine.Terms, seen: str | None = None) -> None:
    at.store.write(
        lambda connection: orders.change_plan(
            connection, at.clock.now(), at.setup, jane.id, terms, actor=jane.actor, seen=seen
        )
    )
    at.settle()


def test_a_quote_is_what_is_charged_and_a_price_that_changed_meanwhile_is_not(store: Store) -> None:
    with till(store) as at:
        jane = at.customer(country="FR")

        def orders_for(seen: str) -> None:
            store.write(
                lambda connection: orders.order(
                    connection, at.clock.now(), at.setup, jane.id, MONTHLY, "EUR", actor=jane.actor, seen=seen
                )
            )

        quote = store.read(
            lambda connection: orders.quote(connection, at.clock.now(), at.setup, jane.id, MONTHLY, "EUR")
        )
        store.write(
            lambda connection: prices.publish(
                connection, at.clock.now(), at.setup, item="professional", cycle="month", amount=Money(5_900, "EUR"),
                actor="staff:desk",
            )
        )  # fmt: skip
        at.days(1)
        with pytest.raises(Conflict, match="price_changed"):
            orders_for(str(quote.payable))
        orders_for("70.80 EUR")
        at.settle()
        with entry("BIL-02.5"):
            assert jane.paid[0].payable == Money(7_080, "EUR")
            assert jane.paid[0].draft.lines[0].price == "professional.month.EUR.2"


def test_what_cannot_be_ordered_is_refused_in_words(store: Store) -> None:
    with till(store) as at:
        jane = at.customer(card=None)
        with pytest.raises(Conflict, match="country_missing"):
            jane.orders(MONTHLY)
        store.write(lambda connection: cards.set_country(connection, jane.id, "de"))
        with pytest.raises(Conflict, match="card_missing"):
            jane.orders(MONTHLY)
        jane.gives(PAYS)
        with pytest.raises(Invalid, match="plan_unknown"):
            jane.orders(machine.Terms("none_such", "month"))
        with pytest.raises(Invalid, match="plan_currency"):
            jane.orders(MONTHLY, "JPY")
        with entry("BIL-10.2"), pytest.raises(Conflict, match="plan_state"):
            jane.buys("storage")
        assert jane.invoices == []


def test_an_add_on_needs_a_card_and_ends_with_its_days_or_its_plan(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.buys("storage", 2)
        (storage,) = store.read(lambda connection: add_ons.active(connection, jane.id))
        store.write(lambda connection: add_ons.cancel(connection, at.clock.now(), jane.id, storage.id))
        at.until(after(29))
        with entry("BIL-11.4"):
            assert storage_of(at, jane) == 70 * GB
            at.until(after(31))
            assert storage_of(at, jane) == 50 * GB and len(jane.paid[-1].draft.lines) == 1
        with entry("BIL-06.2"):
            assert not [one for one in jane.invoices if one.kind == "credit_note"]
        token = store.write(lambda connection: cards.remove(connection, at.clock.now(), jane.id))
        assert token
        with entry("BIL-10.1"), pytest.raises(Conflict, match="card_missing"):
            jane.buys("storage")


def storage_of(at: Till, jane: Customer) -> int:
    return at.store.read(lambda connection: allowance.of_account(connection, at.setup.catalogue, jane.id)).storage_bytes


def test_an_add_on_bought_after_cancelling_ends_with_the_plan(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.does(machine.RequestCancel(at.clock.now()))
        at.days(10)
        with entry("BIL-31.4"):
            assert jane.buys("presenter").amount == Money(467, "EUR")
        at.until(after(31))
        with entry("BIL-11.2"):
            assert jane.state == "ended" and storage_of(at, jane) == GB
            assert at.balances()["revenue:addon"] == 467 and "deferred:subscription" not in at.balances()


def test_add_ons_follow_the_cycle_of_the_plan(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.buys("storage")
        changes(at, jane, YEARLY)
        at.until(after(31))
        with entry("BIL-11.3"):
            assert [line.price for line in jane.paid[-1].draft.lines] == [
                "professional.year.EUR.1",
                "storage.year.EUR.1",
            ]


def test_a_renewal_that_fails_takes_its_add_ons_with_it_and_a_freeze_charges_neither(store: Store) -> None:
    with till(store) as at:
        jane, ben = at.customer(), at.customer("ben")
        for one in (jane, ben):
            one.orders(MONTHLY)
            one.buys("storage")
        ben.freezes(20)
        jane.gives(DECLINED)
        at.until(after(30))
        with entry("BIL-13.2"):
            assert jane.state == "expired" and jane.invoices[-1].state == "void"
            assert len(jane.invoices[-1].draft.lines) == 2 and storage_of(at, jane) == 50 * GB
        with entry("BIL-13.3"):
            assert ben.state == "frozen" and len(ben.invoices) == 2
        at.until(after(51))
        with entry("BIL-29.4"):
            assert [line.net.minor for line in ben.paid[-1].draft.lines] == [4_900, 500]


def test_only_an_active_subscription_buys_more(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY, autopay=False)
        at.until(after(40))
        with entry("BIL-18.4"), pytest.raises(Conflict, match="plan_state"):
            jane.buys("storage")
        with entry("BIL-37.1"):
            assert jane.orders(MONTHLY).state == "succeeded" and jane.state == "active"
        with pytest.raises(Invalid, match="quantity_malformed"):
            quoted(at, jane, "storage", 0)


def test_consent_that_was_withdrawn_lets_nobody_be_charged_until_it_is_given_again(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.gives(DECLINED)
        at.until(after(30))
        jane.does(machine.SetAutopay(False))
        jane.gives(PAYS)
        at.until(after(38))  # every day of a retry
        with entry("BIL-03.2"):
            assert jane.state == "expired" and len(jane.paid) == 1
        jane.orders(MONTHLY, autopay=False)
        with entry("BIL-03.3"):
            assert jane.buys("storage").state == "succeeded"  # he sits before the page: this is no recurring charge
        jane.does(machine.SetAutopay(True))
        at.days(31)
        with entry("BIL-03.4"):
            assert jane.state == "active" and len(jane.paid) == 4


def test_consent_to_the_card_is_not_needed_where_other_means_pay_and_another_card_does_not_bring_it_back(
    store: Store,
) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.does(machine.SetAutopay(False))
        jane.gives(PAYS)
        store.write(
            lambda connection: desk.give(
                connection,
                at.clock.now(),
                at.setup,
                jane.id,
                Money(4_900, "EUR"),
                ticket="T-1",
                reason="thanks",
                actor="staff:a",
            )
        )
        at.until(after(31))
        with entry("BIL-03.5"):
            assert jane.state == "active" and jane.paid[-1].payable == Money(0, "EUR")
            at.until(after(75))
            assert jane.state == "expired" and len(jane.paid) == 2
            assert at.gateway.outside.held() == {"EUR": Money(4_900, "EUR")}


def test_a_cheaper_plan_begins_with_the_next_period_and_gives_nothing_back(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.buys("storage")
        changes(at, jane, BASIC)
        assert jane.one.terms == MONTHLY and len(jane.paid) == 2
        at.until(after(30))
        with entry("BIL-48.4"):
            assert [line.item for line in jane.paid[-1].draft.lines] == ["basic", "storage"]
            assert jane.one.terms == BASIC


def test_who_never_froze_cancelled_or_paid_gets_nothing_by_it(store: Store) -> None:
    with till(store) as at:
        jane, ben = at.customer(), at.customer("ben")
        jane.orders(MONTHLY)
        ben.orders(MONTHLY)
        with entry("BIL-06.1"):
            jane.does(machine.RequestCancel(at.clock.now()))
            assert jane.holds("customer_credit") == 0
        ben.freezes(90)
        at.until(after(40))
        ben.unfreezes()
        with entry("BIL-06.3"):
            assert ben.paid[-1].payable == Money(4_900, "EUR")
        with entry("BIL-06.5"):
            notes = [one for who in (jane, ben) for one in who.invoices if one.kind == "credit_note"]
            assert not notes


def test_reminders_tell_the_sum_that_is_charged_once_and_to_nobody_who_pays_nothing(store: Store) -> None:
    with till(store) as at:
        jane, ben, ida = at.customer(), at.customer("ben"), at.customer("ida")
        for one in (jane, ben, ida):
            one.orders(MONTHLY)
        jane.buys("storage")
        ben.does(machine.RequestCancel(at.clock.now()))
        ida.freezes(30)
        at.until(after(30))
        told = jane.mails("billing_reminder")
        with entry("BIL-17.1"):
            assert {one.values["sum"] for one in told} == {str(jane.paid[-1].payable)} == {"54.00 EUR"}
        with entry("BIL-17.2"):
            assert [one.at.date() for one in told] == [after(23), after(29)]
        with entry("BIL-17.3"):
            assert not ben.mails("billing_reminder") and not ida.mails("billing_reminder")


def test_a_price_change_counts_thirty_days_after_its_notice(store: Store) -> None:
    with till(store) as at:
        jane, ben = at.customer(), at.customer("ben")
        jane.orders(MONTHLY)
        ben.orders(MONTHLY)
        ben.freezes(45)

        def raises(connection: sa.Connection) -> None:
            now = at.clock.now()
            price = prices.publish(
                connection,
                now,
                at.setup,
                item="professional",
                cycle="month",
                amount=Money(5_900, "EUR"),
                actor="staff:a",
            )
            prices.notify(connection, now, at.setup, price.id, "staff:a")

        at.days(10)
        store.write(raises)
        at.until(after(61))
        assert [one.payable.minor for one in jane.paid] == [4_900, 4_900, 5_900]
        at.until(after(76))
        with entry("BIL-05.5"):
            assert [one.payable.minor for one in ben.paid] == [4_900, 5_900]
        with entry("BIL-24.2"):
            assert ben.covered[-1].first == after(75)


def test_who_cancels_before_a_new_price_is_his_never_pays_it(store: Store) -> None:
    with till(store) as at:
        jane, ben, ida = (at.customer(name) for name in ("jane", "ben", "ida"))
        for one in (jane, ben, ida):
            one.orders(MONTHLY)

        def raises(connection: sa.Connection) -> None:
            now, amount = at.clock.now(), Money(5_900, "EUR")
            price = prices.publish(
                connection, now, at.setup, item="professional", cycle="month", amount=amount, actor="staff:a"
            )
            prices.notify(connection, now, at.setup, price.id, "staff:a")

        at.days(10)
        store.write(raises)
        at.until(after(20))
        jane.cancels()
        at.until(after(39))  # the last of the thirty days; the renewal of day 30 was at the old price
        ben.cancels()
        at.until(after(61))
        with entry("BIL-05.7"):
            assert [one.payable.minor for one in jane.paid] == [4_900] and jane.state == "ended"
            assert [one.payable.minor for one in ben.paid] == [4_900, 4_900] and ben.status == "closed"
            assert [span.end for span in ben.covered][-1] == after(60)
        assert [one.payable.minor for one in ida.paid] == [4_900, 4_900, 5_900]


def test_a_closed_expired_one_keeps_its_long_window_and_its_invoices(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY, autopay=False)
        at.until(after(50))
        assert jane.state == "expired"
        with entry("BIL-15.4"):
            assert store.read(lambda connection: invoices.history(connection, jane.id))[0].number
        jane.does(machine.RequestCancel(at.clock.now(), staff=True))
        with entry("BIL-35.1"):
            assert (jane.state, jane.status) == ("ended", "closed")
        with entry("BIL-36.2"):
            at.until(datetime.datetime.combine(after(30 + 89), datetime.time(23, 59), datetime.UTC))
            assert jane.status == "closed"
            at.until(after(30 + 91))
            assert jane.status == "deleted" and len(jane.invoices) == 1


def test_a_declined_renewal_leaves_no_gap_in_the_numbers(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.script.then("charge", Decline(), None)
        at.until(after(30))
        assert jane.state == "expired"
        assert [one.state for one in jane.invoices] == ["paid", "void"]
        at.until(after(32))
        assert jane.state == "active"
        numbers = [one.number for one in jane.paid]
        with entry("BIL-15.2"):
            assert numbers == ["ST-2026-000001", "ST-2026-000002"]
