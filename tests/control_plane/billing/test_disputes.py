"""A customer's issuer takes a payment back (BIL-42), and what goes back by itself never meets it."""

from __future__ import annotations

import datetime

import pytest
import sqlalchemy as sa

from control_plane.billing import disputes, inbound, payments, refunds
from control_plane.billing import subscription as machine
from control_plane.billing.tables import awaited_disputes
from control_plane.billing.tables import disputes as disputes_rows
from control_plane.errors import Conflict
from control_plane.gateway.errors import EventForeign
from control_plane.gateway.fake.faults import AnswerLost, Authenticate
from control_plane.gateway.port import ChargeTold, Dispute, DisputeState, DisputeTold, GatewayEvent, Succeeded
from control_plane.money import Money
from control_plane.running import tasks
from control_plane.storage.store import Store
from tests.control_plane.billing.till import DECLINED, MONTHLY, Customer, Till, till
from tests.control_plane.entries import entry


def tells(at: Till, payment_reference: str, amount: Money, state: DisputeState, reference: str = "dp_1") -> None:
    told = Dispute(reference, payment_reference, amount, state)
    at.store.write(lambda connection: disputes.told(connection, at.clock.now(), at.setup, told))
    at.settle()


def a_customer(at: Till, name: str = "jane") -> tuple[Customer, str, Money]:
    jane = at.customer(name)
    payment = jane.orders(MONTHLY)
    return jane, payment.reference, payment.amount


def test_an_open_dispute_suspends_and_a_won_one_gives_everything_back(store: Store) -> None:
    with till(store) as at:
        jane, reference, amount = a_customer(at)
        before = at.balances()
        tells(at, reference, amount, "open")
        assert jane.status == "suspended" and at.balances()["dispute_pending"] == 4_900
        with entry("BIL-42.2"):
            tells(at, reference, amount, "won")
            assert jane.status == "open" and at.balances() == before
        tells(at, reference, amount, "open")  # old news
        assert at.balances() == before


def test_a_lost_one_takes_what_it_had_paid_for(store: Store) -> None:
    with till(store) as at:
        jane, reference, amount = a_customer(at)
        at.days(10)
        tells(at, reference, amount, "open")
        tells(at, reference, amount, "lost")
        assert jane.status == "suspended"
        assert at.balances() == {}  # what ten days had earned is taken out of revenue again


def test_the_payment_that_saved_an_expired_one_is_taken_back_and_nothing_saves_him_a_second_time(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY, autopay=False)
        day = datetime.date(2026, 11, 22)
        at.until(day + datetime.timedelta(days=30 + 89))
        saving = jane.orders(MONTHLY)
        assert (jane.state, jane.status) == ("active", "open")
        at.days(3)
        tells(at, saving.reference, saving.amount, "open")
        with entry("BIL-19.3"):
            assert (jane.state, jane.status) == ("active", "suspended"), "his days are disputed: he stays outside"
            tells(at, saving.reference, saving.amount, "lost")
            assert jane.status == "suspended" and jane.holds("deferred:subscription") == 0
            assert at.balances() == {"gateway_clearing": 4_900, "revenue:plan": 4_900}, "the first period alone"
            at.until(day + datetime.timedelta(days=119 + 30))
            assert jane.state == "expired" and len(jane.paid) == 2
            at.until(day + datetime.timedelta(days=119 + 30 + 91))
            assert (jane.state, jane.status, len(jane.paid)) == ("ended", "deleted", 2)


def test_a_dispute_of_days_that_are_over_suspends_nobody(store: Store) -> None:
    with till(store) as at:
        jane, reference, amount = a_customer(at)
        at.days(40)
        with entry("BIL-42.1"):
            tells(at, reference, amount, "open")
            assert jane.status == "open" and at.balances()["dispute_pending"] == 4_900


def test_what_is_disputed_is_not_given_back_and_what_was_given_back_not_beyond_the_payment(store: Store) -> None:
    with till(store) as at:
        jane, reference, amount = a_customer(at)
        (invoice,) = jane.paid
        tells(at, reference, amount, "open")
        with entry("BIL-42.4"), pytest.raises(Conflict, match="disputed"):
            store.write(
                lambda connection: refunds.goodwill(
                    connection, at.clock.now(), at.setup, invoice.id, {0: Money(100, "EUR")}, "staff:desk"
                )
            )
        jane.does(machine.Terminate(cause=False), "staff:desk")
        assert len(jane.invoices) == 1  # the dispute decides


def test_goodwill_goes_back_to_the_card_and_never_beyond_what_was_paid(store: Store) -> None:
    with till(store) as at:
        jane, _, amount = a_customer(at)
        (invoice,) = jane.paid

        def gives(minor: int) -> None:
            money = {0: Money(minor, "EUR")}
            store.write(
                lambda connection: refunds.goodwill(
                    connection, at.clock.now(), at.setup, invoice.id, money, "staff:desk"
                )
            )
            at.settle()

        gives(1_000)
        assert at.balances() == {"gateway_clearing": 3_900, "deferred:subscription": 3_737, "revenue:plan": 163}
        with pytest.raises(Conflict, match="refund_max"):
            gives(amount.minor)
        at.days(31)
        assert at.balances()["revenue:plan"] == 3_900


def test_events_count_once_in_their_order_and_only_for_whom_they_are(store: Store) -> None:
    with till(store) as at:
        jane, reference, amount = a_customer(at)
        payment = store.read(lambda connection: payments.by_reference(connection, reference))
        assert payment is not None

        def comes(id_: str, told: object) -> bool:
            event = GatewayEvent(id_, at.clock.now(), told)  # type: ignore[arg-type]
            return store.write(lambda connection: inbound.apply(connection, at.clock.now(), at.setup, event))

        assert comes("evt_1", DisputeTold(Dispute("dp_1", reference, amount, "open")))
        assert not comes("evt_1", DisputeTold(Dispute("dp_1", reference, amount, "lost")))
        assert at.balances()["dispute_pending"] == 4_900
        with pytest.raises(EventForeign):
            comes("evt_2", ChargeTold(payment.key, "somebody_else", Succeeded(reference, amount)))
        assert not comes("evt_3", DisputeTold(Dispute("dp_9", "not_ours", amount, "open")))
        assert jane.status == "suspended"


def test_a_dispute_that_is_told_before_its_payment_is_known_counts_when_that_is(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        at.script.then("charge", AnswerLost(), None)
        payment = jane.orders(MONTHLY)
        assert (payment.state, payment.reference) == ("processing", "")  # it was charged, and no answer came
        charge = at.gateway.ask(payment.key, payment.payer)
        assert isinstance(charge, Succeeded)

        def comes(id_: str, state: DisputeState) -> bool:
            dispute = Dispute("dp_early", charge.reference, charge.amount, state)
            event = GatewayEvent(id_, at.clock.now(), DisputeTold(dispute))
            return store.write(lambda connection: inbound.apply(connection, at.clock.now(), at.setup, event))

        assert not comes("evt_1", "open") and not comes("evt_2", "inquiry")  # the later one is old news
        assert jane.status == "open" and at.balances() == {}
        at.days(1)  # the collector asks by the key
        assert jane.payment(payment.key).state == "succeeded"
        assert jane.status == "suspended" and at.balances()["dispute_pending"] == 4_900
        assert comes("evt_3", "won") and jane.status == "open"


def test_a_dispute_that_no_payment_comes_for_is_dropped_after_a_while(store: Store) -> None:
    with till(store) as at:

        def comes(number: int) -> bool:
            dispute = Dispute(f"dp_{number}", f"py_of_others_{number}", Money(100, "EUR"), "open")
            event = GatewayEvent(f"evt_{number}", at.clock.now(), DisputeTold(dispute))
            return store.write(lambda connection: inbound.apply(connection, at.clock.now(), at.setup, event))

        assert not comes(0)
        at.days(40)
        assert not comes(1)
        left = store.read(
            lambda connection: connection.execute(sa.select(awaited_disputes.c.reference)).scalars().all()
        )
        assert list(left) == ["dp_1"]


def test_of_two_disputes_of_one_payment_each_has_to_be_won(store: Store) -> None:
    with till(store) as at:
        jane, reference, amount = a_customer(at)
        before = at.balances()
        one, two = Money(2_000, "EUR"), Money(2_900, "EUR")
        assert one + two == amount
        tells(at, reference, one, "open", "dp_1")
        tells(at, reference, two, "open", "dp_2")
        with entry("BIL-42.3"):
            assert at.balances()["dispute_pending"] == 4_900
            tells(at, reference, one, "won", "dp_1")
            assert jane.status == "suspended"  # the other one is open
            tells(at, reference, two, "won", "dp_2")
            assert jane.status == "open" and at.balances() == before


def test_who_lost_one_of_two_is_let_in_by_nobody_but_the_staff(store: Store) -> None:
    with till(store) as at:
        jane, reference, _ = a_customer(at)
        tells(at, reference, Money(2_000, "EUR"), "open", "dp_1")
        tells(at, reference, Money(2_000, "EUR"), "lost", "dp_1")
        tells(at, reference, Money(2_900, "EUR"), "open", "dp_2")
        tells(at, reference, Money(2_900, "EUR"), "won", "dp_2")
        assert jane.status == "suspended"
        # The begun day is earned.
        assert at.balances() == {"gateway_clearing": 2_900, "deferred:subscription": 2_737, "revenue:plan": 163}


def asked_of_staff(at: Till) -> dict[str, dict[str, object]]:
    """What the staff has to look at because more is disputed than can be, by the dispute."""
    found = at.store.read(tasks.all_open)
    return {one.ref: dict(one.payload) for one in found if one.kind == "dispute_exceeds"}


def kept_of(at: Till, jane: Customer) -> dict[str, tuple[str, int, str]]:
    rows = at.store.read(lambda connection: disputes.of_account(connection, jane.id))
    return {row.reference: (row.state, row.amount, row.currency) for row in rows}


@pytest.mark.parametrize("told", [Money(4_901, "EUR"), Money(10**19, "EUR"), Money(4_900 * 100, "EUR")], ids=str)
def test_more_than_was_paid_takes_what_was_paid_and_the_staff_looks_for_the_rest(store: Store, told: Money) -> None:
    with till(store) as at:
        jane, reference, amount = a_customer(at)
        before = at.balances()
        tells(at, reference, told, "open")
        assert jane.status == "suspended" and at.balances()["dispute_pending"] == amount.minor
        assert "gateway_clearing" not in at.balances(), "all that came is gone, and no more"
        assert kept_of(at, jane) == {"dp_1": ("open", amount.minor, "EUR")}
        sums = {"payment": jane.paid[0].id + ":1", "told": str(told), "booked": str(amount)}
        assert asked_of_staff(at) == {"dp_1": sums}
        tells(at, reference, told, "open")  # once more
        tells(at, reference, told, "won")
        assert jane.status == "open" and at.balances() == before
        assert kept_of(at, jane) == {"dp_1": ("won", amount.minor, "EUR")}


def test_of_several_disputes_the_last_one_takes_what_the_others_and_refunds_left(store: Store) -> None:
    with till(store) as at:
        jane, reference, _ = a_customer(at)
        (invoice,) = jane.paid

        def gives_back(connection: sa.Connection) -> object:
            gift = {0: Money(400, "EUR")}
            return refunds.goodwill(connection, at.clock.now(), at.setup, invoice.id, gift, "staff:desk")

        store.write(gives_back)
        at.settle()
        tells(at, reference, Money(2_000, "EUR"), "open", "dp_1")
        tells(at, reference, Money(4_900, "EUR"), "open", "dp_2")
        tells(at, reference, Money(100, "EUR"), "open", "dp_3")  # nothing is left
        assert {one: amount for one, (_, amount, _) in kept_of(at, jane).items()} == {
            "dp_1": 2_000,
            "dp_2": 2_500,
            "dp_3": 0,
        }
        assert at.balances()["dispute_pending"] == 4_500 and "gateway_clearing" not in at.balances()
        assert {one: said["booked"] for one, said in asked_of_staff(at).items()} == {
            "dp_2": "25.00 EUR",
            "dp_3": "0.00 EUR",
        }
        tells(at, reference, Money(2_000, "EUR"), "won", "dp_1")
        tells(at, reference, Money(4_900, "EUR"), "lost", "dp_2")
        tells(at, reference, Money(100, "EUR"), "lost", "dp_3")
        assert jane.status == "suspended"
        held = at.balances()
        assert held.get("dispute_pending", 0) == 0 and held["gateway_clearing"] == 4_900 - 400 - 2_500
        assert held["gateway_clearing"] == held.get("deferred:subscription", 0) + held.get("revenue:plan", 0)


def test_a_dispute_whose_sum_has_changed_ends_as_it_moved(store: Store) -> None:
    with till(store) as at:
        jane, reference, _ = a_customer(at)
        tells(at, reference, Money(4_900, "EUR"), "open")
        tells(at, reference, Money(2_000, "EUR"), "lost")
        assert at.balances() == {} and kept_of(at, jane) == {"dp_1": ("lost", 4_900, "EUR")}
        assert asked_of_staff(at)["dp_1"]["told"] == "20.00 EUR"


@pytest.mark.parametrize("told", [Money(4_900, "USD"), Money(0, "EUR"), Money(-100, "EUR")], ids=str)
@pytest.mark.parametrize("ends", ["won", "lost"])
def test_what_no_payment_can_be_disputed_for_moves_nothing(store: Store, told: Money, ends: DisputeState) -> None:
    with till(store) as at:
        jane, reference, _ = a_customer(at)
        before = at.balances()
        tells(at, reference, told, "inquiry")
        assert jane.status == "open"
        tells(at, reference, told, "open")
        assert jane.status == "suspended" and at.balances() == before
        tells(at, reference, told, ends)
        assert jane.status == ("open" if ends == "won" else "suspended") and at.balances() == before
        assert kept_of(at, jane) == {"dp_1": (ends, 0, "EUR")}
        if told.minor:
            assert asked_of_staff(at)["dp_1"]["told"] == str(told)


def test_the_database_itself_keeps_disputes_within_their_payment(store: Store) -> None:
    with till(store) as at:
        jane, reference, amount = a_customer(at)
        tells(at, reference, amount, "open")
        more = disputes_rows.update().values(amount=amount.minor + 1)
        with pytest.raises(sa.exc.IntegrityError, match=r"billing\.exceeds"):
            store.write(lambda connection: connection.execute(more))
        assert kept_of(at, jane) == {"dp_1": ("open", amount.minor, "EUR")}


def test_a_dispute_of_what_is_not_paid_yet_waits_and_of_what_failed_is_looked_at(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        at.script.then("charge", Authenticate())
        payment = jane.orders(MONTHLY)
        assert payment.state == "needs_action" and payment.reference

        def comes(id_: str, reference: str, amount: Money) -> bool:
            event = GatewayEvent(id_, at.clock.now(), DisputeTold(Dispute(f"dp_{id_}", reference, amount, "open")))
            return store.write(lambda connection: inbound.apply(connection, at.clock.now(), at.setup, event))

        assert not comes("1", payment.reference, payment.amount)
        assert asked_of_staff(at) == {} and at.balances() == {}
        at.gateway.outside.authenticate(payment.reference, agrees=True)
        at.days(1)  # the gateway is asked
        assert jane.payment(payment.key).state == "succeeded"
        assert jane.status == "suspended" and at.balances()["dispute_pending"] == 4_900

        joan = at.customer("joan", card=DECLINED)
        failed = joan.orders(MONTHLY)
        assert failed.state == "failed" and failed.reference
        for _ in range(2):
            assert not comes("2", failed.reference, Money(10**30, "EUR"))
        assert asked_of_staff(at) == {
            "dp_2": {"payment": failed.key, "told": str(Money(10**30, "EUR")), "booked": "0.00 EUR"}
        }
        assert kept_of(at, joan) == {}
