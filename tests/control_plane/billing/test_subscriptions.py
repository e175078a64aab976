"""A subscription's days as people live through them: renewals, a freeze, the end, and what the ledger says of each."""

from __future__ import annotations

import datetime

import pytest

from control_plane.billing import cards, orders, wallet
from control_plane.billing import subscription as machine
from control_plane.billing.freeze import CardMonth
from control_plane.errors import Conflict
from control_plane.gateway.fake.faults import Decline
from control_plane.gateway.port import Card
from control_plane.money import Money
from control_plane.periods import Period, Span
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.billing.till import DECLINED, MONTHLY, PAYS, START, YEARLY, till
from tests.control_plane.entries import entry

DAY = datetime.date(2026, 11, 22)


HOUR, SECOND = datetime.timedelta(hours=1), datetime.timedelta(seconds=1)


def after(days: int) -> datetime.date:
    return DAY + datetime.timedelta(days=days)


def midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(tzinfo=datetime.UTC))


def test_each_period_is_charged_once_on_its_first_day_and_earned_by_the_day(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.days(1)
        assert jane.holds("deferred:subscription") == 4_900  # nothing is posted before a month's books close
        at.until(after(90))
        assert [span.first for span in jane.covered] == [after(0), after(30), after(60), after(90)]
        assert [one.number[3:] for one in jane.paid] == ["2026-000001", "2026-000002", "2027-000001", "2027-000002"]
        assert at.balances() == {
            "gateway_clearing": 4 * 4_900,
            "deferred:subscription": 4_900,
            "revenue:plan": 3 * 4_900,
        }


def test_a_scheduler_that_was_down_charges_the_period_that_is_due_and_shifts_nothing(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.clock.advance_to(at.clock.now() + datetime.timedelta(days=35))  # nobody works meanwhile
        at.settle()
        with entry("BIL-20.1"):
            assert jane.covered[-1] == Span(after(30), 30) and len(jane.paid) == 2


def test_a_declined_renewal_expires_at_once_and_a_later_try_brings_it_back(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.script.then("charge", Decline("insufficient_funds"), Decline("insufficient_funds"))
        at.until(after(30))
        with entry("BIL-02.1"):
            assert jane.state == "expired" and jane.one.expired_on == after(30)
            assert jane.status == "open" and jane.mails("billing_expired")
        at.until(after(31))
        assert jane.state == "expired"
        at.until(after(33))
        assert jane.state == "active" and jane.covered[-1] == Span(after(33), 30)


def test_what_nobody_pays_for_ninety_days_ends_and_is_deleted(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY, autopay=False)
        at.until(after(30 + 89) + datetime.timedelta(hours=23))
        with entry("BIL-18.2"):
            assert jane.state == "expired" and jane.status == "open"
            at.until(datetime.datetime.combine(after(30 + 90), datetime.time(0, 0, 1), datetime.UTC))
            assert jane.state == "ended" and jane.status == "deleted"


def test_the_last_day_of_the_window_still_pays(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY, autopay=False)
        at.until(datetime.datetime.combine(after(30 + 89), datetime.time(23, 59), datetime.UTC))
        jane.orders(MONTHLY)
        with entry("BIL-19.1"):
            assert jane.state == "active" and jane.covered[-1].first == after(30 + 89)
        at.until(after(30 + 91))
        assert jane.state == "active"


def test_a_freeze_begins_with_the_next_period_and_ends_by_itself_with_one_charge(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.days(15)
        jane.freezes(90)
        at.until(after(30))
        assert jane.state == "frozen" and jane.one.frozen == Span(after(30), 90)
        with entry("BIL-24.1"):
            at.until(after(30 + 89))
            assert len(jane.paid) == 1 and jane.holds("deferred:subscription") == 0
        at.until(after(30 + 90))
        with entry("BIL-28.1"):
            assert jane.state == "active" and len(jane.paid) == 2 and jane.covered[-1] == Span(after(120), 30)


def test_a_freeze_asked_for_at_the_instant_of_the_renewal_counts_if_it_comes_before_the_charge(store: Store) -> None:
    with till(store) as at:
        jane, ben = at.customer(), at.customer("ben")
        for one in (jane, ben):
            one.orders(MONTHLY)
        at.until(midnight(after(30)) - SECOND)
        at.clock.advance_to(midnight(after(30)))
        jane.freezes(20)
        at.settle()
        ben.freezes(20)
        with entry("BIL-21.2"):
            assert jane.one.frozen == Span(after(30), 20) and len(jane.paid) == 1
            assert ben.state == "active" and len(ben.paid) == 2
            at.until(after(60))
            assert ben.one.frozen == Span(after(60), 20) and len(ben.paid) == 2


def test_an_unfreezing_that_comes_days_late_charges_once_from_the_day_it_is_paid(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.freezes(10)
        at.until(after(31))
        assert jane.state == "frozen"
        at.clock.advance_to(midnight(after(45)) + 9 * HOUR)  # nobody works meanwhile
        at.settle()
        with entry("BIL-28.2"):
            assert jane.state == "active" and jane.covered == [Span(DAY, 30), Span(after(45), 30)]
            assert at.gateway.outside.held() == {"EUR": Money(2 * 4_900, "EUR")}
            at.until(after(74))
            assert len(jane.paid) == 2
        at.until(after(75))
        assert len(jane.paid) == 3


@pytest.mark.parametrize(
    ("card", "ends"),
    [
        (CardMonth(2026, 12), datetime.date(2026, 12, 31)),
        (CardMonth(2027, 1), datetime.date(2027, 1, 31)),
        (CardMonth(2027, 2), datetime.date(2027, 2, 28)),
        (CardMonth(2027, 4), datetime.date(2027, 3, 7)),
    ],
)
def test_with_15_paid_days_left_it_is_frozen_from_the_16th_to_the_day_of_the_vectors(
    store: Store, card: CardMonth, ends: datetime.date
) -> None:
    with till(store, START - datetime.timedelta(days=15)) as at:
        jane = at.customer(card=None, country="US")
        jane.gives(PAYS, card)
        jane.orders(MONTHLY)
        at.days(15)
        assert jane.one.period is not None and jane.one.period.left(DAY) == 15
        jane.freezes(90)
        with entry("BIL-22.2"):
            at.until(datetime.date(2026, 12, 6))
            assert jane.state == "active"
            at.until(datetime.date(2026, 12, 7))
            assert jane.one.frozen is not None
            assert (jane.one.frozen.first, jane.one.frozen.end) == (datetime.date(2026, 12, 7), ends)
            at.until(midnight(ends) - SECOND)
            assert jane.state == "frozen" and len(jane.paid) == 1
            at.until(ends)
            assert jane.state == "active" and jane.covered[-1].first == ends


def test_of_two_cards_the_one_that_is_charged_ends_the_freeze_and_news_of_the_other_do_not(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()  # her first card is good for years
        jane.orders(MONTHLY)
        jane.gives(PAYS, CardMonth(2026, 12))
        second = store.read(lambda connection: cards.on_file(connection, jane.id))
        assert second is not None
        jane.freezes(90)
        at.until(after(31))
        with entry("BIL-23.5"):
            assert jane.one.frozen is not None and jane.one.frozen.end == datetime.date(2026, 12, 31)
            jane.gives(PAYS, CardMonth(2027, 6))
            assert jane.one.frozen.end == after(120), "never beyond what was asked for"
            news = Card(second.token, second.brand, second.last4, CardMonth(2027, 1), "f")
            store.write(lambda connection: wallet.renewed(connection, at.clock.now(), at.setup, news))
            assert jane.one.frozen.end == after(120)
        at.until(after(119))
        assert jane.state == "frozen"
        at.until(after(120))
        assert jane.state == "active" and len(jane.paid) == 2


def test_an_unfreezing_by_hand_begins_its_period_that_day(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.freezes(60)
        at.until(after(40))
        assert jane.unfreezes().state == "succeeded"
        with entry("BIL-27.1"):
            assert jane.state == "active" and jane.covered[-1] == Span(after(40), 30)
            with pytest.raises(Conflict, match="not_frozen"):
                jane.unfreezes()


def test_an_unfreezing_that_cannot_be_paid_expires_from_that_day(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.freezes(10)
        at.until(after(35))
        jane.gives(DECLINED)
        at.until(after(40))
        with entry("BIL-30.1"):
            assert jane.state == "expired" and jane.one.expired_on == after(40)
            assert jane.one.window_ends_on == after(40 + 90)


def test_a_freeze_is_not_asked_for_past_the_card(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.gives(PAYS, CardMonth(2026, 11))
        with entry("BIL-23.1"), pytest.raises(Conflict, match="card_ends"):
            jane.freezes(90)
        jane.gives(PAYS, CardMonth(2026, 12))
        jane.freezes(90)
        at.until(after(31))
        with entry("BIL-23.2"):
            assert jane.one.frozen is not None and jane.one.frozen.end == datetime.date(2026, 12, 31)


def test_a_cancelled_one_works_to_the_end_of_its_days_and_then_closes(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.does(machine.RequestCancel(at.clock.now()))
        at.until(after(30) - datetime.timedelta(days=1))
        assert jane.state == "active" and jane.status == "open"
        at.until(after(30))
        assert jane.state == "ended" and jane.status == "closed" and len(jane.paid) == 1
        assert at.balances() == {"gateway_clearing": 4_900, "revenue:plan": 4_900}


def test_a_cancellation_that_was_undone_renews(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.does(machine.RequestCancel(at.clock.now()))
        jane.does(machine.UndoCancel())
        at.until(after(31))
        with entry("BIL-31.1"):
            assert jane.state == "active" and len(jane.paid) == 2


def test_withdrawn_consent_charges_nothing_more_and_the_paid_days_run_out(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.until(datetime.datetime.combine(after(29), datetime.time(23, 59, 59), datetime.UTC))
        jane.does(machine.SetAutopay(False))
        at.until(after(40))
        with entry("BIL-03.1"):
            assert jane.state == "expired" and len(jane.paid) == 1


def test_who_is_ended_without_a_cause_gets_the_unused_days_back(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(YEARLY)
        at.days(99)  # a hundred days are used: the hundredth is begun
        jane.does(machine.Terminate(cause=False), "staff:desk")
        note = jane.paid[-1]
        assert note.kind == "credit_note" and note.draft.net == -Money(49_000, "EUR").share(260, 360)
        assert jane.state == "ended" and jane.status == "closed"
        kept = 49_000 - Money(49_000, "EUR").share(260, 360).minor
        assert at.balances() == {"gateway_clearing": kept, "revenue:plan": kept}
        assert jane.covered == [Span(DAY, 100)]


def test_who_is_ended_for_a_cause_gets_nothing(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.days(3)
        jane.does(machine.Terminate(cause=True), "staff:desk")
        with entry("BIL-06.4"):
            assert len(jane.invoices) == 1
            assert at.balances() == {"gateway_clearing": 4_900, "revenue:plan": 4_900}


def test_an_add_on_costs_the_days_left_and_then_comes_in_full(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.days(10)
        made = jane.buys("recording_storage")  # 1000 a month, 20 days left
        assert made.amount == Money(667, "EUR")
        at.until(after(30))
        with entry("BIL-13.1"):
            renewal = jane.paid[-1]
            assert [line.item for line in renewal.draft.lines] == ["professional", "recording_storage"]
            assert renewal.draft.gross == Money(5_900, "EUR")
        assert at.balances()["revenue:addon"] == 667


def test_an_upgrade_pays_the_difference_for_the_days_left(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        at.days(15)
        wanted = machine.Terms("business", "month")
        store.write(
            lambda connection: orders.change_plan(
                connection, at.clock.now(), at.setup, jane.id, wanted, actor=jane.actor
            )
        )
        at.settle()
        with entry("BIL-48.1"):
            assert jane.paid[-1].draft.net == Money(5_000, "EUR")  # (149 - 49) / 2
            assert jane.one.terms == wanted and jane.one.period == Period(DAY, 30)
        at.until(after(30))
        assert jane.paid[-1].draft.net == Money(14_900, "EUR")


def test_a_trial_lasts_to_its_last_minute_and_is_then_an_expired_account(store: Store) -> None:
    with till(store) as at:
        jane, ben = at.customer(), at.customer("ben")
        assert jane.one.trial_ends_on == after(30)
        at.until(midnight(after(30)) - datetime.timedelta(minutes=1))
        with entry("ACC-05.1"):
            assert jane.state == ben.state == "trial"
            jane.orders(MONTHLY)
            assert jane.state == "active"
            at.until(after(30))
            assert ben.state == "expired" and jane.state == "active"
        with entry("ACC-05.4"):
            assert ben.one.expired_on == after(30) and ben.status == "open" and ben.mails("billing_expired")
            with pytest.raises(Conflict, match="trial_used"):
                ben.does(machine.StartTrial())
            at.until(midnight(after(30 + 90)) - SECOND)
            assert ben.status == "open"
            at.until(midnight(after(30 + 90)) + SECOND)
            assert (ben.state, ben.status) == ("ended", "deleted")


def test_a_trial_that_ends_unpaid_expires_and_running_rooms_are_told(store: Store) -> None:
    with till(store) as at:
        jane = at.customer(card=None)
        at.until(after(30))
        assert jane.state == "expired"
        told = [one for one in seen.media(store) if one.get("account") == jane.id]
        assert not told or told[-1]["command"] == "end_rooms"
        kinds = [row.kind for row in seen.events(store, jane.id)]
        assert "subscription.expired" in kinds


def test_a_card_that_was_taken_away_lets_the_days_run_out(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        store.write(lambda connection: cards.remove(connection, at.clock.now(), jane.id))
        at.until(after(31))
        assert jane.state == "expired" and at.balances()["gateway_clearing"] == 4_900
