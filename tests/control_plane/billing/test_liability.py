"""How far the operator is liable, by the books: what came in in twelve months, less what went back in them (BIL-44)."""

from __future__ import annotations

import datetime

import pytest

from control_plane.billing import disputes, liability, prices, refunds
from control_plane.errors import NotFound
from control_plane.gateway.port import Dispute
from control_plane.legal.caps import Cap
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane.billing.till import MONTHLY, Customer, Till, till
from tests.control_plane.entries import entry

DAY = datetime.date(2026, 11, 22)


def after(days: int) -> datetime.date:
    return DAY + datetime.timedelta(days=days)


def cap(at: Till, jane: Customer, on: datetime.date) -> Cap:
    return at.store.read(lambda connection: liability.cap(connection, at.setup, jane.id, on))


def test_a_report_on_a_date_is_what_was_paid_with_tax_in_the_twelve_months_before_it(store: Store) -> None:
    with till(store) as at:
        jane, ben = at.customer(country="DE"), at.customer("ben")
        jane.orders(MONTHLY)
        jane.buys("streamed_event")
        at.until(after(61))
        assert [one.payable.minor for one in jane.paid] == [5_831, 1_071, 5_831, 5_831]
        with entry("BIL-44.1"):
            assert cap(at, jane, after(30)).amounts == {"EUR": 5_831 + 1_071}, "the day itself does not count"
            assert cap(at, jane, after(31)).amounts == {"EUR": 2 * 5_831 + 1_071}
            found = cap(at, jane, datetime.date(2027, 11, 22))
            assert (found.amounts, found.start, found.basis) == ({"EUR": 3 * 5_831 + 1_071}, DAY, "paid")
            assert cap(at, jane, datetime.date(2027, 11, 23)).amounts == {"EUR": 2 * 5_831}
        with entry("LEG-11.1"):
            # Who never paid, and who has not for a year: by the list of the day on which the account was made.
            later = datetime.date(2028, 3, 1)
            for one in (ben, jane):
                found = cap(at, one, later)
                assert (found.basis, found.amounts["EUR"], found.amounts["PLN"]) == ("free", 12 * 1_900, 12 * 7_900)
        with pytest.raises(NotFound):
            store.read(lambda connection: liability.cap(connection, at.setup, "acc_nobody", later))


def test_what_went_back_inside_of_the_months_is_taken_off(store: Store) -> None:
    with till(store) as at:
        jane = at.customer(country="DE")
        payment = jane.orders(MONTHLY)
        at.days(10)
        store.write(
            lambda connection: refunds.goodwill(
                connection, at.clock.now(), at.setup, jane.paid[0].id, {0: Money(1_000, "EUR")}, "staff:desk"
            )
        )
        at.until(after(31))
        with entry("BIL-44.3"):
            assert cap(at, jane, after(10)).amounts == {"EUR": 5_831}
            assert cap(at, jane, after(11)).amounts == {"EUR": 5_831 - 1_190}
            # The payment is more than a year ago, what went back of it is not.
            assert cap(at, jane, datetime.date(2027, 11, 25)).amounts == {"EUR": 5_831 - 1_190}
        rest = Money(5_831 - 1_190, "EUR")

        def says(state: str) -> None:
            told = Dispute("dp_1", payment.reference, rest, state)  # type: ignore[arg-type]
            store.write(lambda connection: disputes.told(connection, at.clock.now(), at.setup, told))

        says("inquiry")
        assert cap(at, jane, after(40)).amounts == {"EUR": 5_831 + rest.minor}
        says("open")
        assert cap(at, jane, after(40)).amounts == {"EUR": 5_831}
        says("won")
        assert cap(at, jane, after(40)).amounts == {"EUR": 5_831 + rest.minor}


def test_of_who_pays_nothing_the_list_of_the_day_he_came_counts_and_not_a_later_one(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()

        def cheaper(connection: object) -> None:
            prices.publish(
                connection,  # type: ignore[arg-type]
                at.clock.now(),
                at.setup,
                item="basic",
                cycle="month",
                amount=Money(900, "EUR"),
                actor="staff:a",
            )

        at.days(1)
        store.write(cheaper)
        at.days(1)
        ben = at.customer("ben")
        on = after(20)
        assert [cap(at, one, on).amounts["EUR"] for one in (jane, ben)] == [12 * 1_900, 12 * 900]
